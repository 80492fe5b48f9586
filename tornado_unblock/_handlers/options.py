"""How a handler's bodies run: the options of `unblock`, and what they may be put on."""

from __future__ import annotations

import concurrent.futures
from typing import Optional

from tornado.web import RequestHandler

from tornado_unblock._errors import safe_repr
from tornado_unblock._executors.functions import describe, is_async
from tornado_unblock._executors.options import check_seconds
from tornado_unblock._executors.registry import AnyExecutor, JSONEncoder, check_known
from tornado_unblock._handlers.methods import USED_AT_ONCE


class BodyOptions:
    """How one decorated body runs; see `unblock`."""

    __slots__ = ("executor", "json_encoder", "timeout")

    def __init__(
        self,
        executor: Optional[AnyExecutor] = None,
        timeout: Optional[float] = None,
        json_encoder: Optional[JSONEncoder] = None,
    ) -> None:
        self.executor = executor
        self.timeout = timeout
        self.json_encoder = json_encoder

    def copy(self) -> BodyOptions:
        """Return options of the same kind for another body."""
        return BodyOptions(self.executor, self.timeout, self.json_encoder)

    def given(self) -> bool:
        """Whether any option was given."""
        return bool(self.executor or self.timeout or self.json_encoder)


def body_options(
    executor: Optional[AnyExecutor] = None,
    timeout: Optional[float] = None,
    json_encoder: Optional[JSONEncoder] = None,
) -> BodyOptions:
    """Return the options of `unblock`, checked."""
    check_seconds("timeout", timeout)
    _check_executor(executor)
    if json_encoder is not None and not callable(json_encoder):
        raise TypeError(f"json_encoder must be callable, not {json_encoder!r}")
    return BodyOptions(executor, timeout, json_encoder)


def _check_executor(executor: Optional[AnyExecutor]) -> None:
    if executor is None or isinstance(executor, str):
        check_known(executor)
        return
    if not isinstance(executor, concurrent.futures.Executor):
        raise TypeError(
            f"executor must be a name or a ThreadPoolExecutor, not {executor!r}"
        )
    if not isinstance(executor, concurrent.futures.ThreadPoolExecutor):
        raise TypeError(
            f"a handler cannot be pickled, so its body cannot run on a "
            f"{type(executor).__name__}; unblock it on threads, and call what is "
            "to run elsewhere with run_in_executor(fn, ..., executor=...)"
        )


def check_method(method: object) -> None:
    """Check that `unblock` can serve ``method``.

    Raises:
        TypeError: It cannot; the message says what to do instead.
    """
    try:
        _check_method(method)
    except TypeError:
        raise
    except Exception as error:  # a proxy of what is there within a request only
        raise TypeError(
            f"unblock cannot serve {safe_repr(method)}: looked at, it raises "
            f"{type(error).__name__}; unblock a method that calls it"
        ) from error


def _check_method(method: object) -> None:
    if isinstance(method, (staticmethod, classmethod)):
        raise TypeError(
            f"unblock cannot serve a {type(method).__name__}: it has no handler; "
            "call it with run_in_executor, or unblock the method that calls it"
        )
    if not callable(method) and hasattr(type(method), "__get__"):
        raise TypeError(
            f"unblock cannot serve a {type(method).__name__}, which is no method but "
            "gives one, or a value, when it is looked up; unblock the function that it "
            "is made of, or the method that uses it"
        )
    if not callable(method):
        raise TypeError(
            f"unblock expects a method of a handler, not {safe_repr(method)}; "
            "options are given by name: @unblock(executor='reports', timeout=10)"
        )
    name = describe(method)
    if is_async(method):
        raise TypeError(
            f"{name} is asynchronous already and does not need unblock; put it on "
            "the sync methods it calls, or call blocking functions in it with "
            "await run_in_executor(fn, ...)"
        )
    if not hasattr(type(method), "__get__"):
        raise TypeError(
            f"unblock cannot serve {safe_repr(method)}: in a class it does not become "
            "a method, so no handler is given to it; unblock a method that calls it"
        )
    if name.rpartition(".")[2] in USED_AT_ONCE:
        raise TypeError(
            f"Tornado needs the result of {name} at once, so it cannot be moved "
            "alone; unblock the method that causes the call, in whose worker it "
            "then runs"
        )


def class_options(cls: type[RequestHandler]) -> Optional[BodyOptions]:
    """Return the options of ``@unblock`` on ``cls`` or a base of it, if it is there."""
    options = getattr(cls._execute, "_unblock_class_options", None)
    return options if isinstance(options, BodyOptions) else None
