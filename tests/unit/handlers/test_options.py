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
        (property(len), "options are given by name"),
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
