"""What a thread is doing, read from its frames."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import types
from collections.abc import Coroutine
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


@pytest.mark.parametrize(
    ("names", "own"),
    [
        ({}, True),
        ({"__name__": "no_module"}, True),
        ({"__name__": 7}, True),
        ({"__name__": __name__}, True),
        ({"__name__": "requests"}, False),
        ({"__name__": "requests", "__file__": __file__}, True),
        ({"__file__": asyncio.__file__}, False),
        ({"__file__": 7}, True),
    ],
)
def test_whose_generated_code_is(names: dict[str, Any], own: bool) -> None:
    """Whoever has made it; what is the program's keeps its name, and its lines."""
    import requests  # noqa: F401 - in sys.modules

    text = "def wrapper(look):\n    return look()"
    exec(compile(text, "<generated wrapper>", "exec"), names)
    loop = asyncio.new_event_loop()
    sample = names["wrapper"](
        lambda: frames.take(threading.get_ident(), loop, lambda: True)
    )
    loop.close()
    (made,) = (step for step in sample.steps if step.name == "wrapper")
    assert is_own(made) == own
    assert (made.file == "<generated wrapper>") == own


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


def test_dumps_of_uvloop() -> None:
    """Where no handle tells, what the loop calls is below the loop's own frames."""
    loop = step("/site/uvloop/loop.pyx", "run_forever")
    assert from_dump((loop, step(OWN, "tick")), None).begins == 1


def test_frames_that_only_look_like_tornados() -> None:
    """A function called `_execute` serves nobody's request."""

    def _execute(self: object) -> Any:
        return sys._getframe()

    assert frames._delegate_in(_execute("no handler")) is None


class Shelf:
    """Has what attributes may be."""

    __slots__ = ("books",)

    def __init__(self) -> None:
        self.books = [1]

    def count(self) -> int:
        return len(self.books)


def at(**names: Any) -> Any:
    return frames._At((lambda: 0).__code__, 1, 0, (names, vars(threading), {}))


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("time.ctime(1)", "time.ctime"),
        ("x = time.ctime(", "?.x"),
        ("os.system('ls')", "posix.system"),
        ("await (time.ctime(1))", "time.ctime"),
        ("shelf.count()", f"{Shelf.__module__}.Shelf.count"),
        ("Shelf.count(shelf)", f"{Shelf.__module__}.Shelf.count"),
        ("shelf.books.append(2)", f"{Shelf.__module__}.Shelf.books"),
        ("shelf.nothing.at_all()", f"{Shelf.__module__}.Shelf.nothing"),
        ("Shelf()", f"{Shelf.__module__}.Shelf"),
        ("shelf", f"{Shelf.__module__}.Shelf"),
        ("len(shelf.books)", "?.len"),
        ("Event().wait()", "threading.Event().wait"),
        (
            "Shelf(x[')'], (1)).count().bit_length()",
            f"{Shelf.__module__}.Shelf().count()",
        ),
        ("unknown[1](2)", "?.unknown"),
        ("module.odd()", "odd_module.odd"),
        ("time.ctime(1", "time.ctime"),
        ("1 + 2", ""),
    ],
)
def test_what_is_called(text: str, called: str) -> None:
    """Names are looked up without running anything; what they lead to is described."""
    module = types.ModuleType("odd_module")
    module.odd = None  # type: ignore[attr-defined]
    names = at(time=time, os=os, shelf=Shelf(), Shelf=Shelf, module=module)
    found = frames._resolve(frames._chain(text), names)
    assert found.startswith(called), found
    assert bool(found) == bool(called)


def test_expressions_that_cannot_be_read() -> None:
    """Without the source there is nothing to say; with a line only, all its calls."""
    code = compile("f()", "<nowhere>", "exec")
    assert frames._expression(frames._At(code, 1, 0, ())) == ("", False)
    assert frames._called(frames._At(code, 1, 0, ())) == ()


def test_where_pythons_are_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Python 3.11 an expression is not known: each call of the line counts."""
    monkeypatch.setattr(
        frames, "_expression", lambda at: ("if time.ctime(1) or os.getcwd():", False)
    )
    assert frames._called(at(time=time, os=os)) == ("time.ctime", "posix.getcwd")


def test_tornados_own_tests() -> None:
    """They are somebody's code, not Tornado's machinery."""
    folder = os.path.dirname(tornado.web.__file__)
    assert module_kind(f"{folder}/web.py") == "tornado"
    assert module_kind(f"{folder}/test/web_test.py") != "tornado"


def test_a_tornado_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout of it is Tornado too."""
    monkeypatch.setattr(frames, "_TORNADO", "/home/me/tornado-6/tornado")
    file = "/home/me/tornado-6/tornado/web.py"
    monkeypatch.setattr(frames, "module_kind", frames.module_kind.__wrapped__)
    assert frames.package_of.__wrapped__(file) == "tornado"


@pytest.mark.skipif(not EXACT, reason="only newer Pythons know expressions")
@pytest.mark.parametrize("positions", [[(None, None, None, None)], [(1, 1, 0, 1)]])
def test_code_without_positions(positions: list[Any]) -> None:
    """Without a position, or without the source of it, a line has to do."""

    class Code:
        co_filename = "<nowhere>"

        def co_positions(self) -> list[Any]:
            return positions

    code: Any = Code()
    assert frames._expression(frames._At(code, 1, 0, ())) == ("", False)


class Awaited(Coroutine[Any, Any, Any]):
    """A coroutine of somebody's own, which answers what it is asked."""

    def __getattribute__(self, name: str) -> Any:
        asked.append(name)
        return super().__getattribute__(name)

    def __await__(self) -> Any:
        return iter(())

    def send(self, value: Any) -> Any:
        raise StopIteration

    def throw(self, *error: Any) -> Any:
        raise StopIteration

    def close(self) -> None:
        """Has nothing to close."""


asked: list[str] = []


def test_coroutines_of_ones_own() -> None:
    """They go by their class; nothing of them is asked."""

    class Task:
        def __init__(self, coroutine: Any) -> None:
            self.get_coro = lambda: coroutine

    async def poll() -> None:
        """Is not run."""

    coroutine = poll()
    plain: Any = Task(coroutine)
    assert frames._coroutine_name(plain).endswith(".poll")
    coroutine.close()
    odd: Any = Task(Awaited())
    asked.clear()
    assert frames._coroutine_name(odd) == "Awaited"
    assert asked == []
    assert frames._coroutine_name(None) == ""


def test_proxies_are_not_asked() -> None:
    """What pretends to be something else is described as what it is."""
    proxy = Awaited()
    module = types.ModuleType("shop")
    module.proxy = proxy  # type: ignore[attr-defined]
    names = at(proxy=proxy, module=module)
    asked.clear()
    kind = f"{Awaited.__module__}.Awaited"
    assert frames._resolve(["proxy"], names) == kind
    assert frames._resolve(["proxy", "send"], names) == f"{kind}.send"
    assert frames._resolve(["module", "proxy"], names) == "shop.proxy"
    assert asked == []
