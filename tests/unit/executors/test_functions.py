"""What a function is called, and whether it is asynchronous."""

from __future__ import annotations

import functools
import operator
import types
from typing import Any

import pytest
from tornado import gen

from tornado_unblock._executors.functions import check_function, describe, is_async


class Calls:
    """Objects that are called: how, says their class."""

    def __call__(self) -> int:
        return 1

    def method(self) -> int:
        return 2

    async def coroutine(self) -> int:
        return 3


class CallsAsync:
    async def __call__(self) -> int:
        return 4


def plain() -> int:
    return 5


async def coroutine() -> int:
    return 6


async def generator() -> Any:
    yield 7


@gen.coroutine
def of_tornado() -> Any:
    yield gen.moment


@types.coroutine
def of_types() -> Any:
    yield


@pytest.mark.parametrize(
    "fn",
    [plain, len, Calls, Calls(), Calls().method, CallsAsync, functools.partial(plain)],
)
def test_sync(fn):
    """A class is called to make an object, however that is called."""
    assert not is_async(fn)
    check_function(fn)


@pytest.mark.parametrize(
    "fn",
    [
        *(coroutine, generator, of_tornado, of_types),
        *(Calls().coroutine, Calls.coroutine, CallsAsync()),
        functools.partial(functools.partial(coroutine)),
    ],
)
def test_async(fn):
    """However deep it is hidden in partial objects; the refusal says what to do."""
    assert is_async(fn)
    with pytest.raises(TypeError, match="asynchronous already: await it instead"):
        check_function(fn)


def test_no_function():
    """What cannot be called is shown."""
    with pytest.raises(TypeError, match="expected a function, not 'reports'"):
        check_function("reports")


class AnyAttribute:
    """As proxies and attribute dictionaries are."""

    def __getattr__(self, name):
        return AnyAttribute()

    def __call__(self): ...


def test_names():
    """The qualified name where there is one, else that of the object's class."""
    assert describe(Calls.method) == describe(Calls().method) == "Calls.method"
    assert describe(functools.partial(plain, 1)) == "plain"
    assert describe(len) == "len"
    calls = Calls()
    # Of an object without a name, its class: statistics keep something for each.
    assert describe(calls) == "Calls"
    assert describe(operator.itemgetter(7)) == "itemgetter"
    assert describe(AnyAttribute()) == "AnyAttribute"
