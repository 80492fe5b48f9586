"""The library's errors: what they are, what they say, and how Tornado shows them."""

from __future__ import annotations

import asyncio
import inspect
import logging
import pickle
import re
import signal
import traceback
import typing
from typing import Any

import pytest
from tornado.util import TimeoutError as TornadoTimeoutError
from tornado.web import Finish, HTTPError, RequestHandler

import tornado_unblock
from tornado_unblock import _errors, run_in_executor
from tornado_unblock._errors import (
    AbandonedError,
    BodyExitError,
    ClientGoneError,
    ConfigurationError,
    LoopClosedError,
    LoopThreadError,
    RejectedError,
    ResultError,
    RunTimeoutError,
    UnblockError,
    crossing_error,
    is_failure,
    log,
    safe_repr,
)

TRICKY = "100 % of %s are busy: %d %(x)s {y} äö"
MESSAGES = ["plain", TRICKY, "", "%"]


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        (AbandonedError, RuntimeError),
        (BodyExitError, RuntimeError),
        (ClientGoneError, Finish),
        (ConfigurationError, ValueError),
        (LoopClosedError, RuntimeError),
        (LoopThreadError, RuntimeError),
        (RejectedError, HTTPError),
        (ResultError, TypeError),
        (RunTimeoutError, (HTTPError, TornadoTimeoutError)),
    ],
)
def test_hierarchy(error, bases):
    """Each is an UnblockError, and what code that knows nothing of it expects."""
    assert issubclass(error, UnblockError)
    for base in bases if isinstance(bases, tuple) else (bases,):
        assert issubclass(error, base)


def test_timeout_is_asyncio_s():
    """The `except` clause around an awaited call catches it."""
    assert issubclass(RunTimeoutError, asyncio.TimeoutError)


@pytest.mark.parametrize("message", MESSAGES)
def test_statuses(message):
    """Those that end a request say with which status, and why."""
    rejected = RejectedError(message, reason="full", retry_after=3)
    assert (rejected.status_code, rejected.message) == (503, message)
    assert (rejected.rejection, rejected.retry_after) == ("full", 3)
    assert str(rejected) == f"HTTP 503: {message}"
    assert RejectedError(message, reason="shutdown").retry_after is None
    timeout = RunTimeoutError(message)
    assert (timeout.status_code, str(timeout)) == (504, f"HTTP 504: {message}")
    assert RunTimeoutError(message, status_code=503).status_code == 503


def test_http_reason_is_tornado_s():
    """Why a request was rejected is not what the status line says."""
    assert RejectedError("no worker", reason="full").reason is None


@pytest.mark.parametrize("message", [m for m in MESSAGES if m])
@pytest.mark.parametrize(
    "make", [RunTimeoutError, lambda message: RejectedError(message, reason="full")]
)
def test_logged_by_tornado(make_server, expect_log, make, message):
    """The handler's own error page is sent, and the message logged as it is."""
    error = make(message)

    class Handler(RequestHandler):
        def get(self) -> None:
            raise error

        def write_error(self, status_code, **kwargs) -> None:
            self.write(f"page {status_code} {kwargs['exc_info'][1] is error}")

    line = rf"^{error.status_code} GET / \(127\.0\.0\.1\): {re.escape(message)}$"
    expect_log("tornado.general", line)
    expect_log("tornado.access", rf"^{error.status_code} GET /")
    response = make_server(("/", Handler)).get("/")
    assert response.status == error.status_code
    assert response.body == f"page {error.status_code} True".encode()


def test_client_gone(make_server):
    """Tornado ends the request without an error page and without a log record."""

    class Handler(RequestHandler):
        def get(self) -> None:
            raise ClientGoneError

    assert make_server(("/", Handler)).get("/").body == b""


@pytest.mark.parametrize(
    "error",
    [
        StopIteration("value"),
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        asyncio.CancelledError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_must_not_cross(error):
    """It becomes the cause of an error that can, which names the endpoint."""
    crossed = crossing_error(error, "Orders.get")
    assert isinstance(crossed, BodyExitError)
    assert crossed.__cause__ is error
    expected = f"Orders.get raised {error!r} in a worker; only its request ends"
    assert str(crossed) == expected


class StopSoon(StopIteration):
    """A Future cannot carry this either."""


def test_subclasses_must_not_cross():
    """A class of its own does not let it through."""
    assert isinstance(crossing_error(StopSoon(), "endpoint"), BodyExitError)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        HTTPError(404),
        StopAsyncIteration(),
        RuntimeError("other"),
        RuntimeError("no running event loop", 7),
        asyncio.InvalidStateError("Result is already set."),
        UnblockError(),
    ],
    ids=repr,
)
def test_what_may_cross(error):
    """It arrives as it is."""
    args = error.args
    assert crossing_error(error, "endpoint") is error
    assert error.args == args


def ask_for_the_running_loop() -> None:
    asyncio.get_running_loop()


def run_the_running_loop() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        asyncio._set_running_loop(None)
        try:
            loop.run_forever()
        finally:
            asyncio._set_running_loop(loop)

    asyncio.run(main())


def take_a_result_too_early() -> None:
    loop = asyncio.new_event_loop()
    try:
        loop.create_future().result()
    finally:
        loop.close()


@pytest.mark.parametrize(
    ("mistake", "advice"),
    [
        (ask_for_the_running_loop, "use IOLoop.current().spawn_callback(...) or"),
        (run_the_running_loop, "wait for a coroutine with tornado_unblock.shim.wait("),
        (take_a_result_too_early, "return it from the body to have it awaited"),
    ],
)
def test_advice(mistake, advice):
    """What asyncio says to a body that is not on the loop thread gets an addition."""
    with pytest.raises((RuntimeError, asyncio.InvalidStateError)) as caught:
        mistake()
    said = str(caught.value)
    crossed = crossing_error(caught.value, "endpoint")
    assert crossed is caught.value
    assert str(crossed).startswith(f"{said}: ")
    assert advice in str(crossed)
    again = str(crossed)
    assert str(crossing_error(crossed, "endpoint")) == again


# --- errors that misbehave ---------------------------------------------------------


class Rude(Exception):
    """Every question to it raises."""

    def __refuse(self, *args: Any) -> Any:
        raise LookupError("asked")

    __str__ = __repr__ = __eq__ = __bool__ = __format__ = __refuse  # type: ignore[assignment]
    __hash__ = __refuse  # type: ignore[assignment]
    args = property(__refuse, __refuse)  # type: ignore[assignment]
    __traceback__ = property(__refuse, __refuse)  # type: ignore[assignment]
    __cause__ = property(__refuse, __refuse)  # type: ignore[assignment]
    __class__ = property(__refuse)  # type: ignore[assignment]
    __dict__ = property(__refuse)  # type: ignore[assignment]


class RudeType(type):
    """A class to which every question raises."""

    def __refuse(cls, *args: Any) -> Any:
        raise LookupError("asked")

    __eq__ = __repr__ = __hash__ = __instancecheck__ = __refuse  # type: ignore[assignment]
    __subclasscheck__ = __refuse


class OfRudeType(Exception, metaclass=RudeType):
    """Its class refuses."""


class RudeExit(SystemExit):
    """Not to cross, and not to be asked why."""

    def __repr__(self) -> str:
        raise SystemExit("within repr")


class BytesExit(SystemExit):
    """Its `repr` is no text."""

    def __repr__(self) -> str:
        return b"bytes"  # type: ignore[return-value]


class RudeText(str):
    """Text that is not to be formatted."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        raise LookupError("asked")

    __hash__ = __str__ = __format__  # type: ignore[assignment]


class TextExit(SystemExit):
    """Its `repr` is no plain text."""

    def __repr__(self) -> str:
        return RudeText("text of mine")


def slotted() -> Exception:
    class Slotted(Exception):
        __slots__ = ("args",)

    return Slotted()


@pytest.mark.parametrize("make", [Rude, OfRudeType, slotted])
def test_errors_that_refuse_every_question(make):
    """They cross as they are, and count as failures: their type is asked."""
    error = make()
    assert crossing_error(error, "endpoint") is error
    assert is_failure(error)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (RudeExit, "<RudeExit whose repr raises>"),
        (BytesExit, "<BytesExit whose repr raises>"),
        (TextExit, "text of mine"),
    ],
)
def test_exits_that_refuse_every_question(make, said):
    """The request ends, and the message says what can be said."""
    error = make()
    crossed = crossing_error(error, "Orders.get")
    expected = f"Orders.get raised {said} in a worker; only its request ends"
    assert str(crossed) == expected
    assert crossed.__cause__ is error


def test_text_of_what_has_a_rude_type():
    """Not even its name is asked of it."""
    assert safe_repr(OfRudeType) == "<RudeType whose repr raises>"
    assert safe_repr(Rude()) == "<Rude whose repr raises>"
    assert safe_repr([1]) == "[1]"


@pytest.mark.parametrize(
    "make", [lambda: RudeText("no running event loop"), Rude, bytes]
)
def test_no_advice_for_what_is_no_plain_text(make):
    """An error of the user that looks like asyncio's is left alone."""
    text = make()
    error = RuntimeError(text)
    assert crossing_error(error, "endpoint") is error
    assert error.args[0] is text


@pytest.mark.parametrize(
    ("status", "failed"), [(404, False), (503, True), ("404", False), (None, True)]
)
def test_failures_by_status(status, failed):
    """A status that is no number cannot be sent: Tornado sends 500."""
    error = HTTPError(500)
    error.status_code = status
    assert is_failure(error) is failed


def test_status_that_refuses():
    """It counts as a failure."""

    class Refusing(HTTPError):
        @property
        def status_code(self) -> int:
            raise LookupError

        @status_code.setter
        def status_code(self, value: int) -> None:
            """It is set by Tornado's own `__init__`."""

    assert is_failure(Refusing())
    assert not is_failure(Finish())
    assert not is_failure(AbandonedError())


def test_cycles_of_causes_are_logged(expect_log):
    """An error that is its own cause, with one that has a traceback of its own."""
    seen = expect_log("tornado.application", "it went wrong: 7")
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    log(logging.ERROR, "it went %s: %d", "wrong", 7, error=first)
    assert seen.messages == ["it went wrong: 7"]


def test_a_filter_that_raises_ends_nothing(capsys):
    """It is printed, as what goes wrong in a handler is."""

    def refuse(record: logging.LogRecord) -> bool:
        raise LookupError("in the filter")

    logger = logging.getLogger("tornado.application")
    logger.addFilter(refuse)
    try:
        log(logging.ERROR, "never seen")
    finally:
        logger.removeFilter(refuse)
    assert "LookupError: in the filter" in capsys.readouterr().err


def test_all_errors_are_public():
    """Every error of the module can be imported from the package, and is documented."""
    defined = {
        name
        for name, value in vars(_errors).items()
        if inspect.isclass(value)
        and value.__module__ in (_errors.__name__, tornado_unblock.__name__)
        and not name.startswith("_")
    }
    assert defined == set(_errors.__all__) <= set(tornado_unblock.__all__)
    for name in defined:
        assert getattr(tornado_unblock, name) is getattr(_errors, name)


@pytest.mark.parametrize("name", tornado_unblock.__all__)
def test_every_public_name_is_documented(name):
    """With a docstring of its own, not that of a base class."""
    assert (vars(tornado_unblock)[name].__doc__ or "").strip()
    assert name in dir(tornado_unblock)


MADE = [
    RejectedError("no worker", reason="full", retry_after=3),
    RunTimeoutError("too long", status_code=503),
    *(
        getattr(tornado_unblock, name)("what happened")
        for name in _errors.__all__
        if name not in ("RejectedError", "RunTimeoutError")
    ),
]


@pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)
def test_errors_print_by_the_name_that_users_import(error):
    """A traceback names what an `except` clause can."""
    printed = traceback.format_exception_only(type(error), error)[-1]
    assert printed.startswith(f"tornado_unblock.{type(error).__name__}: ")


@pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_errors_are_pickled(error, protocol):
    """They come whole out of another process."""
    copy = pickle.loads(pickle.dumps(error, protocol))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
    assert copy.args == error.args


@pytest.mark.parametrize("name", tornado_unblock.__all__)
def test_public_names_are_found_where_they_say(name):
    """By pickle, and by what asks for types; functions and errors say the package."""
    value = getattr(tornado_unblock, name)
    assert pickle.loads(pickle.dumps(value)) is value
    typing.get_type_hints(value)
    if not inspect.isclass(value) or issubclass(value, UnblockError):
        assert value.__module__ == "tornado_unblock"


def test_main_thread_only():
    """What Python allows in the main thread alone says so, and what to do."""

    async def main() -> None:
        with pytest.raises(ValueError, match=r"main thread.*: .*main thread"):
            await run_in_executor(signal.signal, signal.SIGTERM, signal.SIG_DFL)

    asyncio.run(main())
