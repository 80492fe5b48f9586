"""What `unblock` may be put on, and the options it takes."""

from __future__ import annotations

import concurrent.futures
import functools
import types
from typing import Any

import pytest
from tornado import gen

from tornado_unblock import ConfigurationError, unblock


class Bad:
    async def coroutine(self) -> None: ...

    async def generator(self) -> Any:
        yield

    @gen.coroutine
    def decorated(self) -> Any:
        yield gen.moment

    @types.coroutine
    def generator_based(self) -> Any:
        yield


class AsyncCallable:
    async def __call__(self) -> None: ...


class Callable:
    def __call__(self) -> None: ...


class Raising:
    """A proxy of what is there within a request only."""

    @property
    def __class__(self) -> Any:
        raise LookupError("no request")


class RaisingCallable:
    """The same, of something that can be called."""

    def __getattr__(self, name: str) -> Any:
        raise LookupError("no request")

    def __call__(self) -> None: ...


class Unspeakable:
    def __repr__(self) -> str:
        raise LookupError("no request")


class UnspeakableCallable(Unspeakable):
    def __call__(self) -> None: ...


def get_current_user(self: Any) -> None: ...


@pytest.mark.parametrize(
    ("what", "advice"),
    [
        (Bad.coroutine, "await run_in_executor"),
        (Bad.generator, "await run_in_executor"),
        (Bad.decorated, "await run_in_executor"),
        (Bad.generator_based, "await run_in_executor"),
        (functools.partial(Bad.coroutine), "await run_in_executor"),
        (AsyncCallable(), "await run_in_executor"),
        (staticmethod(len), "run_in_executor"),
        (classmethod(len), "run_in_executor"),
        (7, "options are given by name"),
        ("reports", "options are given by name"),
        (property(len), "or the method that uses it"),
        (functools.cached_property(len), "or the method that uses it"),
        (functools.partialmethod(len), "unblock the function that it is made of"),
        (functools.singledispatchmethod(len), "unblock the function"),
        (Callable(), "unblock a method that calls it"),
        (get_current_user, "unblock the method that causes the call"),
    ],
)
def test_misuse_raises_at_decoration(what, advice):
    """The message says what to do instead."""
    with pytest.raises(TypeError, match=advice):
        unblock(what)
    with pytest.raises(TypeError, match=advice):
        unblock(timeout=1)(what)


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (Raising, "looked at, it raises LookupError; unblock a method that"),
        (RaisingCallable, "looked at, it raises LookupError; unblock a method that"),
        (Unspeakable, "not <Unspeakable whose repr raises>; options are"),
        (UnspeakableCallable, "<UnspeakableCallable whose repr raises>: in a class"),
    ],
)
def test_what_raises_when_it_is_looked_at(make, advice):
    """What it raises is no answer to who decorates it."""
    with pytest.raises(TypeError, match=advice):
        unblock(make())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"timeout": 0}, ConfigurationError, "positive number of seconds"),
        ({"timeout": "5"}, ConfigurationError, "positive number of seconds"),
        ({"timeout": True}, ConfigurationError, "positive number of seconds"),
        ({"executor": 5}, TypeError, "a name or a ThreadPoolExecutor"),
        ({"json_encoder": 5}, TypeError, "must be callable"),
        ({"workers": 5}, TypeError, "workers"),
    ],
)
def test_bad_options_raise_at_decoration(options, error, message):
    """An option with no meaning never reaches a request."""
    with pytest.raises(error, match=message):
        unblock(**options)


def test_process_executor_is_refused():
    """A handler cannot be pickled."""
    with concurrent.futures.ProcessPoolExecutor(1) as processes:
        with pytest.raises(TypeError, match="cannot be pickled"):
            unblock(executor=processes)
