"""Every exception the library raises, and how it treats what users raise.

Those that end a request also derive from `tornado.web.HTTPError`, so Tornado
renders them through the handler's own ``write_error`` unaided.
"""

from __future__ import annotations

import asyncio
import contextlib
import copyreg
import re
import traceback
from typing import Any, Optional

from tornado import util
from tornado.log import app_log
from tornado.web import Finish, HTTPError

__all__ = [
    "AbandonedError",
    "BodyExitError",
    "ClientGoneError",
    "ConfigurationError",
    "JobArgumentError",
    "JobCancelledError",
    "JobStoreError",
    "LoopClosedError",
    "LoopThreadError",
    "RejectedError",
    "ResultError",
    "RunTimeoutError",
    "StallError",
    "UnblockError",
]


class UnblockError(Exception):
    """Base of every error of this library."""


class ConfigurationError(UnblockError, ValueError):
    """An option has no meaning, or comes too late to take effect."""


class LoopThreadError(UnblockError, RuntimeError):
    """A call came from the wrong side: blocking on the loop thread, or the reverse."""


class LoopClosedError(UnblockError, RuntimeError):
    """The loop a worker needed is closed, or the interpreter is going down."""


class AbandonedError(UnblockError, RuntimeError):
    """Raised in a body that runs on after its request was answered without it.

    The body's later ``write``, ``flush`` and ``finish`` raise this, so that a
    loop over many of them ends. Ask `cancelled` to stop earlier.
    """


class BodyExitError(UnblockError, RuntimeError):
    """A body raised what must not leave its worker, such as `SystemExit`.

    The original is the ``__cause__``. The request ends with a 500; the loop
    and the worker live on.
    """


class ResultError(UnblockError, TypeError):
    """A body returned a value that the JSON encoder cannot encode."""


class StallError(UnblockError, AssertionError):
    """A test stalled the event loop, under `tornado_unblock.testing.no_stalls`.

    An `AssertionError`, so a test fails with it rather than end with an error.
    """


class JobArgumentError(UnblockError, TypeError):
    """An argument, or the result, of a job cannot be kept as JSON.

    The message names it: ``argument 'order'['lines'][2]``.
    """


class JobStoreError(UnblockError, RuntimeError):
    """Where jobs are kept cannot be reached, is full, or is of a newer version."""


class JobCancelledError(UnblockError, RuntimeError):
    """Raised by ``jobs.current().check()``: the job is to end now."""


class ClientGoneError(UnblockError, Finish):
    """The client left while its request was waiting for a worker.

    A `tornado.web.Finish`, so Tornado ends the request without an error page.
    """


class _HTTPUnblockError(UnblockError, HTTPError):
    """What the two errors with an HTTP status of their own share."""

    def __init__(self, status_code: int, message: str) -> None:
        HTTPError.__init__(self, status_code, message)
        self.message = message

    def __str__(self) -> str:
        return f"HTTP {self.status_code}: {self.message}"

    def __reduce__(self) -> tuple[object, ...]:
        # Not by calling the class: it wants more than `args` has.
        return copyreg.__newobj__, (type(self), *self.args), vars(self)  # type: ignore[attr-defined]


class RejectedError(_HTTPUnblockError):
    """No worker could be had in time: HTTP 503 with ``Retry-After``.

    Args:
        message: What happened, where, and what to do.
        reason: ``"full"``, ``"queue_timeout"``, ``"shutdown"`` or
            ``"no_thread"``: the key under which `statistics` counts it.
        retry_after: Seconds, sent as the ``Retry-After`` header; ``None``
            sends none.
    """

    def __init__(
        self, message: str, *, reason: str, retry_after: Optional[int] = None
    ) -> None:
        super().__init__(503, message)
        self.rejection = reason
        self.retry_after = retry_after


# Tornado has a TimeoutError of its own before 6.2.
_TIMEOUT_ERRORS = tuple(dict.fromkeys((asyncio.TimeoutError, util.TimeoutError)))


class RunTimeoutError(_HTTPUnblockError, *_TIMEOUT_ERRORS):  # type: ignore[misc]
    """A body ran longer than its ``timeout``: HTTP 504 (configurable).

    Also an `asyncio.TimeoutError` and Tornado's, so the ``except`` clause that stands
    around an awaited `run_in_executor` catches it.
    """

    def __init__(self, message: str, *, status_code: int = 504) -> None:
        super().__init__(status_code, message)


_ALREADY_RUNNING = (
    "the application's event loop is running already: a worker cannot run it "
    "again; wait for a coroutine with tornado_unblock.shim.wait(coroutine), or with "
    "IOLoop.current().run_sync(function)"
)

_MAIN_THREAD_ONLY = (
    "a worker is not the main thread. Do this once, before the server starts, or have "
    "the loop's thread do it, if that is the main one: "
    "IOLoop.current().add_callback(function, ...). To limit the time of a body use "
    "unblock(timeout=...) in place of signal.alarm, and subprocess in place of "
    "tornado.process.Subprocess"
)
# What Python says off the main thread, of signals and of child processes.
_SAID_OFF_MAIN_THREAD = "only works? in (the )?main thread"

# What asyncio says to a body that treats its worker as the loop thread, and
# what to do instead.
_ADVICE = {
    "no running event loop": (
        "no event loop runs in a worker: use IOLoop.current().spawn_callback(...) "
        "or asyncio.ensure_future(...), which start it on the loop thread"
    ),
    "This event loop is already running": _ALREADY_RUNNING,
    "this event loop is already running.": _ALREADY_RUNNING,  # uvloop's words
    "Result is not set.": (
        "this Future of the event loop has no result yet, and a worker cannot "
        "wait for it with result(): return it from the body to have it awaited"
    ),
}


# --- what users raise -------------------------------------------------------------
#
# Any object of a user may raise when it is asked for its text, its attributes or its
# truth, and any filter of a logger when something is logged. What stands below never
# runs such code unguarded: types are asked, not instances.

_traceback_of = BaseException.__dict__["__traceback__"].__get__
_name_of_type = type.__dict__["__qualname__"].__get__


def is_failure(error: BaseException) -> bool:
    """Whether a body that ends with ``error`` has failed; never raises."""
    kind = type(error)
    if issubclass(kind, HTTPError):
        return _is_server_error(error)
    # The latter is how an abandoned body ends.
    return not issubclass(kind, (Finish, AbandonedError))


def _is_server_error(error: Any) -> bool:
    try:
        return bool(int(error.status_code) >= 500)
    except Exception:
        return True  # Tornado cannot send such a status either: it sends 500


def crossing_error(error: BaseException, endpoint: str) -> Exception:
    """Return what can be raised on the loop thread for ``error``; never raises.

    `SystemExit` and `KeyboardInterrupt` there stop the server, and a Future
    cannot carry `StopIteration`.
    """
    kind = type(error)
    if not issubclass(kind, Exception) or issubclass(kind, StopIteration):
        exit_error = BodyExitError(
            f"{endpoint} raised {safe_repr(error)} in a worker; only its request ends"
        )
        exit_error.__cause__ = error
        return exit_error
    if kind is RuntimeError or kind is ValueError or kind is asyncio.InvalidStateError:
        _advise(error)
    return error  # type: ignore[return-value] # its type is a subclass of Exception


def _advise(error: BaseException) -> None:
    """Say what to do instead, where asyncio itself raised ``error``."""
    args = error.args
    if len(args) == 1 and type(args[0]) is str:
        advice = _ADVICE.get(args[0])
        if advice is None and re.search(_SAID_OFF_MAIN_THREAD, args[0]):
            advice = _MAIN_THREAD_ONLY
        if advice is not None:
            error.args = (f"{args[0]}: {advice}",)


def safe_repr(value: object) -> str:
    """Return ``repr(value)``, or what can be said without it; never raises."""
    try:
        return str.__str__(repr(value))  # a plain str, with no methods of others
    except BaseException:
        return f"<{_name_of_type(type(value))} whose repr raises>"


def log(
    level: int, message: str, *args: object, error: Optional[BaseException] = None
) -> None:
    """Log to ``tornado.application``; any thread.

    What filters and handlers raise is printed, as `logging` does with what goes wrong
    within a handler: bookkeeping must not end there.

    Args:
        level: As for `logging.log`.
        message: As for `logging.log`.
        *args: As for `logging.log`.
        error: What to add with its traceback.
    """
    caught = None
    if error is not None:
        caught = (type(error), error, _traceback_of(error))
    try:
        app_log.log(level, message, *args, exc_info=caught)
    except Exception:
        with contextlib.suppress(Exception):
            traceback.print_exc()
    finally:
        del caught, error  # traceback -> this frame -> error: no cycle
