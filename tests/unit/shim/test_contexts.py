"""Context managers of either colour, from either colour of code."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from tornado.web import Application, RequestHandler

from tests.patience import WAIT
from tests.unit.gates import Gate
from tests.unit.shim.conftest import (
    in_coroutine,
    in_foreign_thread,
    in_script,
    in_worker,
)
from tornado_unblock import (
    AbandonedError,
    LoopThreadError,
    RejectedError,
    configure,
    run_in_executor,
    shim,
    unblock,
)

current: contextvars.ContextVar[str] = contextvars.ContextVar("current", default="none")
local = threading.local()


class Log(list[str]):
    """What happened, and that it happened in one thread."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[str] = set()

    def add(self, what: str) -> None:
        self.append(what)
        self.threads.add(threading.current_thread().name)


@shim.dual
def statement(log: Log) -> str:
    """What is called inside the block; it needs the transaction of its thread."""
    log.add(f"statement in {getattr(local, 'open', None) or current.get()}")
    return current.get()


@shim.contextmanager
def sync_transaction(log: Log, *, quiet: bool = False) -> Iterator[str]:
    """A transaction bound to its thread."""
    token = current.set("sync transaction")
    outer = getattr(local, "open", None)
    local.open = "thread's transaction"
    log.add("begin")
    try:
        yield "sync"
    except ValueError as error:
        log.add(f"roll back {error}")
        if not quiet:
            raise
    else:
        log.add("commit")
    finally:
        local.open = outer
        current.reset(token)


@shim.contextmanager
async def async_transaction(log: Log, *, quiet: bool = False) -> AsyncIterator[str]:
    """A transaction bound to its context, that calls a sync function itself."""
    token = current.set("async transaction")
    await asyncio.sleep(0)
    log.append("begin")
    try:
        yield "async"
    except ValueError as error:
        log.append(f"roll back {error}")
        await note.aio(log, "rolled back")
        if not quiet:
            raise
    else:
        await note.aio(log, "commit")
    finally:
        current.reset(token)


@shim.dual
def note(log: Log, what: str) -> None:
    log.append(what)


TRANSACTIONS = {"sync": sync_transaction, "async": async_transaction}
STATEMENTS = {
    "sync": "statement in thread's transaction",
    "async": "statement in async transaction",
}
ROLLBACKS = {"sync": ["roll back 7"], "async": ["roll back 7", "rolled back"]}

each_colour = pytest.mark.parametrize("colour", TRANSACTIONS)
each_thread = pytest.mark.parametrize(
    "place", [in_script, in_foreign_thread, in_worker], ids=lambda f: f.__name__
)


@each_colour
@each_thread
def test_with(colour, place):
    """`with` enters, sets the context of the block, and leaves."""
    log = Log()

    def body() -> str:
        with TRANSACTIONS[colour](log) as value:
            assert value == colour
            seen = statement(log)
        assert current.get() == "none"
        return seen

    assert place(body) == f"{colour} transaction"
    assert log == ["begin", STATEMENTS[colour], "commit"]


@each_colour
def test_async_with(colour):
    """`async with` does, and sync functions inside are where the body is."""
    log = Log()

    async def body() -> str:
        async with TRANSACTIONS[colour](log) as value:
            assert value == colour
            seen, _ = await asyncio.gather(statement.aio(log), statement.aio(log))
        assert current.get() == "none"
        return seen

    assert in_coroutine(body) == f"{colour} transaction"
    assert log == ["begin", STATEMENTS[colour], STATEMENTS[colour], "commit"]
    if colour == "sync":
        assert log.threads == {"unblock-default-1"}


@pytest.mark.parametrize("colour", ["async"])
def test_left_in_another_context(colour):
    """What the body set for the block cannot be unset elsewhere; nothing breaks."""
    log = Log()
    manager = TRANSACTIONS[colour](log)
    context = contextvars.copy_context()
    context.run(manager.__enter__)
    assert context[current] == f"{colour} transaction"
    manager.__exit__(None, None, None)
    assert current.get() == "none"
    assert log == ["begin", "commit"]


@each_colour
@each_thread
@pytest.mark.parametrize("quiet", [False, True])
def test_with_and_an_error(colour, place, quiet):
    """The body sees what ended the block, and may keep it."""
    log = Log()

    def body() -> None:
        with TRANSACTIONS[colour](log, quiet=quiet):
            raise ValueError(7)

    if quiet:
        place(body)
    else:
        with pytest.raises(ValueError, match="7"):
            place(body)
    assert log == ["begin", *ROLLBACKS[colour]]


@each_colour
@pytest.mark.parametrize("quiet", [False, True])
def test_async_with_and_an_error(colour, quiet):
    """The same in a coroutine."""
    log = Log()

    async def body() -> None:
        async with TRANSACTIONS[colour](log, quiet=quiet):
            raise ValueError(7)

    if quiet:
        in_coroutine(body)
    else:
        with pytest.raises(ValueError, match="7"):
            in_coroutine(body)
    assert log == ["begin", *ROLLBACKS[colour]]


async def answer() -> str:
    return "alive"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), KeyError(1)])
def test_other_errors_leave_through_it(error):
    """Also those that would end a loop; the traceback is that of the block."""
    log = Log()
    with pytest.raises(type(error)) as caught, async_transaction(log):
        raise error
    assert caught.value is error
    assert shim.wait(answer()) == "alive"
    cancelled = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError), async_transaction(log):
        raise cancelled


@shim.contextmanager
async def broken(where: str) -> AsyncIterator[None]:
    """Fails on the way in or out."""
    if where == "in":
        raise KeyError(where)
    try:
        yield
    finally:
        raise KeyError(where)


@shim.contextmanager
def broken_sync(where: str) -> Iterator[None]:
    """The same, sync."""
    if where == "in":
        raise KeyError(where)
    try:
        yield
    finally:
        raise KeyError(where)


@pytest.mark.parametrize("manager", [broken, broken_sync])
@pytest.mark.parametrize("where", ["in", "out"])
def test_bodies_that_fail(manager, where):
    """What the body itself raises is raised, in place of what the block did."""

    async def body() -> None:
        async with manager(where):
            assert where == "out"
            raise ValueError

    def sync_body() -> None:
        with manager(where):
            assert where == "out"
            raise ValueError

    with pytest.raises(KeyError, match=where):
        sync_body()
    with pytest.raises(KeyError, match=where):
        in_coroutine(body)


@each_colour
def test_refused_on_the_loop_thread(colour):
    """`with` would stall the loop, and says what to write."""

    async def main() -> None:
        with TRANSACTIONS[colour](Log()):
            pass

    with pytest.raises(LoopThreadError, match="write `async with` there"):
        asyncio.run(main())


@each_colour
def test_one_worker_is_enough(colour):
    """Open transactions and what is done inside them share a full executor."""
    configure(max_workers=1, max_waiting=0)
    log = Log()

    @shim.dual
    async def both() -> None:
        async with sync_transaction(log), async_transaction(log):
            await run_in_executor(statement, log)
            await run_in_executor(statement, log)

    def body() -> None:
        with TRANSACTIONS[colour](log):
            both()

    in_coroutine(both.aio)
    in_worker(body)
    assert log.threads == {"unblock-default-1"}


def test_methods():
    """It is a function like any other, in a class, too."""

    class Store:
        @shim.contextmanager
        def transaction(self, log: Log) -> Iterator[Store]:
            """Begin and commit."""
            log.add("begin")
            yield self
            log.add("commit")

    log, store = Log(), Store()
    with store.transaction(log) as value:
        assert value is store
    assert log == ["begin", "commit"]
    assert store.transaction.__doc__ == "Begin and commit."


@pytest.mark.parametrize("fn", [print, statement, 7])
def test_misuse(fn):
    """It is refused at decoration."""
    with pytest.raises(TypeError, match="a function that yields once"):
        shim.contextmanager(fn)


def test_a_rejection():
    """A full executor says so on the way in; nothing is left behind."""
    configure(max_workers=1, max_waiting=0)
    log, gate = Log(), Gate()

    async def main() -> None:
        holder = run_in_executor(gate.hold)
        with pytest.raises(RejectedError):
            await enter()
        gate.open.set()
        await holder

    async def enter() -> None:
        async with sync_transaction(log):
            pytest.fail("entered")

    asyncio.run(main())
    assert log == []


def test_a_late_rejection():
    """So does one that had no worker in time."""
    configure(max_workers=1, queue_timeout=0.01)
    log = Log()
    gate = Gate()

    async def main() -> None:
        holder = run_in_executor(gate.hold)
        with pytest.raises(RejectedError, match=r"within 0\.01 s"):
            async with sync_transaction(log):
                pytest.fail("entered")
        gate.open.set()
        await holder

    asyncio.run(main())
    assert log == []


def test_cancelled_while_waiting_for_a_worker():
    """Whoever gives up in line leaves the line."""
    configure(max_workers=1)
    gate = Gate()
    log = Log()

    async def enter() -> None:
        async with sync_transaction(log):
            pytest.fail("entered")

    async def main() -> None:
        holder = run_in_executor(gate.hold)
        task = asyncio.ensure_future(enter())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.open.set()
        await holder

    asyncio.run(main())
    assert log == []


def test_cancelled_on_the_way_in():
    """What was entered though nobody waited any more is left again."""
    gate = Gate()
    log: list[str] = []

    @shim.contextmanager
    def slow() -> Iterator[None]:
        gate.hold()
        log.append("entered")
        try:
            yield
        except asyncio.CancelledError:
            log.append("left")
            raise

    async def enter() -> None:
        async with slow():
            pytest.fail("entered")

    async def main() -> None:
        task = asyncio.ensure_future(enter())
        await run_in_executor(gate.wait)
        task.cancel()
        await asyncio.sleep(0)
        gate.open.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert log == ["entered", "left"]


def test_abandoned_on_the_way_in():
    """A worker whose request is gone gets no transaction, and none stays open."""
    entering = threading.Event()
    log: list[str] = []
    done = threading.Event()

    @shim.contextmanager
    async def slow() -> AsyncIterator[None]:
        try:
            entering.set()
            await asyncio.get_running_loop().create_future()
            yield
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    def body() -> None:
        try:
            with slow():
                pytest.fail("entered")
        except AbandonedError:
            log.append("abandoned")
        done.set()

    async def main() -> None:
        future = run_in_executor(body)
        await run_in_executor(entering.wait, WAIT)
        future.cancel()
        await run_in_executor(done.wait, WAIT)

    asyncio.run(main())
    assert log == ["closed", "abandoned"]


def test_abandoned_inside():
    """The way out is gone to its end, whoever has left."""
    gate = Gate()
    log = Log()
    done = threading.Event()

    def body() -> None:
        with async_transaction(log):
            gate.hold()
        done.set()

    async def main() -> None:
        future = run_in_executor(body)
        await run_in_executor(gate.wait)
        future.cancel()
        gate.open.set()
        await run_in_executor(done.wait, WAIT)

    asyncio.run(main())
    assert log == ["begin", "commit"]


def test_a_task_that_is_cancelled_inside():
    """An async body cancelled from elsewhere ends the block with that."""
    tasks: list[Any] = []

    @shim.contextmanager
    async def manager() -> AsyncIterator[None]:
        tasks.append(asyncio.current_task())
        yield

    async def cancel() -> None:
        tasks[0].cancel()
        await asyncio.wait(tasks)

    with pytest.raises(asyncio.CancelledError), manager():
        shim.wait(cancel())


def test_in_handlers(serve):
    """Bodies use them as they stand; native handlers with `async with`."""
    log = Log()

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            with sync_transaction(log), async_transaction(log) as value:
                self.write(value + " " + statement(log))

        async def post(self) -> None:
            async with sync_transaction(log), async_transaction(log) as value:
                self.write(value + " " + await statement.aio(log))

    server = serve(Application([("/", Handler)]))
    assert server.get("/").body == b"async async transaction"
    assert server.get("/", method="POST").body == b"async async transaction"
    assert log[: len(log) // 2] == log[len(log) // 2 :]
