"""Errors and results that misbehave, and a failure at every step of a hop.

Whatever raises in between: the client gets one answer, the token goes back, and the
worker is clean for the next request.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Optional

import pytest
from tornado.web import RequestHandler

import tornado_unblock
from tests.patience import WAIT
from tests.unit.conftest import Response, Server, all_quiet
from tests.unit.test_errors import OfRudeType, Rude, RudeExit, slotted
from tornado_unblock import configure, run_in_executor, unblock, unblock_application
from tornado_unblock._executors.registry import get_executor
from tornado_unblock._loop import thread_loop
from tornado_unblock._loop.lease import current_lease, innermost_lease

PACKAGE = str(Path(tornado_unblock.__file__).parent)
BOOKKEEPING = f"{PACKAGE}/_offload/"
#: They count, and ask nothing of anybody's; a call of theirs is done or not done.
LIMITS = f"{PACKAGE}/_limits/"

Hook = Callable[[FrameType, str, Any], None]


class Injected(Exception):
    """What a step of the bookkeeping raises."""


class InjectedExit(BaseException):
    """The same, of those that no ``except Exception`` catches."""


class FailNth:
    """A profile function: the n-th call that the bookkeeping makes raises.

    What counts is made by code of `_offload` in the thread that has this function, from
    the moment it is there: so no step is named here, and none is left out.
    """

    def __init__(self, n: int, error: type[BaseException]) -> None:
        self.n, self.error = n, error
        self.at: Optional[str] = None
        self._in_c = False

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            caller, called = frame.f_back, frame.f_code.co_name
            # What C code calls, such as the loop of a Future, is not a step of ours.
            if self._in_c or frame.f_code.co_filename.startswith(LIMITS):
                return
        elif event == "c_call":
            caller, called = frame, getattr(arg, "__name__", "?")
        else:
            self._in_c = self._in_c and not event.startswith("c_")
            return
        if caller is None or not caller.f_code.co_filename.startswith(BOOKKEEPING):
            return
        self._in_c = event == "c_call"
        self.n -= 1
        if self.n == 0:
            sys.setprofile(None)
            code = caller.f_code
            line = f"{code.co_filename[len(PACKAGE) :]}:{caller.f_lineno}"
            self.at = f"{called} called by {code.co_name}, {line}"
            raise self.error(self.at)


def on_the_worker(executor: str, fn: Callable[[], Any]) -> Any:
    """Run ``fn`` on the only worker of an executor, past all bookkeeping."""
    return get_executor(executor).submit(fn).result(WAIT)


def look() -> dict[str, Any]:
    """Return what a body may have left behind in this thread."""
    try:
        loop: Any = thread_loop._get_policy().get_event_loop()
    except RuntimeError:
        loop = None
    return {
        "lease": current_lease(),
        "innermost": innermost_lease(),
        "running": asyncio._get_running_loop(),
        "loop": loop,
        "profile": sys.getprofile(),
    }


CLEAN = dict.fromkeys(("lease", "innermost", "running", "loop", "profile"))


def check_clean(server: Server, executor: str) -> None:
    """Check that tokens are back, the worker is clean, and it serves once more."""
    server.call(all_quiet, executor)
    assert on_the_worker(executor, look) == CLEAN
    answer = server.get("/fine")
    assert (answer.status, answer.body) == (200, b"fine")
    assert answer.raw.count(b"HTTP/1.1 ") == 1


@pytest.fixture
def serve(make_server: Any) -> Callable[[type[RequestHandler]], Server]:
    """Serve a handler at "/", beside one at "/fine", on one worker."""
    configure("one", max_workers=1)

    class Fine(RequestHandler):
        def get(self) -> None:
            self.write("fine")

    def start(handler: type[RequestHandler], **settings: Any) -> Server:
        server = make_server(("/", handler), ("/fine", Fine), **settings)
        assert server.server is not None
        unblock_application(server.server.request_callback, executor="one")
        return server

    return start


@pytest.fixture
def any_log(allow_log: Any) -> None:
    """What is logged of a step that fails is not looked at here."""
    allow_log("", "")


# --- what bodies raise and return ----------------------------------------------------


class Cyclic(Exception):
    """It is its own cause."""

    def __init__(self) -> None:
        self.__cause__ = self


class Truthless(Exception):
    """Its truth and its length raise."""

    def __bool__(self) -> bool:
        raise LookupError

    def __len__(self) -> int:
        raise LookupError


@pytest.mark.parametrize("how", ["application", "method"])
@pytest.mark.parametrize(
    "make", [Rude, OfRudeType, slotted, RudeExit, Cyclic, Truthless]
)
def test_body_that_raises_what_misbehaves(serve, make, how, allow_log):
    """The client gets its 500, from a worker that is clean afterwards."""
    allow_log("tornado.application", "")
    allow_log("tornado.access", "500 GET /")

    class Handler(RequestHandler):
        def get(self) -> None:
            raise make()

        def log_exception(self, *args: Any) -> None:
            """Tornado's own asks the error for its text."""

    if how == "method":
        Handler.get = unblock(executor="one")(Handler.get)  # type: ignore[method-assign]
    server = serve(Handler)
    assert server.get("/").status == 500
    check_clean(server, "one")


class Claims:
    """Has whatever attribute it is asked for."""

    def __getattr__(self, name: str) -> Any:
        return Claims()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return Claims()


class Refuses:
    """Every question to it raises."""

    def __getattr__(self, name: str) -> Any:
        raise LookupError(name)

    def __bool__(self) -> bool:
        raise LookupError

    __eq__ = __hash__ = __bool__  # type: ignore[assignment]


@pytest.mark.parametrize("make", [Claims, Refuses])
def test_function_that_returns_what_misbehaves(make, any_server):
    """It arrives as it is; nobody asks it anything."""
    value = make()

    async def run() -> bool:
        return (await run_in_executor(lambda: value)) is value

    assert any_server.call(run)


def test_filter_that_raises(serve, capfd):
    """A logger's filter raises while a body's failure is reported."""

    def refuse(record: logging.LogRecord) -> bool:
        raise LookupError("in the filter")

    class Handler(RequestHandler):
        @unblock(executor="one", timeout=0.01)
        def get(self) -> None:
            entered.set()
            assert gate.wait(WAIT)

    entered, gate = threading.Event(), threading.Event()
    server = serve(Handler)
    names = ("tornado.application", "tornado.general", "tornado.access")
    loggers = [logging.getLogger(name) for name in names]
    loggers[0].addFilter(refuse)
    for logger in loggers[1:]:
        logger.setLevel(logging.CRITICAL)
    try:
        assert server.get("/").status == 504
        gate.set()
        check_clean(server, "one")
    finally:
        loggers[0].removeFilter(refuse)
        for logger in loggers[1:]:
            logger.setLevel(logging.NOTSET)
    assert "in the filter" in capfd.readouterr().err


# --- a failure at every step ---------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("error", [Injected, InjectedExit])
def test_every_step_after_a_body(serve, error, fails, any_log):
    """The n-th call that the worker's half makes after the body fails, for every n."""
    hooks: list[FailNth] = []

    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("whole")
            sys.setprofile(hooks[-1])
            if fails:
                raise SystemExit

    server = serve(Handler)
    for n in range(1, 200):
        hooks.append(FailNth(n, error))
        answer = server.get("/")
        on_the_worker("one", lambda: sys.setprofile(None))
        print(n, answer.status, hooks[-1].at)
        if hooks[-1].at is None:
            break
        check_one_answer(answer)
        check_clean(server, "one")
    assert len(hooks) > 5
    assert answer.status == (500 if fails else 200)


def check_one_answer(answer: Response) -> None:
    assert answer.raw.count(b"HTTP/1.1 ") == 1
    assert answer.status in (200, 500)
    assert answer.status == 500 or answer.body == b"whole"


@pytest.mark.parametrize("error", [Injected, InjectedExit])
def test_every_step_of_a_hop_in_the_worker(serve, error, any_log):
    """The n-th call from the moment the job starts fails, for every n."""

    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("whole")

    server = serve(Handler)
    assert server.get("/").body == b"whole"
    for n in range(1, 200):
        hook = FailNth(n, error)
        on_the_worker("one", lambda hook=hook: sys.setprofile(hook))
        answer = server.get("/")
        on_the_worker("one", lambda: sys.setprofile(None))
        print(n, answer.status, hook.at)
        if hook.at is None:
            break
        check_one_answer(answer)
        check_clean(server, "one")
    assert n > 10
    assert answer.body == b"whole"


def test_every_step_of_an_end_on_the_loop_thread(serve, any_log):
    """The n-th call that the loop thread makes once a body has ended, for every n."""
    hooks: list[FailNth] = []

    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("whole")
            # Runs before anything that this body or its worker posts.
            server.loop.call_soon_threadsafe(sys.setprofile, hooks[-1])

    server = serve(Handler)
    for n in range(1, 200):
        hooks.append(FailNth(n, Injected))
        answer = server.get("/")
        server.call(lambda: sys.setprofile(None))
        print(n, answer.status, hooks[-1].at)
        if hooks[-1].at is None:
            break
        check_one_answer(answer)
        check_clean(server, "one")
    assert n > 5
    assert answer.body == b"whole"
