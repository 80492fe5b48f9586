"""`dual` and `pair`: both calls, either colour of body, from every place."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import pickle
import threading
import traceback
from typing import Any, Callable

import pytest
from tornado import gen
from tornado.web import Application, RequestHandler

from tests.unit.shim.conftest import (
    application,
    in_coroutine,
    in_foreign_thread,
    in_script,
    in_worker,
)
from tornado_unblock import LoopThreadError, configure, run_in_executor, shim, unblock
from tornado_unblock._executors.functions import is_async

seen: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar(
    "seen", default=()
)


def note(what: str) -> None:
    seen.set((*seen.get(), what))


@shim.dual
def sync_leaf(number: int) -> int:
    """A leaf that blocks."""
    note("sync leaf")
    if number < 0:
        raise ValueError(number)
    return number + 1


@shim.dual
async def async_leaf(number: int) -> int:
    """A leaf that has moved."""
    await asyncio.sleep(0)
    note("async leaf")
    if number < 0:
        raise ValueError(number)
    return number + 1


@shim.dual
@gen.coroutine
def coroutine_leaf(number: int) -> Any:
    """A leaf that moved long ago."""
    yield asyncio.sleep(0)
    note("coroutine leaf")
    if number < 0:
        raise ValueError(number)
    return number + 1


LEAVES = {
    "sync": sync_leaf,
    "async": async_leaf,
    "coroutine": coroutine_leaf,
    "pair": shim.pair(sync_leaf.__wrapped__, async_leaf.aio),
}


def middle_of(colour: str, leaf: Any) -> Any:
    """Return a function of the colour that calls the leaf twice."""

    @shim.dual
    def sync_middle(number: int) -> int:
        note("middle")
        return int(leaf(leaf(number)))

    @shim.dual
    async def async_middle(number: int) -> int:
        note("middle")
        return int(await leaf.aio(await leaf.aio(number)))

    return {"sync": sync_middle, "async": async_middle, "none": leaf}[colour]


each_leaf = pytest.mark.parametrize("leaf", LEAVES.values(), ids=LEAVES)
each_middle = pytest.mark.parametrize("colour", ["none", "sync", "async"])
each_thread = pytest.mark.parametrize(
    "place", [in_script, in_foreign_thread, in_worker], ids=lambda f: f.__name__
)


def expected(colour: str, leaf: Any) -> Any:
    """Return the outcomes for 1 and -5."""
    if leaf is not coroutine_leaf:
        return EXPECTED[colour]
    # Tornado runs these in a copy of the context: what they set goes with it.
    return [
        (value, min(notes, 1) if colour != "none" else 0)
        for value, notes in EXPECTED[colour]
    ]


def outcome(fn: Callable[[], Any]) -> Any:
    """Return what came out, and how often the context was told on the way."""
    seen.set(())
    try:
        return fn(), len(seen.get())
    except ValueError as error:
        return repr(error), len(seen.get())


EXPECTED = {
    "none": [(2, 1), ("ValueError(-5)", 1)],
    "sync": [(3, 3), ("ValueError(-5)", 2)],
    "async": [(3, 3), ("ValueError(-5)", 2)],
}


@each_leaf
@each_middle
@each_thread
def test_blocking_call(leaf, colour, place):
    """`f(x)` returns or raises what the body does; the context comes back."""
    middle = middle_of(colour, leaf)
    call = functools.partial
    assert [
        place(call(outcome, call(middle, number))) for number in (1, -5)
    ] == expected(colour, leaf)


@each_leaf
@each_middle
def test_awaited_call(leaf, colour):
    """`await f.aio(x)` does the same in a coroutine."""
    middle = middle_of(colour, leaf)

    async def main(number: int) -> Any:
        seen.set(())
        try:
            return await middle.aio(number), len(seen.get())
        except ValueError as error:
            return repr(error), len(seen.get())

    assert [in_coroutine(lambda n=n: main(n)) for n in (1, -5)] == expected(
        colour, leaf
    )


@each_leaf
@each_middle
@pytest.mark.parametrize("kind", ["method", "class", "application"])
def test_unblocked_body(leaf, colour, kind, serve):
    """Bodies of handlers call it as any function, on the loop of the application."""
    middle = middle_of(colour, leaf)
    server = serve(application(kind, lambda _: repr(outcome(lambda: middle(1)))))
    assert server.get("/").body.decode() == repr(expected(colour, leaf)[0])


@each_leaf
@each_middle
def test_native_handlers(leaf, colour, serve):
    """`async def` and `gen.coroutine` handlers await it."""
    middle = middle_of(colour, leaf)

    class Native(RequestHandler):
        async def get(self) -> None:
            self.write(str(await middle.aio(1)))

        @gen.coroutine
        def post(self) -> Any:
            self.write(str((yield middle.aio(1))))

    server = serve(Application([("/", Native)]))
    result = str(EXPECTED[colour][0][0])
    assert server.get("/").body.decode() == result
    assert server.get("/", method="POST").body.decode() == result


@each_leaf
def test_refused_on_the_loop_thread(leaf):
    """`f(x)` says what to write instead of stalling the loop."""

    async def main() -> Any:
        return leaf(1)

    with pytest.raises(LoopThreadError, match=r"write `await \w+_leaf\.aio\(\.\.\.\)`"):
        asyncio.run(main())


@each_leaf
@each_middle
def test_one_worker_is_enough(leaf, colour):
    """However colours alternate, a full executor does not deadlock."""
    configure(max_workers=1, max_waiting=0)
    middle = middle_of(colour, leaf)

    @shim.dual
    async def top(number: int) -> int:
        await run_in_executor(note, "nested")
        return int(await middle.aio(number))

    async def main() -> Any:
        return await asyncio.gather(run_in_executor(lambda: top(middle(1))))

    assert asyncio.run(main()) == [EXPECTED[colour][0][0] * 2 - 1]


def test_the_same_thread_all_the_way_down():
    """A sync leaf below a coroutine runs in the thread that waits for that."""
    threads = []

    @shim.dual
    def leaf() -> None:
        threads.append(threading.current_thread())

    @shim.dual
    async def middle() -> None:
        await asyncio.gather(leaf.aio(), leaf.aio())

    @shim.dual
    def body() -> None:
        leaf()
        middle()
        middle()

    body()
    assert set(threads) == {threading.main_thread()}
    threads.clear()

    async def main() -> None:
        await body.aio()

    asyncio.run(main())
    assert len(threads) == 5
    assert {thread.name for thread in threads} == {"unblock-default-1"}


def test_tasks_that_outlive_who_waited():
    """What a coroutine leaves running calls sync functions on the executor."""
    names = []

    @shim.dual
    def leaf() -> None:
        names.append(threading.current_thread().name)

    async def late(go: asyncio.Event) -> None:
        await go.wait()
        await leaf.aio()
        await asyncio.gather(run_in_executor(leaf), run_in_executor(leaf))

    @shim.dual
    async def middle(go: asyncio.Event) -> Any:
        return asyncio.ensure_future(late(go))

    async def main() -> None:
        go = asyncio.Event()
        task = await run_in_executor(lambda: [middle(go)])
        go.set()
        await task[0]

    configure(max_workers=1)
    asyncio.run(main())
    assert names == ["unblock-default-1"] * 3


class Shop:
    """Duals as methods."""

    def __init__(self, name: str = "shop") -> None:
        self.name = name

    @shim.dual
    def sync(self, suffix: str = "") -> str:
        """Return the name."""
        return self.name + suffix

    @shim.dual
    async def asynchronous(self, suffix: str = "") -> str:
        return self.name + suffix

    @shim.dual
    @classmethod
    def of_class(cls) -> str:
        return cls.__name__

    @shim.dual
    @classmethod
    async def of_class_too(cls) -> str:
        return cls.__name__

    @shim.dual
    @staticmethod
    def static(text: str) -> str:
        return text

    @shim.dual
    @staticmethod
    async def static_too(text: str) -> str:
        return text

    both = shim.pair(sync.__wrapped__, asynchronous.__wrapped__)


METHODS = [
    (lambda s: s.sync, ("!",), "shop!"),
    (lambda s: s.asynchronous, ("!",), "shop!"),
    (lambda s: s.both, ("!",), "shop!"),
    (lambda s: s.of_class, (), "Shop"),
    (lambda s: type(s).of_class, (), "Shop"),
    (lambda s: s.of_class_too, (), "Shop"),
    (lambda s: type(s).of_class_too, (), "Shop"),
    (lambda s: s.static, ("x",), "x"),
    (lambda s: type(s).static, ("x",), "x"),
    (lambda s: s.static_too, ("x",), "x"),
    (lambda s: functools.partial(type(s).sync, s), (), "shop"),
]


@pytest.mark.parametrize(("get", "args", "expected"), METHODS)
def test_methods(get, args, expected):
    """It binds as the function below it does, for both calls."""
    method = get(Shop())
    assert method(*args) == expected
    if isinstance(method, shim.Dual):
        assert in_coroutine(lambda: method.aio(*args)) == expected


def test_overridden_methods():
    """`super()` reaches the base class's, in both colours."""

    class Branch(Shop):
        @shim.dual
        async def sync(self, suffix: str = "") -> str:
            return "branch of " + await super().sync.aio(suffix)

        @shim.dual
        def asynchronous(self, suffix: str = "") -> str:
            return "branch of " + super().asynchronous(suffix)

    assert Branch().sync() == Branch().asynchronous() == "branch of shop"
    assert in_coroutine(Branch().sync.aio) == "branch of shop"


def test_it_looks_like_the_function():
    """Name, doc, signature, attributes and identity are those of the function."""
    shop = Shop()
    assert Shop.sync.__name__ == "sync"
    assert shop.sync.__doc__ == "Return the name."
    assert sync_leaf.__module__ == __name__
    assert str(inspect.signature(sync_leaf)) == "(number: 'int') -> 'int'"
    assert str(inspect.signature(shop.sync)) == "(suffix: 'str' = '') -> 'str'"
    assert shop.sync.__self__ is shop
    assert shop.sync == shop.sync
    assert hash(shop.sync) == hash(shop.sync)
    assert shop.sync != Shop().sync
    assert shop.sync != 1
    assert repr(sync_leaf).startswith("<dual <function sync_leaf at ")
    with pytest.raises(AttributeError, match="nothing"):
        _ = shop.sync.nothing


def test_it_counts_as_sync():
    """Calling it blocks, whatever its body is, and others can tell."""
    for leaf in LEAVES.values():
        assert not is_async(leaf)
        assert not gen.is_coroutine_function(leaf)
        assert not inspect.iscoroutinefunction(leaf)
        assert inspect.iscoroutinefunction(leaf.aio)
        assert in_coroutine(lambda leaf=leaf: run_in_executor(leaf, 1)) == 2


def test_pickling():
    """By name, as functions are, so that it can be sent to other processes."""
    assert pickle.loads(pickle.dumps(sync_leaf)) is sync_leaf
    assert pickle.loads(pickle.dumps(Shop("x").sync))() == "x"


def test_exceptions_keep_both_tracebacks():
    """The frames of either side are there, whichever way it went."""
    for call in (
        lambda: middle_of("async", sync_leaf)(-1),
        lambda: in_coroutine(lambda: middle_of("sync", async_leaf).aio(-1)),
    ):
        with pytest.raises(ValueError, match="-1") as caught:
            call()
        names = [frame.name for frame in traceback.extract_tb(caught.tb)]
        assert any(name.endswith("_leaf") for name in names)
        assert any(name.endswith("_middle") for name in names)


@pytest.mark.parametrize(
    "error", [StopIteration("x"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()]
)
def test_exceptions_that_break_loops(error):
    """They reach the caller, and neither end the loop nor get lost."""

    @shim.dual
    async def leaf() -> None:
        raise error

    @shim.dual
    def sync() -> None:
        leaf()

    if isinstance(error, StopIteration):  # what Python makes of it in a coroutine
        kind: type[BaseException] = RuntimeError
    else:
        kind = type(error)
    with pytest.raises(kind):
        sync()
    assert async_leaf(1) == 2


def test_handlers_whose_verb_is_dual(serve):
    """A dual verb is a sync body: it blocks where it is called."""

    @unblock
    class Handler(RequestHandler):
        @shim.dual
        async def load(self) -> str:
            return self.request.path

        def get(self) -> None:
            self.write(self.load())

        async def post(self) -> None:
            self.write(await self.load.aio())

    server = serve(Application([("/", Handler)]))
    assert server.get("/").body == b"/"
    assert server.get("/", method="POST").body == b"/"


def test_output_from_below_a_coroutine(serve):
    """What a sync function below a coroutine writes and finishes is the response."""

    @shim.dual
    def end(handler: RequestHandler) -> None:
        handler.set_header("X-From", threading.current_thread().name)
        handler.finish("done")

    @shim.dual
    async def middle(handler: RequestHandler) -> None:
        await end.aio(handler)

    server = serve(application("method", lambda handler: middle(handler)))
    response = server.get("/")
    assert response.body == b"done"
    assert response.headers["X-From"] == "unblock-default-1"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: shim.dual(7), "for a function or method"),
        (lambda: shim.dual(Shop), "for a function or method"),
        (lambda: shim.dual(sync_leaf), "sync_leaf is dual already"),
        (lambda: shim.dual(staticmethod(sync_leaf)), "sync_leaf is dual already"),
        (lambda: shim.pair(print, print), "a sync function, then an async one"),
        (lambda: shim.pair(async_leaf.aio, print), "a sync function, then an async"),
        (lambda: shim.pair(7, async_leaf.aio), "a sync function, then an async one"),
        (lambda: shim.pair(print, 7), "a sync function, then an async one"),
    ],
)
def test_misuse(make, message):
    """It is refused at decoration."""
    with pytest.raises(TypeError, match=message):
        make()


def test_wrong_arguments():
    """They are refused as the function itself refuses them."""
    for leaf in LEAVES.values():
        with pytest.raises(TypeError, match="unexpected keyword"):
            leaf(1, other=2)
