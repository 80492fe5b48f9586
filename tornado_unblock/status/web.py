"""The page over HTTP: who may see it, and what is sent.

# Threads: the thread of the loop that serves it.
# Guarantees:
# - nothing can be changed by a request: there is GET only;
# - what is sent is made of a `Snapshot` and of the files in ``assets``; nothing of a
#   request is repeated, not in an error either;
# - a page of another site can neither read it, nor frame it, nor have a script in it;
# - however many watch, a snapshot is taken once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import ipaddress
import json
import re
import time
from collections.abc import Awaitable, Collection, Mapping
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional, Union

from tornado.ioloop import PeriodicCallback
from tornado.iostream import StreamClosedError
from tornado.routing import Router
from tornado.template import Loader
from tornado.web import HTTPError, RequestHandler

from tornado_unblock._errors import ConfigurationError
from tornado_unblock._loop.portal import current_portal
from tornado_unblock._shutdown.drain import is_draining
from tornado_unblock.status import tables
from tornado_unblock.status.history import INTERVAL, History
from tornado_unblock.status.jobs import JobCounts
from tornado_unblock.status.snapshot import Snapshot, take, take_figures

Authorize = Callable[[RequestHandler], Union[bool, Awaitable[bool]]]
Rule = tuple[str, type[RequestHandler], dict[str, Any]]

ASSETS = Path(__file__).parent / "assets"
_TYPES = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}

# Seconds between two events, and after which who watches has to ask again.
EVERY = 1.0
LONGEST = 600.0
# Browsers that watch at once.
MOST_WATCHERS = 200

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def handlers(
    prefix: str, *, authorize: Authorize, hosts: Collection[str] = ()
) -> list[Rule]:
    """Return the routes of the status page, for ``app.add_handlers(".*", ...)``.

    Served like this the page stands still when the application's loop does; `serve`
    does not. Any thread may call it.

    Args:
        prefix: Where the page is to be, such as ``"/_unblock"``.
        authorize: Called with the handler, on the loop thread, before anything is sent;
            may be a coroutine function. Unless it returns True, the answer is 403.
        hosts: Names by which the page may be asked for; any by default.

    Raises:
        ConfigurationError: The prefix makes no sense, or ``authorize`` is missing.
    """
    if not isinstance(prefix, str) or not re.fullmatch(r"(/[\w.~-]+)+", prefix):
        raise ConfigurationError(
            f"prefix must be a path such as '/_unblock', without a / at its end, not "
            f"{prefix!r}"
        )
    if not callable(authorize):
        raise ConfigurationError(
            "status.handlers() needs authorize=: a function of the handler that says "
            "who may see the page, or status.serve() in its place, which only this "
            f"machine can reach; not {authorize!r}"
        )
    check_hosts(hosts)
    return routes(prefix, Page(authorize, frozenset(hosts), any_host=not hosts))


def check_hosts(hosts: object) -> None:
    """Raise `ConfigurationError` unless ``hosts`` is a collection of names."""
    if isinstance(hosts, str) or not isinstance(hosts, Collection):
        raise ConfigurationError(
            f"hosts must be a list of names, such as ['ops.internal'], not {hosts!r}"
        )
    for host in hosts:
        if not isinstance(host, str) or not re.fullmatch(r"[\w.-]+", host):
            raise ConfigurationError(
                f"hosts must hold names without a port, such as 'ops.internal', not "
                f"{host!r}"
            )


class Page:
    """What the handlers of one page share.

    Args:
        authorize: Says who may see it; None: whoever can reach it.
        hosts: Names by which it may be asked for, besides localhost and addresses.
        any_host: Whether any name will do.
        app: The application whose routes to report; by default the one that serves.
    """

    def __init__(
        self,
        authorize: Optional[Authorize],
        hosts: Collection[str],
        *,
        any_host: bool,
        app: Optional[Router] = None,
    ) -> None:
        self.authorize = authorize
        self.app = app
        self.watchers = 0
        self.history = History()
        self.jobs = JobCounts()
        self._hosts = {"localhost", *(host.lower() for host in hosts)}
        self._any_host = any_host
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._parts: Mapping[str, str] = {}
        self._parts_at = float("-inf")
        self._loader = Loader(str(ASSETS))

    def begin(self) -> None:
        """Keep the history from now on, as long as the loop of this thread runs."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self._record()
            PeriodicCallback(self._record, INTERVAL * 1000).start()

    def _record(self) -> None:
        self.history.add(take_figures())

    def knows(self, host: str) -> bool:
        """Whether a Host header is none that a foreign site can make a browser send.

        A name that leads here may be anybody's (DNS rebinding); an address is not.
        """
        name = re.sub(r":\d*$", "", host).lower()
        if self._any_host or name in self._hosts:
            return True
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(name.strip("[]"))
            return True
        return False

    def snapshot(self, app: Optional[Router]) -> Snapshot:
        """Return all there is to see."""
        return take(app or self.app, self.jobs.get())

    def html(self, app: Optional[Router]) -> bytes:
        """Return the page."""
        snapshot = self.snapshot(app)
        return self._generate(
            "page.html",
            alarms=tables.alarms(snapshot),
            sections=tables.live_sections(snapshot, self.history)
            + tables.fixed_sections(snapshot),
            snapshot=snapshot,
            at=_clock(snapshot),
        )

    def parts(self) -> Mapping[str, str]:
        """Return what changes on the page, by where it belongs; anew each second."""
        if time.monotonic() - self._parts_at >= EVERY / 2:
            snapshot = self.snapshot(None)
            self._parts = self._make_parts(snapshot)
            self._parts_at = time.monotonic()
        return self._parts

    def _make_parts(self, snapshot: Snapshot) -> dict[str, str]:
        alarms = tables.alarms(snapshot)
        parts = {
            "at": _clock(snapshot),
            "alarms": self._generate("alarms.html", alarms=alarms).decode(),
        }
        for section in tables.live_sections(snapshot, self.history):
            rows = self._generate("rows.html", section=section)
            parts[f"{section.id}-rows"] = rows.decode()
            parts[f"{section.id}-summary"] = section.summary
        return parts

    def _generate(self, name: str, **values: object) -> bytes:
        return self._loader.load(name).generate(**values)


def _clock(snapshot: Snapshot) -> str:
    return time.strftime("%H:%M:%S", time.localtime(snapshot.taken_at))


class _Guarded(RequestHandler):
    """Answers those who may see the page, and repeats nothing of what they sent."""

    def initialize(self, page: Page) -> None:
        self.page = page

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    async def prepare(self) -> None:
        """Let in who may see it.

        Raises:
            HTTPError: 403 for everybody else.
        """
        page = self.page
        if (
            not page.knows(self.request.headers.get("Host", ""))
            or self._is_of_another_site()
        ):
            raise HTTPError(403)
        if page.authorize is not None:
            allowed = page.authorize(self)
            if inspect.isawaitable(allowed):
                allowed = await allowed
            if self._finished:  # it has answered by itself: a redirect to log in
                return
            if allowed is not True:
                raise HTTPError(403)
        page.begin()

    def _is_of_another_site(self) -> bool:
        headers = self.request.headers
        site, mode = headers.get("Sec-Fetch-Site"), headers.get("Sec-Fetch-Mode")
        return site in ("cross-site", "same-site") and mode != "navigate"

    def compute_etag(self) -> None:
        return None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code}\n")

    @property
    def _app(self) -> Optional[Router]:
        return None if self.page.app is not None else self.application


class _Root(_Guarded):
    """Leads from ``/_unblock`` to ``/_unblock/``: the page's own links are relative."""

    async def get(self) -> None:
        self.redirect(f"{self.request.path.rpartition('/')[2]}/")


class _PageHandler(_Guarded):
    """The page as it is now: HTML for people, JSON for programs."""

    async def get(self) -> None:
        accept = self.request.headers.get("Accept", "")
        self.set_header("Vary", "Accept")
        if "application/json" in accept and "text/html" not in accept:
            self.write(dataclasses.asdict(self.page.snapshot(self._app)))
        else:
            self.write(self.page.html(self._app))


class _Json(_Guarded):
    """The same as JSON, whoever asks."""

    async def get(self) -> None:
        self.write(dataclasses.asdict(self.page.snapshot(self._app)))


class _Asset(_Guarded):
    """The style sheet and the script."""

    async def get(self, name: str) -> None:
        self.set_header("Content-Type", _TYPES[name])
        self.write((ASSETS / name).read_bytes())


class _Events(_Guarded):
    """Sends what has changed once a second, until nobody listens."""

    def initialize(self, page: Page) -> None:
        super().initialize(page)
        self._gone = asyncio.Event()

    def on_connection_close(self) -> None:
        self._gone.set()

    async def get(self) -> None:
        """Send events.

        Raises:
            HTTPError: 503 when too many watch already.
        """
        page = self.page
        if page.watchers >= MOST_WATCHERS:
            raise HTTPError(503)
        page.watchers += 1
        try:
            await self._send()
        except StreamClosedError:
            pass  # nobody listens any more
        finally:
            page.watchers -= 1

    async def _send(self) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("X-Accel-Buffering", "no")  # nginx
        portal, end = current_portal(), time.monotonic() + LONGEST
        sent: Mapping[str, str] = {}
        while not self._gone.is_set() and time.monotonic() < end:
            parts = self.page.parts()
            changed = {k: v for k, v in parts.items() if sent.get(k) != v}
            sent = parts
            self.write(f"data: {json.dumps(changed)}\n\n")
            await self.flush()
            if is_draining(portal):
                return
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._gone.wait(), EVERY)


class Missing(_Guarded):
    """Answers what is not there."""

    async def prepare(self) -> None:
        """Answer 404 to those who may see the page, to others as everywhere.

        Raises:
            HTTPError: Always.
        """
        await super().prepare()
        raise HTTPError(404)


class Routed(NamedTuple):
    """A handler, and where below the prefix it is."""

    path: str
    handler: type[_Guarded]


_ROUTES = (
    Routed("/", _PageHandler),
    Routed("/status.json", _Json),
    Routed("/events", _Events),
    Routed(r"/(app\.css|app\.js|icon\.svg)", _Asset),
)


def routes(prefix: str, page: Page) -> list[Rule]:
    """Return the routes of ``page`` below ``prefix``, "" for the root."""
    rules: list[Rule] = [
        (re.escape(prefix) + path, handler, {"page": page}) for path, handler in _ROUTES
    ]
    if prefix:
        rules.insert(0, (re.escape(prefix), _Root, {"page": page}))
    return rules
