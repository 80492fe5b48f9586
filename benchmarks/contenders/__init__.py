"""The contenders: one small module each, and what they have in common.

A module offers `application(workers)`, a Tornado application, called in its loop; or
`serve(listening, workers)`, which serves by other means. What differs from one module
to the next is what a developer would have to write.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any

from tornado.web import RequestHandler

from benchmarks.harness.errors import SetupError
from benchmarks.harness.servers import DONE as DONE

PATHS = (r"/trivial", r"/wait/([\d.]+)", r"/hooks", r"/legacy")


def pages(*handlers: type[RequestHandler]) -> list[tuple[str, type[RequestHandler]]]:
    """Return the routes of a contender that has the first so many pages."""
    return list(zip(PATHS, handlers))


@dataclass(frozen=True)
class Contender:
    """One way to serve the pages.

    Attributes:
        name: The module in this package, and its name on the command line.
        title: How a table names it.
        packages: What has to be installed for it.
    """

    name: str
    title: str
    packages: tuple[str, ...] = ()

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
        """Import the module."""
        return importlib.import_module(f"{__name__}.{self.name}")


CONTENDERS = (
    Contender("native", "native `async def`"),
    Contender("inline", "blocking, inline"),
    Contender("by_hand", "`run_in_executor` by hand"),
    Contender("unblock", "`@unblock` on methods"),
    Contender("unblock_class", "`@unblock` on the class"),
    Contender("unblock_app", "`unblock_application`"),
    Contender("unblock_timeout", "`@unblock(timeout=30)`"),
    Contender("bare_hop", "a bare hop, no guarantees"),
    Contender("run_on_executor", "`@run_on_executor`"),
    Contender("to_thread", "`asyncio.to_thread`"),
    Contender("sync_to_async", "asgiref `sync_to_async`", ("asgiref",)),
    Contender("run_sync", "anyio `to_thread.run_sync`", ("anyio",)),
    Contender("fastapi_def", "FastAPI `def`, uvicorn", ("fastapi", "uvicorn")),
    Contender("flask_waitress", "Flask on waitress", ("flask", "waitress")),
    Contender("flask_gthread", "Flask on gunicorn gthread", ("flask", "gunicorn")),
    Contender("flask_gevent", "Flask on gevent", ("flask", "gevent")),
)


def contender_named(name: str) -> Contender:
    """Return the contender called `name`.

    Raises:
        KeyError: There is none.
    """
    return {contender.name: contender for contender in CONTENDERS}[name]
