"""What a thread is doing, read from its frames."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from typing import Any, Callable

import pytest
import tornado.web

from tests.unit.stalls.samples import OWN, library, step
from tornado_unblock._stalls import frames
from tornado_unblock._stalls.frames import from_dump, is_own, module_kind, package_of

EXACT = sys.version_info >= (3, 11)


class Thing:
    """Holds what is called."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    @property
    def trap(self) -> Any:
        raise AssertionError("it must not run")


def seen(fn: Callable[[], object]) -> frames.Sample:
    """Look at ``fn``, which waits in a C function until it was looked at."""
    found: list[Any] = []
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=fn)
    thread.start()
    assert READY.wait(10)
    while not (found and found[0] and is_own(found[0].steps[-1])):
        found[:] = [frames.take(thread.ident or 0, loop, lambda: True)]
    GATE.release()
    thread.join()
    READY.clear()
    loop.close()
    sample: frames.Sample = found[0]
    return sample


READY = threading.Event()
GATE = threading.Lock()
GATE.acquire()


def by_name() -> None:
    READY.set()
    GATE.acquire()


def by_attribute() -> None:
    thing = Thing()
    thing.lock = GATE
    READY.set()
    thing.lock.acquire()


def by_with() -> None:
    READY.set()
    with GATE:
        pass
    GATE.acquire()


def by_property() -> None:
    thing = Thing()
    READY.set()
    str(thing) if thing is None else GATE.acquire(thing is not None)


@pytest.mark.parametrize("fn", [by_name, by_attribute, by_with])
def test_c_functions_are_named(fn: Callable[[], object]) -> None:
    """The names in the source are looked up as the interpreter would."""
    called = seen(fn).called
    assert any(name.startswith("_thread.lock") for name in called), called


def test_nothing_of_the_program_runs() -> None:
    """A property in the way is not asked."""
    assert seen(by_property).called


def test_a_thread_that_is_gone() -> None:
    """Nothing is seen of it."""
    loop = asyncio.new_event_loop()
    assert frames.take(-1, loop, lambda: True) is None
    assert frames.take(threading.get_ident(), loop, lambda: False) is None
    loop.close()


@pytest.mark.parametrize(
    ("file", "kind", "package"),
    [
        (os.__file__, "stdlib", "os"),
        (asyncio.__file__, "stdlib", "asyncio"),
        (tornado.web.__file__, "tornado", "tornado"),
        (frames.__file__, "library", ""),
        (OWN, "user", ""),
        ("<string>", "user", ""),
        ("<frozen importlib._bootstrap>", "stdlib", "importlib"),
        (library("requests").file, "site", "requests"),
    ],
)
def test_whose_code_it_is(file: str, kind: str, package: str) -> None:
    """By where the file is."""
    if not (file == frames.__file__ and "site-packages" in file):
        assert package_of(file).rpartition(".")[2] == package
    assert module_kind(file) == kind
    assert is_own(step(file)) == (kind == "user")


def test_installed_code_of_ones_own() -> None:
    """A package may be the program's own."""
    assert not is_own(library("requests"))
    assert is_own(library("requests"), "requests")


def test_dumps() -> None:
    """What `faulthandler` saw begins at the handler, if there is one."""
    steps = (
        step(os.path.join(os.path.dirname(asyncio.__file__), "events.py"), "_run"),
        step(tornado.web.__file__, "_execute"),
        step(OWN, "get"),
    )
    sample = from_dump(steps, None)
    assert (sample.begins, sample.serving) == (1, True)
    sample = from_dump((steps[0], steps[2]), None)
    assert (sample.begins, sample.serving) == (1, False)
    assert from_dump((steps[2],), None).begins == 0
    assert time.perf_counter() > 0
