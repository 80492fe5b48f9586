"""What `tornado.stack_context` did, with context variables.

A context that code is in goes along with every callback that it hands to the
loop. What such a callback raises goes to the contexts it came from, innermost
first, before the loop logs it.

# Threads: any. What a thread is in is a context variable.
# Guarantees:
# - a loop is touched only once one of these contexts is entered on it, and then
#   by attributes of that one object;
# - callbacks that belong to no context run as ever;
# - what a handler's body hands to the loop from a worker runs when the body has
#   ended, as it would on the loop thread.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import sys
import weakref
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Callable, Optional, Protocol, TypeVar, cast

from tornado.ioloop import IOLoop

from tornado_unblock._loop.lease import current_lease, in_worker, running_loop
from tornado_unblock.shim.legacy._gate import gate_of_body

_F = TypeVar("_F", bound=Callable[..., Any])
_T = TypeVar("_T")

ContextFactory = Callable[[], contextlib.AbstractContextManager[Any]]
ExceptionHandler = Callable[
    [type[BaseException], BaseException, Optional[TracebackType]], Optional[bool]
]


class StackContextInconsistentError(Exception):
    """A context was left in another order than it was entered."""


class Entry(Protocol):
    """What goes along with a callback."""

    active: bool

    def scope(self) -> contextlib.AbstractContextManager[None]:
        """Return what stands around one run of the callback."""
        ...


class Link:
    """One entry, and those it is in."""

    __slots__ = ("entry", "outer")

    def __init__(self, entry: Entry, outer: Optional[Link]) -> None:
        self.entry = entry
        self.outer = outer


_innermost: contextvars.ContextVar[Optional[Link]] = contextvars.ContextVar(
    "tornado_unblock.shim.legacy", default=None
)


@contextlib.contextmanager
def pushed(entry: Optional[Entry]) -> Iterator[None]:
    """Be in ``entry``, or in nothing at all."""
    outer = _innermost.get()
    link = None if entry is None else Link(entry, outer)
    _innermost.set(link)
    if link is not None:
        _hook_loop()
    try:
        yield
    finally:
        found = _innermost.get()
        _innermost.set(outer)
    if found is not link:
        raise StackContextInconsistentError(
            "a stack_context was left while one inside it was still entered; "
            "leave contexts in the reverse order, with `with`"
        )


class _Context:
    """What the two kinds of contexts share."""

    active = True

    def __init__(self) -> None:
        self._entered: list[contextlib.ExitStack] = []

    def scope(self) -> contextlib.AbstractContextManager[None]:
        """Return what stands around one run of a callback."""
        raise NotImplementedError  # pragma: no cover - both kinds override it

    def __enter__(self) -> Callable[[], None]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(pushed(self))
            stack.enter_context(self.scope())
            self._entered.append(stack.pop_all())
        return self._deactivate

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> Optional[bool]:
        return self._entered.pop().__exit__(kind, error, trace)

    def _deactivate(self) -> None:
        self.active = False


class StackContext(_Context):
    """Enter a context manager around a block and each callback that it hands out.

    ``with`` gives a function; call it, and later callbacks go without.

    Args:
        context_factory: Returns a new context manager each time.
    """

    def __init__(self, context_factory: ContextFactory) -> None:
        super().__init__()
        self.context_factory = context_factory

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Enter a context manager; it cannot swallow an exception."""
        manager = self.context_factory()
        manager.__enter__()
        try:
            yield
        except BaseException:
            manager.__exit__(*sys.exc_info())
            raise
        else:
            manager.__exit__(None, None, None)


class ExceptionStackContext(_Context):
    """Give what a block and its callbacks raise to a function.

    Args:
        exception_handler: ``handler(type, value, traceback)``; when it returns
            true, the exception ends there.
        delay_warning: Not looked at.
    """

    def __init__(
        self, exception_handler: ExceptionHandler, delay_warning: bool = False
    ) -> None:
        super().__init__()
        self.exception_handler = exception_handler

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Hand over what is raised."""
        try:
            yield
        except Exception as error:
            if not self.exception_handler(type(error), error, error.__traceback__):
                raise


class NullContext:
    """Be in no context: for what outlives the request that first needs it."""

    def __init__(self) -> None:
        self._entered: list[contextlib.AbstractContextManager[None]] = []

    def __enter__(self) -> None:
        self._entered.append(pushed(None))
        self._entered[-1].__enter__()

    def __exit__(self, *error: Any) -> None:
        self._entered.pop().__exit__(*error)


def run_with_stack_context(
    context: contextlib.AbstractContextManager[Any], func: Callable[[], _T]
) -> _T:
    """Call ``func()`` in ``context`` and return what it returns."""
    with context:
        return func()
    raise AssertionError  # pragma: no cover - for type checkers


def wrap(fn: _F) -> _F:
    """Return ``fn`` so that it runs in the present contexts, whoever calls it.

    The context variables are those of now, too. Any thread; it runs in the
    thread that calls it. None, and what is wrapped already, is returned as it is.
    """
    if fn is None or hasattr(fn, "_wrapped"):
        return fn
    context = contextvars.copy_context()
    link = _innermost.get()

    @functools.wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        # A copy: it may be called again before it returns.
        return context.copy().run(_run_in, link, fn, *args, **kwargs)

    wrapped._wrapped = True  # type: ignore[attr-defined]
    return cast("_F", wrapped)


def gated(io_loop: IOLoop, fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``fn``, to be called on the loop thread once the present body ended."""
    if not in_worker() or _innermost.get() is None:
        return fn
    gate = gate_of_body()
    if gate is None:
        return fn

    def run(*args: Any, **kwargs: Any) -> None:
        gate.pass_through(io_loop._run_callback, functools.partial(fn, *args, **kwargs))

    run._wrapped = True  # type: ignore[attr-defined]
    return run


def _run_in(
    link: Optional[Link], fn: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    entries: list[Entry] = []
    while link is not None:
        entries.append(link.entry)
        link = link.outer
    with contextlib.ExitStack() as stack:
        for entry in reversed(entries):
            if entry.active:
                stack.enter_context(entry.scope())
        return fn(*args, **kwargs)
    return None  # an entry took the exception


_run_in._wrapped = True  # type: ignore[attr-defined]


def with_contexts(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``callback`` to run now, in the contexts it was handed out in."""
    link = _innermost.get()
    if link is None or hasattr(getattr(callback, "func", callback), "_wrapped"):
        return callback
    return functools.partial(_run_in, link, callback)


def _hook_loop() -> None:
    """Make the present loop heed contexts."""
    if running_loop() is None and current_lease() is None:
        return
    io_loop = IOLoop.current()
    own = vars(io_loop)
    if "_run_callback" not in own:
        # The loop is not to refer to itself.
        it = weakref.ref(io_loop)
        own["_run_callback"] = functools.partial(_run_callback, it)
        own["add_callback"] = functools.partial(_add_callback, it)
        own["call_at"] = functools.partial(_call_at, it)


def _run_callback(it: weakref.ref[IOLoop], callback: Callable[[], Any]) -> None:
    io_loop = it()
    assert io_loop is not None
    type(io_loop)._run_callback(io_loop, with_contexts(callback))


def _add_callback(
    it: weakref.ref[IOLoop], callback: Callable[..., Any], *args: Any, **kwargs: Any
) -> None:
    io_loop = it()
    assert io_loop is not None
    type(io_loop).add_callback(io_loop, gated(io_loop, callback), *args, **kwargs)


def _call_at(
    it: weakref.ref[IOLoop],
    when: float,
    callback: Callable[..., Any],
    *args: Any,
    **kwargs: Any,
) -> object:
    io_loop = it()
    assert io_loop is not None
    own = type(io_loop).call_at
    return own(io_loop, when, gated(io_loop, callback), *args, **kwargs)
