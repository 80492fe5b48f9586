"""The page over HTTP: who may see it, and what is sent.

# Threads: the thread of the loop that serves it.
# Guarantees:
# - nothing can be changed by a request: there is GET only;
# - what is sent is made of a `Snapshot`, here or in another process of the user, and of
#   the files in ``assets``; nothing of a request is repeated, in an error neither;
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
import operator
import os
import re
import time
from collections.abc import Awaitable, Collection, Mapping, Sequence
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
from tornado_unblock.status import overview, tables
from tornado_unblock.status.group import AbsentError, Group, current_group
from tornado_unblock.status.history import INTERVAL, History
from tornado_unblock.status.jobs import JobCounts
from tornado_unblock.status.processes import Others, Process, take_process
from tornado_unblock.status.snapshot import Snapshot, take, take_figures

Authorize = Callable[[RequestHandler], Union[bool, Awaitable[bool]]]
Parts = Mapping[str, str]
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


class _Event(NamedTuple):
    """What has changed between two states of a page."""

    before: Parts
    now: Parts
    text: str


_NOTHING: Parts = {}


class Page:
    """What the handlers of one page share.

    Args:
        authorize: Says who may see it; None: whoever can reach it.
        hosts: Names by which it may be asked for, besides localhost and addresses.
        any_host: Whether any name will do.
        app: The application whose routes to report; by default the one that serves.
        group: The processes that serve one port; those of `serve` by default, if this
            process calls it.
    """

    def __init__(
        self,
        authorize: Optional[Authorize],
        hosts: Collection[str],
        *,
        any_host: bool,
        app: Optional[Router] = None,
        group: Optional[Group] = None,
    ) -> None:
        self.authorize = authorize
        self.app = app
        self.watchers = 0
        self.history = History()
        self.jobs = JobCounts()
        self.others = Others(current_group if group is None else lambda: group)
        self._began_at = time.time()
        self._hosts = {"localhost", *(host.lower() for host in hosts)}
        self._any_host = any_host
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        # By whose they are: when they were asked for, and what they are.
        self._parts: dict[Optional[int], tuple[float, asyncio.Future[Parts]]] = {}
        # By the identities of what they are made of, which they keep alive.
        self._events: dict[tuple[int, int], _Event] = {}
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
        """Return all there is to see of this process."""
        return take(app or self.app, self.jobs.get())

    async def processes(self) -> list[Process]:
        """Return how all processes are that serve the port."""
        others = await self.others.look()
        own = take_process(self.history, self._began_at, self.jobs.get())
        order = operator.attrgetter("process")
        return sorted([own, *others], key=order)

    async def tell(self, word: str) -> bytes:
        """Return what another process asks this one for."""
        if word == "process":
            own = take_process(self.history, self._began_at, self.jobs.get())
            return json.dumps(dataclasses.asdict(own)).encode()
        if word == "parts":
            return json.dumps(await self.parts(os.getpid())).encode()
        if word == "page":
            return self.html(None, back=True)
        if word == "snapshot":
            return json.dumps(dataclasses.asdict(self.snapshot(None))).encode()
        return b""

    def html(self, app: Optional[Router], *, back: bool) -> bytes:
        """Return the page of this process.

        Args:
            app: The application whose routes to report.
            back: Whether the page is below that of several.
        """
        snapshot = self.snapshot(app)
        return self._generate(
            "page.html",
            of=f"process {snapshot.process}",
            alarms=tables.alarms(snapshot),
            sections=tables.live_sections(snapshot, self.history)
            + tables.fixed_sections(snapshot),
            at=_clock(snapshot.taken_at),
            back="../../" if back else "",
            events="events" if back else f"p/{snapshot.process}/events",
            json="status.json",
        )

    def html_of_all(self, processes: list[Process]) -> bytes:
        """Return the page of several processes."""
        return self._generate(
            "page.html",
            of=f"{len(processes)} processes",
            alarms=overview.alarms(processes),
            sections=overview.sections(processes),
            at=_clock(time.time()),
            back="",
            events="processes/events",
            json="processes.json",
        )

    def html_without(self, alarm: tables.Alarm) -> bytes:
        """Return a page of a process that says nothing."""
        return self._generate(
            "page.html",
            of="a process",
            alarms=(alarm,),
            sections=(),
            at=_clock(time.time()),
            back="../../",
            events="events",
            json="../../processes.json",
        )

    async def parts(self, process: Optional[int]) -> Parts:
        """Return what changes on a page, by where it belongs; anew each second.

        Args:
            process: Whose page; None: that of all.

        Raises:
            AbsentError: It is gone.
        """
        now = time.monotonic()
        made_at, parts = self._parts.get(process, (float("-inf"), None))
        if parts is None or now - made_at >= EVERY / 2:
            parts = asyncio.ensure_future(self._make_parts(process))
            kept = {k: v for k, v in self._parts.items() if now - v[0] < 2 * EVERY}
            self._parts = {**kept, process: (now, parts)}
        # Others wait for the same: who leaves does not end it.
        return await asyncio.shield(parts)

    def event(self, before: Parts, now: Parts) -> str:
        """Return what tells a browser what has changed; made once for all."""
        key = (id(before), id(now))
        if key not in self._events:
            changed = {k: v for k, v in now.items() if before.get(k) != v}
            text = f"data: {json.dumps(changed)}\n\n"
            kept = [event for event in self._events.values() if event.now is now]
            self._events = {(id(e.before), id(e.now)): e for e in kept}
            self._events[key] = _Event(before, now, text)
        return self._events[key].text

    async def _make_parts(self, process: Optional[int]) -> Parts:
        if process is None:
            processes = await self.processes()
            return self._parts_of(
                overview.alarms(processes), overview.sections(processes)
            )
        if process == os.getpid():
            snapshot = self.snapshot(None)
            live = tables.live_sections(snapshot, self.history)
            return self._parts_of(tables.alarms(snapshot), live)
        try:
            parts: Parts = json.loads(await self.others.ask(process, "parts"))
        except (OSError, ValueError):
            return self._parts_of((overview.silent_alarm(process, None),), ())
        return parts

    def _parts_of(
        self, alarms: Sequence[tables.Alarm], sections: Sequence[tables.Section]
    ) -> Parts:
        parts = {"at": _clock(time.time()), "alarms": self.alarms(*alarms)}
        for section in sections:
            rows = self._generate("rows.html", section=section)
            parts[f"{section.id}-rows"] = rows.decode()
            parts[f"{section.id}-summary"] = section.summary
        return parts

    def alarms(self, *alarms: tables.Alarm) -> str:
        """Return the head of a page."""
        return self._generate("alarms.html", alarms=alarms).decode()

    def _generate(self, name: str, **values: object) -> bytes:
        return self._loader.load(name).generate(**values)


def _clock(taken_at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(taken_at))


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
    """Leads to the same with a / at its end: the page's own links are relative."""

    async def get(self) -> None:
        self.redirect(f"{self.request.path.rpartition('/')[2]}/")


class _OfProcess(_Guarded):
    """Answers for one process, which may be another, or for all."""

    async def _answer(self, process: Optional[str], *, as_json: bool) -> None:
        page = self.page
        if process is None:
            processes = await page.processes()
            if len(processes) > 1:
                self._answer_for_all(processes, as_json=as_json)
                return
        if process is not None and int(process) != os.getpid():
            await self._pass_on(int(process), as_json=as_json)
        elif as_json:
            self.write(dataclasses.asdict(page.snapshot(self._app)))
        else:
            self.write(page.html(self._app, back=process is not None))

    async def _pass_on(self, process: int, *, as_json: bool) -> None:
        if as_json:
            self.set_header("Content-Type", "application/json; charset=UTF-8")
        try:
            word = "snapshot" if as_json else "page"
            self.write(await self.page.others.ask(process, word))
        except AbsentError:
            self._refuse(404, overview.gone_alarm(), as_json)
        except OSError:
            self._refuse(504, overview.silent_alarm(process, None), as_json)

    def _answer_for_all(self, processes: list[Process], *, as_json: bool) -> None:
        if as_json:
            told = [dataclasses.asdict(one) for one in processes]
            self.write({"taken_at": time.time(), "processes": told})
        else:
            self.write(self.page.html_of_all(processes))

    def _refuse(self, code: int, alarm: tables.Alarm, as_json: bool) -> None:
        if as_json:
            raise HTTPError(code)
        self.set_status(code)
        self.write(self.page.html_without(alarm))


class _PageHandler(_OfProcess):
    """The page as it is now: HTML for people, JSON for programs."""

    async def get(self, process: Optional[str] = None) -> None:
        accept = self.request.headers.get("Accept", "")
        self.set_header("Vary", "Accept")
        as_json = "application/json" in accept and "text/html" not in accept
        await self._answer(process, as_json=as_json)


class _Json(_OfProcess):
    """The same as JSON, whoever asks."""

    async def get(self, process: Optional[str] = None) -> None:
        await self._answer(process, as_json=True)


class _Processes(_OfProcess):
    """All processes as JSON, one too."""

    async def get(self) -> None:
        self._answer_for_all(await self.page.processes(), as_json=True)


class _Asset(_Guarded):
    """The style sheet and the script."""

    async def get(self, process: Optional[str], name: str) -> None:
        self.set_header("Content-Type", _TYPES[name])
        self.write((ASSETS / name).read_bytes())


class _Events(_Guarded):
    """Sends what has changed once a second, until nobody listens."""

    def initialize(self, page: Page) -> None:
        super().initialize(page)
        self._gone = asyncio.Event()

    def on_connection_close(self) -> None:
        self._gone.set()

    async def get(self, process: Optional[str] = None) -> None:
        """Send events.

        Raises:
            HTTPError: 503 when too many watch already; 404 for a process that is gone.
        """
        page = self.page
        if page.watchers >= MOST_WATCHERS:
            raise HTTPError(503)
        page.watchers += 1
        try:
            await self._send(self._whose(process))
        except StreamClosedError:
            pass  # nobody listens any more
        finally:
            page.watchers -= 1

    def _whose(self, process: Optional[str]) -> Optional[int]:
        return os.getpid() if process is None else int(process)

    async def _send(self, process: Optional[int]) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("X-Accel-Buffering", "no")  # nginx
        portal, end = current_portal(), time.monotonic() + LONGEST
        sent = _NOTHING
        while not self._gone.is_set() and time.monotonic() < end:
            try:
                parts = await self.page.parts(process)
            except AbsentError:
                if not sent:
                    raise HTTPError(404) from None
                alarms = {"alarms": self.page.alarms(overview.gone_alarm())}
                await self._tell(self.page.event(_NOTHING, alarms))
                return
            await self._tell(self.page.event(sent, parts))
            sent = parts
            if is_draining(portal):
                return
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._gone.wait(), EVERY)

    async def _tell(self, event: str) -> None:
        self.write(event)
        await self.flush()


class _EventsOfAll(_Events):
    """The same of all processes."""

    def _whose(self, process: Optional[str]) -> Optional[int]:
        return None


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
    Routed(r"/(?:p/(\d{1,10})/)?", _PageHandler),
    Routed(r"/p/\d{1,10}", _Root),
    Routed(r"/(?:p/(\d{1,10})/)?status\.json", _Json),
    Routed(r"/(?:p/(\d{1,10})/)?events", _Events),
    Routed(r"/(?:p/(\d{1,10})/)?(app\.css|app\.js|icon\.svg)", _Asset),
    Routed(r"/processes\.json", _Processes),
    Routed("/processes/events", _EventsOfAll),
)


def routes(prefix: str, page: Page) -> list[Rule]:
    """Return the routes of ``page`` below ``prefix``, "" for the root."""
    rules: list[Rule] = [
        (re.escape(prefix) + path, handler, {"page": page}) for path, handler in _ROUTES
    ]
    if prefix:
        rules.insert(0, (re.escape(prefix), _Root, {"page": page}))
    return rules
