"""The contenders: one small module each, and how each of them is started.

A Tornado contender offers `application(workers)`, called in its loop, and is started by
`benchmarks.serve`. The others are started by the command that their documentation has
for production, and bind their own port. What differs from one module to the next is
what a developer would have to write.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from typing import Any

from tornado.web import RequestHandler

from benchmarks.harness.errors import SetupError
from benchmarks.harness.servers import DONE as DONE

PATHS = (r"/trivial", r"/wait/([\d.]+)", r"/body/(\w+)", r"/hooks", r"/legacy")
BACKLOG = 8192  # as far as the system allows: /proc/sys/net/core/somaxconn
HERE = __name__


def pages(*handlers: type[RequestHandler]) -> list[tuple[str, type[RequestHandler]]]:
    """Return the routes of a contender that has the first so many pages."""
    return list(zip(PATHS, handlers))


def imported(name: str) -> Any:
    """Import bodies when first asked for: their drivers are not needed otherwise."""
    return importlib.import_module(f"{HERE}.{name}")


@dataclass(frozen=True)
class Contender:
    """One way to serve the pages.

    Attributes:
        name: Its name on the command line, and of its module if it is of Tornado.
        title: How a table names it.
        packages: What has to be installed for it.
        command: The command that starts it, after `python -m`; "" for Tornado's.
        options: What is asked of `benchmarks.serve`, for Tornado's.
        module: The module of Tornado's, if it is not of its own name.
        about: What its documentation recommends, and what of that is taken.
    """

    name: str
    title: str
    packages: tuple[str, ...] = ()
    command: str = ""
    options: str = ""
    module: str = ""
    about: str = ""

    def require(self) -> None:
        """See that its packages are installed.

        Raises:
            SetupError: One is not.
        """
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                raise SetupError(
                    f"{package} is not installed: pip install 'tornado-unblock[bench]'"
                )

    def load(self) -> Any:
        """Import the module of one of Tornado's."""
        return importlib.import_module(f"{HERE}.{self.module or self.name}")

    def start(self, port: int, workers: int) -> list[str]:
        """Return the command that starts it on this port, with so many threads."""
        text = self.command or f"benchmarks.serve {self.name} {self.options}"
        if not self.command:
            text += " --port {port} --workers {workers}"
        words = text.format(port=port, workers=workers, backlog=BACKLOG, here=HERE)
        return [sys.executable, "-m", *words.split()]


GUNICORN = "gunicorn -b 127.0.0.1:{port} --workers 1 --backlog {backlog} "
GTHREAD = GUNICORN + "-k gthread --threads {workers} --worker-connections 10000 "
GTHREAD += "--keep-alive 75 --log-level critical "
UVICORN = "uvicorn --host 127.0.0.1 --port {port} --backlog {backlog} "
UVICORN += "--log-level error --no-access-log "
STANDARD = ("uvicorn", "uvloop", "httptools")

OURS = (
    Contender("native", "native `async def`"),
    Contender("native_uvloop", "native, uvloop", ("uvloop",), "", "--uvloop", "native"),
    Contender("inline", "blocking, inline"),
    Contender(
        "inline_forked",
        "blocking, inline, forked",
        options="--forked",
        module="inline",
        about="`HTTPServer.start(0)`, which forks one process for each core",
    ),
    Contender("by_hand", "`run_in_executor` by hand"),
    Contender("unblock", "`@unblock` on methods"),
    Contender(
        "unblock_uvloop", "`@unblock`, uvloop", ("uvloop",), "", "--uvloop", "unblock"
    ),
    Contender("unblock_class", "`@unblock` on the class"),
    Contender("unblock_app", "`unblock_application`"),
    Contender("unblock_timeout", "`@unblock(timeout=30)`"),
    Contender("bare_hop", "a bare hop, no guarantees"),
    Contender("run_on_executor", "`@run_on_executor`"),
    Contender("to_thread", "`asyncio.to_thread`"),
    Contender("sync_to_async", "asgiref `sync_to_async`", ("asgiref",)),
    Contender("run_sync", "anyio `to_thread.run_sync`", ("anyio",)),
)
PEERS = (
    Contender(
        "fastapi_def",
        "FastAPI `def`",
        ("fastapi", *STANDARD),
        UVICORN + "{here}.fastapi_def:app",
        about="`uvicorn[standard]`, so uvloop and httptools; threads set by the "
        "limiter, as Starlette documents it (40 unless set)",
    ),
    Contender(
        "starlette_def",
        "Starlette `def`",
        ("starlette", *STANDARD),
        UVICORN + "{here}.starlette_def:app",
        about="as FastAPI, of which it is the lower half",
    ),
    Contender(
        "quart_run_sync",
        "Quart `run_sync`",
        ("quart", "hypercorn", "uvloop"),
        "hypercorn -b 127.0.0.1:{port} -k uvloop --backlog {backlog} "
        "{here}.quart_run_sync:app",
        about="Hypercorn, the server its documentation names, with uvloop; threads of "
        "the loop's default executor",
    ),
    Contender(
        "aiohttp_executor",
        "aiohttp + `run_in_executor`",
        ("aiohttp",),
        "{here}.aiohttp_executor {port} {workers}",
        about="`web.run_app`, no access log; on asyncio's own loop, as in its "
        "documentation",
    ),
    Contender(
        "flask_waitress",
        "Flask on waitress",
        ("flask", "waitress"),
        "waitress --listen 127.0.0.1:{port} --threads {workers} "
        "--connection-limit 10000 --asyncore-use-poll --backlog {backlog} "
        "{here}.flask_app:app",
        about="`waitress-serve`; as many threads as the others (4 unless set), and "
        "`poll()`, which takes more than 1,024 sockets",
    ),
    Contender(
        "flask_gthread",
        "Flask on gunicorn gthread",
        ("flask", "gunicorn"),
        GTHREAD + "{here}.flask_app:app",
        about="threads as many as the others; keep-alive as behind a proxy. One "
        "process: all here have one, where its documentation has 2 to 4 for each core",
    ),
    Contender(
        "flask_gevent",
        "Flask on gunicorn gevent",
        ("flask", "gunicorn", "gevent", "psycogreen"),
        GUNICORN + "-k gevent --worker-connections 10000 --keep-alive 75 "
        "--log-level critical -c python:{here}.gunicorn_gevent {here}.flask_app:app",
        about="the worker that Flask's documentation prefers to gevent's own server; "
        "psycopg2 made cooperative by psycogreen; a greenlet for each request",
    ),
    Contender(
        "flask_granian",
        "Flask on granian",
        ("flask", "granian"),
        "granian --interface wsgi --host 127.0.0.1 --port {port} --workers 1 "
        "--blocking-threads {workers} --backlog {backlog} --no-log "
        "{here}.flask_app:app",
        about="its HTTP server is written in Rust; blocking threads as many as the "
        "others",
    ),
    Contender(
        "django_gthread",
        "Django on gunicorn gthread",
        ("django", "gunicorn"),
        GTHREAD + "{here}.django_view:application",
        about="a sync view, `DEBUG = False`, no middleware; otherwise as Flask",
    ),
)
CONTENDERS = (*OURS, *PEERS)


def contender_named(name: str) -> Contender:
    """Return the contender called `name`.

    Raises:
        KeyError: There is none.
    """
    return {contender.name: contender for contender in CONTENDERS}[name]


def command_of(name: str, port: int, workers: int) -> list[str]:
    """Return what starts the contender called `name`."""
    return contender_named(name).start(port, workers)
