"""`shim.cache`: one call for each key, in both colours together."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from cachetools import TTLCache
from tornado.web import Application, RequestHandler

from tests.patience import WAIT
from tests.unit.shim.conftest import (
    in_coroutine,
    in_foreign_thread,
    in_script,
    in_worker,
)
from tornado_unblock import (
    AbandonedError,
    ConfigurationError,
    configure,
    run_in_executor,
    shim,
    unblock,
)
from tornado_unblock.shim.cache import CacheStatistics, cached


class Source:
    """Something slow that is asked, and counts."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.error: BaseException | None = None
        self.fail_once = False
        # Where calls wait, if they are told to.
        self.hold = False
        self.inside, self.go_on = threading.Event(), threading.Event()

    def ask(self, key: Any) -> Any:
        self.calls.append(key)
        if self.hold:
            self.inside.set()
            assert self.go_on.wait(WAIT)
        if self.error is not None:
            error = self.error
            if self.fail_once:
                self.error = None
            raise error
        return f"{key} #{len(self.calls)}"

    async def ask_aio(self, key: Any) -> Any:
        return await shim.dual(self.ask).aio(key)


def make(colour: str, source: Source, **options: Any) -> Any:
    """Return a cached function of that colour."""
    options.setdefault("maxsize", 10)
    if colour == "sync":

        def load(key: Any) -> Any:
            """Ask the source."""
            return source.ask(key)

        return cached(**options)(load)
    if colour == "async":

        async def load_aio(key: Any) -> Any:
            """Ask the source."""
            return await source.ask_aio(key)

        return cached(**options)(load_aio)
    return cached(**options)(shim.pair(source.ask, source.ask_aio))


each_colour = pytest.mark.parametrize("colour", ["sync", "async", "pair"])


@each_colour
def test_one_cache_for_both_colours(colour):
    """What one colour has asked, the other need not."""
    source = Source()
    load = make(colour, source)
    assert [p(lambda: load(1)) for p in (in_script, in_foreign_thread, in_worker)] == [
        "1 #1"
    ] * 3
    assert in_coroutine(lambda: load.aio(1)) == "1 #1"
    assert in_coroutine(lambda: load.aio(2)) == load(2) == "2 #2"
    assert load.statistics() == CacheStatistics(4, 0, 2, 0, 2)


@each_colour
def test_failures_are_not_kept(colour):
    """The next one asks again."""
    source = Source()
    load = make(colour, source)
    source.error = KeyError("down")
    with pytest.raises(KeyError, match="down"):
        load(1)
    with pytest.raises(KeyError, match="down"):
        in_coroutine(lambda: load.aio(1))
    source.error = None
    assert load(1) == "1 #3"
    assert load.statistics() == CacheStatistics(0, 0, 3, 2, 1)


@each_colour
def test_clear_and_invalidate(colour):
    """What is out of date goes: one result, or all."""
    source = Source()
    load = make(colour, source)
    assert (load(1), load(2)) == ("1 #1", "2 #2")
    load.invalidate(1)
    load.invalidate(3)
    assert (load(1), load(2)) == ("1 #3", "2 #2")
    load.clear()
    assert (load(1), load(2)) == ("1 #4", "2 #5")


def test_time_and_size(monkeypatch):
    """Results go when they are too old, or too many."""
    source = Source()
    load = make("sync", source, ttl=60, maxsize=2)
    store = vars(load)["_store"]
    assert isinstance(store._results, TTLCache)
    now = [0.0]
    store._results = TTLCache(2, 60, timer=lambda: now[0])
    assert [load(key) for key in (1, 1, 2, 3, 1)] == [
        "1 #1",
        "1 #1",
        "2 #2",
        "3 #3",
        "1 #4",
    ]
    now[0] = 59
    assert load(1) == "1 #4"
    now[0] = 61
    assert load(1) == "1 #5"


def test_a_cache_that_is_too_small():
    """A result that does not fit is returned all the same."""
    source = Source()
    load = make("sync", source, maxsize=0.5)
    assert (load(1), load(1)) == ("1 #1", "1 #2")


class Asked:
    """Callers of both colours that all wait for one call."""

    def __init__(self, load: Any, key: Any = 1) -> None:
        self._load, self._key = load, key

    async def gather(self, workers: int, coroutines: int) -> list[Any]:
        tasks = [asyncio.ensure_future(self._load.aio(self._key))]
        tasks += [run_in_executor(self._load, self._key) for _ in range(workers)]
        tasks += [
            asyncio.ensure_future(self._load.aio(self._key)) for _ in range(coroutines)
        ]
        return await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110 - nobody sets an event
        await asyncio.sleep(0)


@each_colour
@pytest.mark.parametrize("fails", [False, True])
def test_one_call_however_many_wait(colour, fails):
    """Threads and coroutines together make one call, and share its outcome."""
    source = Source()
    source.hold = True
    source.error = KeyError("down") if fails else None
    load = make(colour, source)

    async def main() -> list[Any]:
        everyone = asyncio.ensure_future(Asked(load).gather(5, 5))
        await until(lambda: load.statistics().joined == 10)
        source.go_on.set()
        return await everyone

    results = asyncio.run(main())
    assert len(source.calls) == 1
    assert set(map(str, results)) == {"'down'" if fails else "1 #1"}
    assert load.statistics() == CacheStatistics(0, 10, 1, int(fails), int(not fails))


def test_a_full_executor():
    """Workers that wait make room for the call that they wait for."""
    configure(max_workers=2)
    source = Source()
    entered = threading.Event()

    @cached()
    async def load(key: int) -> Any:
        entered.set()
        await until(lambda: load.statistics().joined == 2)
        return await source.ask_aio(key)

    async def main() -> Any:
        first = asyncio.ensure_future(load.aio(1))
        await until(entered.is_set)
        return await asyncio.gather(
            first, run_in_executor(load, 1), run_in_executor(load, 1)
        )

    assert asyncio.run(main()) == ["1 #1"] * 3


def test_who_asked_first_may_leave():
    """A cancelled coroutine takes nobody along; its call goes on for the others."""
    source = Source()
    source.hold = True
    load = make("async", source)

    async def main() -> Any:
        first = asyncio.ensure_future(load.aio(1))
        await until(source.inside.is_set)
        other = asyncio.ensure_future(load.aio(1))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        source.go_on.set()
        return await other

    assert asyncio.run(main()) == "1 #1"
    assert source.calls == [1]


def test_a_follower_may_leave():
    """Whoever gives up waiting leaves the call to the others."""
    source = Source()
    source.hold = True
    load = make("async", source)

    async def main() -> Any:
        first = asyncio.ensure_future(load.aio(1))
        await until(source.inside.is_set)
        other = asyncio.ensure_future(load.aio(1))
        await until(lambda: load.statistics().joined == 1)
        other.cancel()
        with pytest.raises(asyncio.CancelledError):
            await other
        source.go_on.set()
        return await first

    assert asyncio.run(main()) == "1 #1"


@pytest.mark.parametrize("error", [AbandonedError("gone"), SystemExit(1)])
def test_a_caller_that_gives_up(error):
    """Its end says nothing of the result: who waits makes the call anew."""
    source = Source()
    source.hold = True
    source.error = error
    load = make("sync", source)
    ends: list[BaseException] = []

    def first() -> None:
        try:
            load(1)
        except BaseException as raised:
            ends.append(raised)

    async def main() -> Any:
        leader = run_in_executor(first)
        await until(source.inside.is_set)
        others = [run_in_executor(load, 1), asyncio.ensure_future(load.aio(1))]
        await until(lambda: load.statistics().joined == 2)
        source.fail_once = True
        source.go_on.set()
        await leader
        return await asyncio.gather(*others)

    assert asyncio.run(main()) == ["1 #2", "1 #2"]
    assert ends == [error]


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.allow_log("asyncio", "Task was destroyed but it is pending")
def test_a_loop_that_closes_under_a_call(colour):
    """Who waits elsewhere makes the call anew, in either colour."""
    source = Source()
    entered = threading.Event()

    @cached()
    async def load(key: int) -> Any:
        if not entered.is_set():
            entered.set()
            await asyncio.get_running_loop().create_future()
        return source.ask(key)

    loop = asyncio.new_event_loop()
    task = loop.create_task(load.aio(1))
    loop.run_until_complete(until(entered.is_set))
    loop.close()
    del task
    again = {"sync": lambda: load(1), "async": lambda: in_coroutine(load_aio)}
    load_aio = functools.partial(load.aio, 1)
    assert again[colour]() == "1 #1"


def test_a_call_that_waits_for_itself():
    """It is told, instead of waiting for ever."""

    @cached()
    def sync(key: int) -> Any:
        return sync(key)

    @cached()
    async def asynchronous(key: int) -> Any:
        return await asynchronous.aio(key)

    @cached()
    def countdown(key: int) -> int:
        return countdown(key - 1) + 1 if key else 0

    for call in (sync, asynchronous):
        with pytest.raises(RuntimeError, match="calls itself with the same key"):
            call(1)
    assert countdown(5) == 5


def test_invalidated_while_under_way():
    """Its result may be out of date: it is returned, not kept."""
    source = Source()
    source.hold = True
    load = make("sync", source)

    async def main() -> Any:
        first = run_in_executor(load, 1)
        await until(source.inside.is_set)
        load.invalidate(1)
        source.go_on.set()
        return await first

    assert asyncio.run(main()) == "1 #1"
    assert load(1) == "1 #2"


class Shop:
    """Cached methods."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = 0

    @cached(key=lambda self, key, **_: (self.name, key))
    def load(self, key: int, *, fresh: bool = False) -> str:
        """Load it."""
        self.calls += 1
        return f"{self.name} {key} {self.calls}"

    @cached()
    @shim.dual
    async def plain(self, key: int) -> str:
        self.calls += 1
        return f"{self.name} {key} {self.calls}"

    @classmethod
    @cached()
    def of_class(cls) -> str:
        return cls.__name__


def test_methods():
    """They bind, and so does `invalidate`; `key` says what tells calls apart."""
    shop, same, other = Shop("a"), Shop("a"), Shop("b")
    assert shop.load(1) == same.load(1, fresh=True) == "a 1 1"
    assert other.load(1) == "b 1 1"
    shop.load.invalidate(1)
    assert in_coroutine(lambda: same.load.aio(1)) == "a 1 1"
    assert shop.plain(1) == "a 1 2"
    assert same.plain(1) == "a 1 2"
    shop.plain.invalidate(1)
    assert in_coroutine(lambda: shop.plain.aio(1)) == "a 1 3"
    assert same.plain(1) == "a 1 2"
    assert Shop.load.__doc__ == "Load it."
    assert shop.load.statistics().misses == 3
    Shop.load.clear()
    Shop.plain.clear()


def test_nothing_is_kept_but_results():
    """What a call was given goes with it, also when it failed."""

    class Thing:
        pass

    @cached(key=id)
    def fail(thing: Thing) -> None:
        raise KeyError

    thing = Thing()
    alive = weakref.ref(thing)
    with pytest.raises(KeyError):
        fail(thing)
    del thing
    gc.collect()
    assert alive() is None


def test_handlers(serve):
    """Unblocked and native handlers share a cache."""
    source = Source()
    load = make("sync", source)

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            self.write(load(1))

        async def post(self) -> None:
            self.write(await load.aio(1))

    server = serve(Application([("/", Handler)]))
    assert server.get("/").body == server.get("/", method="POST").body == b"1 #1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_fork_under_a_call():
    """The child does not wait for a call that goes on in the parent."""
    source = Source()
    source.hold = True
    load = make("sync", source)
    thread = threading.Thread(target=load, args=(1,))
    thread.start()
    assert source.inside.wait(WAIT)
    pid = os.fork()
    if pid == 0:
        source.hold = False
        os._exit(0 if load(1) == "1 #2" else 3)
    source.go_on.set()
    thread.join(WAIT)
    assert os.waitpid(pid, 0)[1] == 0
    assert load(1) == "1 #1"


def test_the_interpreter_ends(monkeypatch):
    """Nobody waits for a call that will never end."""
    source = Source()
    source.hold = True
    load = make("sync", source)
    thread = threading.Thread(target=load, args=(1,))
    thread.start()
    assert source.inside.wait(WAIT)
    store = sys.modules["tornado_unblock.shim.cache._store"]
    with monkeypatch.context() as patch:
        patch.setattr(store, "interpreter_is_ending", lambda: True)
        with pytest.raises(RuntimeError, match="the interpreter ends"):
            load(1)
    source.go_on.set()
    thread.join(WAIT)


def rows() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("options", "fn", "error", "message"),
    [
        ({"ttl": 0}, print, ConfigurationError, "ttl must be a positive"),
        ({"ttl": "1"}, print, ConfigurationError, "ttl must be a positive"),
        ({"maxsize": 0}, print, ConfigurationError, "maxsize must be positive"),
        ({"maxsize": None}, print, ConfigurationError, "maxsize must be positive"),
        ({"key": 7}, print, TypeError, "key must be a function"),
        ({}, rows, TypeError, "on no generator"),
        ({}, staticmethod(print), TypeError, "put it below @classmethod"),
        ({}, 7, TypeError, "for a function or method"),
    ],
)
def test_misuse(options, fn, error, message):
    """It is refused at decoration."""
    with pytest.raises(error, match=message):
        cached(**options)(fn)


def test_arguments_that_cannot_be_told_apart():
    """The error says what to do."""
    load = make("sync", Source())
    with pytest.raises(TypeError, match=r"must be hashable .*@cached\(key="):
        load([])
