"""What a function is called, and whether it is asynchronous."""

from __future__ import annotations

import functools
import inspect

from tornado import gen


def check_function(fn: object) -> None:
    """Raise `TypeError` unless ``fn`` is a callable that is not asynchronous."""
    if not callable(fn):
        raise TypeError(f"expected a function, not {fn!r}")
    if is_async(fn):
        raise TypeError(
            f"{describe(fn)} is asynchronous already: await it instead of "
            "running it on an executor"
        )


def is_async(fn: object) -> bool:
    """Whether calling ``fn`` makes a coroutine or an asynchronous generator."""
    fn = _called(fn)
    flags = getattr(getattr(fn, "__code__", None), "co_flags", 0)
    return (
        inspect.iscoroutinefunction(fn)
        or inspect.isasyncgenfunction(fn)
        or bool(gen.is_coroutine_function(fn))
        or bool(flags & inspect.CO_ITERABLE_COROUTINE)
    )


def is_generator(fn: object) -> bool:
    """Whether calling ``fn`` makes a generator, and runs nothing of its body."""
    return inspect.isgeneratorfunction(_called(fn))


def _called(fn: object) -> object:
    """Return the function that runs when ``fn`` is called."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    if not inspect.isroutine(fn) and not inspect.isclass(fn):
        fn = type(fn).__call__
    return fn


def describe(fn: object) -> str:
    """Return what errors and statistics call ``fn``.

    Statistics keep something for each name, so it is one of the code, never one of
    data: an object without a name is called after its class.
    """
    while isinstance(fn, functools.partial):
        fn = fn.func
    name = getattr(fn, "__qualname__", None)
    # A proxy or a mock may claim any attribute.
    return name if isinstance(name, str) else type(fn).__qualname__
