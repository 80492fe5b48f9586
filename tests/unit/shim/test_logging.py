"""`shim.logging`: handlers behind one queue, and everything else as it was."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import io
import logging as original
import logging.handlers
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from tests.patience import WAIT
from tests.unit.shim.conftest import in_coroutine, in_foreign_thread, in_worker
from tornado_unblock import ConfigurationError, LoopThreadError
from tornado_unblock._loop.portal import current_portal
from tornado_unblock.shim import logging
from tornado_unblock.shim.logging import LoggingStatistics, _listener

var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="unset")


class Keeper(original.Handler):
    """Keeps what it is given, and where; waits where it is told to."""

    def __init__(self, level: int = 0) -> None:
        super().__init__(level)
        self.records: list[original.LogRecord] = []
        self.threads: list[str] = []
        self.closed: list[int] = []
        self.on_emit: Callable[[original.LogRecord], Any] = lambda record: None

    def emit(self, record: original.LogRecord) -> None:
        self.threads.append(threading.current_thread().name)
        self.on_emit(record)
        self.records.append(record)

    def close(self) -> None:
        self.closed.append(len(self.records))
        super().close()

    @property
    def texts(self) -> list[str]:
        return [record.getMessage() for record in self.records]


class Stuck(Keeper):
    """Waits at its first record until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.go_on = threading.Event(), threading.Event()
        self.on_emit = self._wait

    def _wait(self, record: original.LogRecord) -> None:
        self.inside.set()
        assert self.go_on.wait(WAIT)


@pytest.fixture
def logger() -> Iterator[Callable[..., original.Logger]]:
    """Make loggers that end with the test."""
    made: list[original.Logger] = []

    def make(name: str, *handlers: original.Handler, up: bool = False) -> Any:
        log = original.getLogger(f"test_logging.{name}")
        log.setLevel(original.DEBUG)
        log.propagate = up
        for handler in handlers:
            log.addHandler(handler)
        made.append(log)
        return log

    yield make
    for log in made:
        log.handlers.clear()
        log.filters.clear()
        log.propagate = True
        log.setLevel(original.NOTSET)


@pytest.fixture
def unblock(log_watch: Any) -> Iterator[Callable[..., logging.UnblockedLogging]]:
    """Call `unblock_logging`, but leave the handler that watches the test alone."""
    handles: list[logging.UnblockedLogging] = []

    def call(**options: Any) -> logging.UnblockedLogging:
        leave = [log_watch, *options.pop("leave", ())]
        handles.append(logging.unblock_logging(leave=leave, **options))
        return handles[-1]

    yield call
    for handle in handles:
        handle.undo()


def test_one_thread_in_order(logger, unblock):
    """Handlers of all loggers write in one thread, in the order of logging."""
    shared, own = Keeper(), Keeper()
    parent = logger("a", shared)
    child = logger("a.b", own, up=True)
    apart = logger("c", shared)
    handle = unblock()
    for number in range(20):
        (parent, child, apart)[number % 3].info("%d", number)
    assert handle.flush(WAIT)
    assert shared.texts == [str(number) for number in range(20)]
    assert own.texts == [str(number) for number in range(1, 20, 3)]
    assert set(shared.threads + own.threads) == {"unblock-logging"}
    assert handle.statistics() == LoggingStatistics(27, 0, 0)


def test_from_everywhere(logger, unblock):
    """Workers, other threads and coroutines log alike, and wait for nothing."""
    keeper = Stuck()
    log = logger("a", keeper)
    handle = unblock()

    async def on_loop() -> None:
        log.info("loop")

    in_coroutine(on_loop)
    assert keeper.inside.wait(WAIT)
    in_worker(lambda: log.info("worker"))
    in_foreign_thread(lambda: log.info("thread"))
    assert keeper.records == []
    keeper.go_on.set()
    assert handle.flush()
    assert keeper.texts == ["loop", "worker", "thread"]


def test_levels_and_filters(logger, unblock):
    """They are asked where and when they were; later changes count, too."""
    keeper = Keeper(original.WARNING)
    asked: list[str] = []

    def log_filter(record: original.LogRecord) -> bool:
        asked.append(threading.current_thread().name)
        record.var = var.get()
        return "secret" not in record.getMessage()

    keeper.addFilter(log_filter)
    log = logger("a", keeper)
    handle = unblock()
    var.set("here")
    try:
        log.info("too low")
        log.warning("secret")
        log.warning("first")
        keeper.setLevel(original.INFO)
        log.info("second")
    finally:
        var.set("unset")
    assert handle.flush()
    assert keeper.texts == ["first", "second"]
    assert [vars(record)["var"] for record in keeper.records] == ["here"] * 2
    assert asked == [threading.current_thread().name] * 3


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.12")
def test_filters_that_replace_the_record(logger, unblock):
    """What the filter returns is written."""
    keeper = Keeper()
    keeper.addFilter(lambda r: original.makeLogRecord({"msg": f"new {r.msg}"}))
    log = logger("a", keeper)
    handle = unblock()
    log.info("one")
    assert handle.flush()
    assert keeper.texts == ["new one"]


def test_context(logger, unblock):
    """A formatter sees the context variables of who logged."""
    keeper, seen = Keeper(), []
    keeper.on_emit = lambda record: seen.append(var.get())
    log = logger("a", keeper)
    handle = unblock()
    contextvars.copy_context().run(lambda: (var.set("mine"), log.info("x")))
    log.info("x")
    assert handle.flush()
    assert seen == ["mine", "unset"]


class Changing:
    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


def test_what_changes_later(logger, unblock):
    """The text is that of the moment; plain arguments stay what they are."""
    keeper = Keeper()
    log = logger("a", keeper)
    handle = unblock()
    thing, rows, deep = Changing("old"), [1, {"a": (2,)}], [[[[[1]]]]]
    log.info("%s %d", thing, 7)
    log.info("%s", rows)
    log.info("%s", deep)
    log.info("%(a)s", {"a": 1})
    log.info(thing)
    log.info({"event": rows})
    thing.text = "new"
    rows[1]["a"] = deep[0][0][0][0] = 3
    assert handle.flush()
    assert keeper.texts == [
        "old 7",
        "[1, {'a': (2,)}]",
        "[[[[[1]]]]]",
        "1",
        "old",
        "{'event': [1, {'a': (2,)}]}",
    ]
    assert [record.args for record in keeper.records[:4]] == [
        None,
        ([1, {"a": (2,)}],),
        None,
        {"a": 1},
    ]
    assert keeper.records[5].msg == {"event": [1, {"a": (2,)}]}


def test_tracebacks(logger, unblock):
    """Handlers get the exception itself, and it goes when it is written."""
    keeper = Keeper()
    log = logger("a", keeper)
    handle = unblock()

    class Local:
        pass

    def fail() -> Any:
        local = Local()
        try:
            raise KeyError(7)
        except KeyError:
            log.exception("failed")
        return weakref.ref(local, lambda _: gone.set())

    gone = threading.Event()
    local = fail()
    assert handle.flush()
    (record,) = keeper.records
    assert record.exc_info is not None
    kind, error, trace = record.exc_info
    assert kind is KeyError
    assert trace is not None
    assert trace.tb_frame.f_code.co_name == "fail"
    assert isinstance(error, KeyError)
    keeper.records.clear()
    del record, error, trace
    gc.collect()
    assert gone.wait(WAIT)  # the worker may hold it until it has come back
    assert local() is None


def test_records_are_not_shared(logger, unblock):
    """What one handler's thread does to a record, another handler does not see."""
    moved, stays = Keeper(), Keeper()
    moved.on_emit = lambda record: setattr(record, "msg", "changed")
    log = logger("a", moved, stays)
    handle = unblock(leave=[stays])
    log.info("as it was")
    assert handle.flush()
    assert stays.texts == ["as it was"]
    assert stays.threads == [threading.current_thread().name]


def test_wrong_arguments(logger, unblock, capsys):
    """A message that does not fit its arguments is reported where it was logged."""
    keeper = Keeper()
    log = logger("a", keeper)
    unblock()
    log.info("%d %s", Changing("x"), 1)
    assert "in test_wrong_arguments" in capsys.readouterr().err
    assert keeper.records == []


@pytest.mark.parametrize("report", [True, False])
def test_errors_of_handlers(report, logger, unblock, capsys, monkeypatch):
    """They are reported as `raiseExceptions` says, and the next record is written."""
    monkeypatch.setattr(original, "raiseExceptions", report)
    keeper = Keeper()

    def fail(record: original.LogRecord) -> None:
        if record.msg == "bad":
            raise SystemExit("no disk")

    keeper.on_emit = fail
    log = logger("a", keeper)
    handle = unblock()
    log.info("bad")
    log.info("good")
    assert handle.flush()
    assert keeper.texts == ["good"]
    assert ("no disk" in capsys.readouterr().err) is report


def test_full(logger, unblock, expect_log):
    """What finds no room is dropped, counted, and reported once there is room."""
    stuck = Stuck()
    log = logger("a", stuck)
    handle = unblock(capacity=4)
    log.info("first")
    assert stuck.inside.wait(WAIT)
    for number in range(10):
        log.error("%d", number)
    assert handle.statistics() == LoggingStatistics(0, 4, 6)
    with expect_log("tornado_unblock.logging", "^6 log records were dropped") as seen:
        stuck.go_on.set()
        assert handle.flush()
        log.info("later")
        assert handle.flush()
    assert len(seen.messages) == 1
    assert stuck.texts == ["first", "0", "1", "2", "3", "later"]
    assert handle.statistics() == LoggingStatistics(6, 0, 6)


@pytest.mark.parametrize("report", [True, False])
def test_the_report_fails(report, logger, unblock, capsys, monkeypatch):
    """Not even that ends the listener."""
    monkeypatch.setattr(original, "raiseExceptions", report)

    def fail(record: original.LogRecord) -> None:
        raise OSError("no disk")

    stuck, broken = Stuck(), Keeper()
    broken.on_emit = fail
    log = logger("a", stuck)
    reports = original.getLogger("tornado_unblock.logging")
    reports.addHandler(broken)
    try:
        handle = unblock(capacity=1)
        log.info("1")
        assert stuck.inside.wait(WAIT)
        log.info("2")
        log.info("3")
        stuck.go_on.set()
        assert handle.flush()
        log.info("4")
        assert handle.flush()
    finally:
        reports.removeHandler(broken)
    assert stuck.texts == ["1", "2", "4"]
    assert ("no disk" in capsys.readouterr().err) is report


def test_a_handler_that_logs(logger, unblock):
    """What a handler logs while it writes does not come back to it for ever."""
    outer, inner = Keeper(), Keeper()
    logger("a", outer)
    below = logger("b", inner)
    outer.on_emit = lambda record: below.info("from the handler")
    handle = unblock()
    original.getLogger("test_logging.a").info("x")
    assert handle.flush()
    assert handle.statistics().written == 1
    assert inner.texts == ["from the handler"]


def test_undo(logger, unblock):
    """What is queued is written, and the handlers are as they were, where they were."""
    first, second, third = Keeper(), Stuck(), Keeper()
    log = logger("a", first, second)
    handle = unblock()
    log.info("queued")
    log.addHandler(third)
    log.removeHandler(first)
    assert log.handlers == [second, third]
    second.go_on.set()
    handle()
    handle.undo()
    assert log.handlers == [second, third]
    assert not any("handle" in vars(h) or "close" in vars(h) for h in (first, second))
    log.info("direct")
    assert (first.texts, second.texts) == (["queued"], ["queued", "direct"])
    assert second.threads[1] == third.threads[0] == threading.current_thread().name
    assert handle.flush()
    assert in_coroutine(handle.flush.aio)


def test_undo_with_a_stuck_handler(logger, unblock):
    """It does not wait for ever; what is queued is written when it can be."""
    stuck, rest = Stuck(), threading.Event()
    stuck.on_emit = lambda r: rest.set() if r.getMessage() == "b" else stuck._wait(r)
    log = logger("a", stuck)
    handle = unblock()
    log.info("a")
    log.info("b")
    assert stuck.inside.wait(WAIT)
    assert not handle.flush(0)
    assert not in_coroutine(lambda: handle.flush.aio(0))
    handle.undo(0)
    stuck.go_on.set()
    assert rest.wait(WAIT)


def test_with(logger, log_watch):
    """It is a context manager in both colours."""
    keeper = Keeper()
    log = logger("a", keeper)
    with logging.unblock_logging(leave=[log_watch]):
        log.info("1")
    assert keeper.texts == ["1"]

    async def main() -> None:
        async with logging.unblock_logging(leave=[log_watch]) as handle:
            log.info("2")
            assert await handle.flush.aio()
            assert keeper.texts == ["1", "2"]
            with pytest.raises(LoopThreadError, match="flush"):
                handle.flush()

    in_coroutine(main)
    assert "handle" not in vars(keeper)


def test_again(logger, unblock):
    """Called again it moves what was added, and undoing it undoes all."""
    first, second = Keeper(), Keeper()
    log = logger("a", first)
    handle = unblock()
    log.addHandler(second)
    assert unblock(capacity=7) is handle
    log.info("x")
    assert handle.flush()
    assert first.threads == second.threads == ["unblock-logging"]


def test_which_handlers(logger, unblock):
    """Handlers that cannot block are left alone; the last resort is not."""
    queued = logging.handlers.QueueHandler(Any)  # type: ignore[arg-type]
    alone = [
        original.NullHandler(),
        queued,
        original.StreamHandler(io.StringIO()),
    ]
    moved = [original.StreamHandler(sys.stderr), Keeper()]
    logger("a.b.c", *alone, *moved)
    unblock()
    assert not any("handle" in vars(handler) for handler in alone)
    assert all("handle" in vars(h) for h in (*moved, original.lastResort))


def test_no_last_resort(unblock, monkeypatch):
    """A program may do without."""
    monkeypatch.setattr(original, "lastResort", None)
    unblock()


def test_own_handle(logger, unblock):
    """A handler with a `handle` of its own does all of it in the listener's thread."""

    class Own(Keeper):
        def handle(self, record: original.LogRecord) -> Any:
            record.msg = f"own {record.msg}"
            return super().handle(record)

    keeper = Own()
    log = logger("a", keeper)
    handle = unblock()
    log.info("x")
    assert handle.flush()
    assert keeper.texts == ["own x"]
    assert keeper.threads == ["unblock-logging"]


def test_wrapped_meanwhile(logger, unblock):
    """What somebody put around the hook goes on working when it is undone."""
    keeper = Keeper()
    log = logger("a", keeper)
    handle = unblock()
    ours, calls = keeper.handle, []
    keeper.handle = lambda record: (calls.append(1), ours(record))[1]
    log.info("queued")
    handle.undo()
    log.info("direct")
    assert keeper.texts == ["queued", "direct"]
    assert len(calls) == 2
    del keeper.handle


def test_close(logger, unblock, capsys):
    """A handler is closed after what was logged before, also under its lock."""
    stuck, keeper, bad = Stuck(), Keeper(), Keeper()
    bad.on_emit = lambda record: bad.close()
    log = logger("a", stuck, keeper, bad)
    handle = unblock()
    log.info("1")
    log.info("2")
    assert stuck.inside.wait(WAIT)
    original.shutdown([weakref.ref(keeper)])
    assert keeper.closed == []
    stuck.go_on.set()
    assert handle.flush()
    assert keeper.closed == [2]
    assert bad.closed == [0, 1]
    bad.closed = None  # type: ignore[assignment]
    bad.close()
    assert handle.flush()
    assert "Logging error" in capsys.readouterr().err
    handle.undo()
    keeper.close()
    assert keeper.closed == [2, 2]


def test_no_thread(logger, unblock, monkeypatch):
    """When the system has no thread, handlers write where it is logged."""

    def refuse(*args: Any) -> None:
        raise RuntimeError("can't start new thread")

    keeper = Keeper()
    log = logger("a", keeper)
    handle = unblock()
    with monkeypatch.context() as patch:
        patch.setattr(_listener, "start_thread", refuse)
        log.info("1")
        keeper.close()
    assert keeper.closed == [1]
    assert keeper.threads == [threading.current_thread().name]
    log.info("2")
    assert handle.flush()
    assert keeper.threads[1] == "unblock-logging"


def test_flush_in_the_listener(logger, unblock):
    """A handler that flushes does not wait for itself."""
    keeper, flushed = Keeper(), []
    log = logger("a", keeper)
    handle = unblock()
    keeper.on_emit = lambda record: flushed.append(handle.flush())
    log.info("x")
    assert handle.flush()
    assert flushed == [True]


def test_flush_on_a_loop_that_closes(logger, unblock):
    """The listener outlives the loop that waited for it."""
    stuck = Stuck()
    log = logger("a", stuck)
    handle = unblock()
    log.info("x")
    assert stuck.inside.wait(WAIT)
    assert not in_coroutine(lambda: handle.flush.aio(0))
    stuck.go_on.set()
    log.info("y")
    assert handle.flush()
    assert stuck.texts == ["x", "y"]


def test_before_the_loop_is_let_go(logger, unblock):
    """Begun where a loop runs, it is flushed before that loop is let go of."""
    keeper = Keeper()
    log = logger("a", keeper)

    async def main() -> None:
        unblock()
        log.info("x")
        await current_portal().release()
        assert keeper.texts == ["x"]

    in_coroutine(main)


@pytest.mark.parametrize("capacity", [0, -1, 1.5, True, None])
def test_misuse(capacity):
    """A queue has room for something."""
    with pytest.raises(ConfigurationError, match="positive int"):
        logging.unblock_logging(capacity)


def test_all_else():
    """Every other name is the standard library's."""
    assert logging.getLogger is original.getLogger
    assert logging.handlers is original.handlers
    with pytest.raises(AttributeError, match="nothing"):
        _ = logging.nothing


PROGRAM = """
    import os, sys, threading
    from tornado_unblock.shim import logging

    class Slow(logging.Handler):
        def emit(self, record):
            gate.wait(10)
            with open("log.txt", "a") as file:
                file.write(f"{os.getpid() == parent} {record.getMessage()}\\n")

    gate, parent = threading.Event(), os.getpid()
    log = logging.getLogger("x")
    log.addHandler(Slow())
    log.setLevel("INFO")
    handle = logging.unblock_logging()
"""


def test_at_exit(run_program, tmp_path):
    """What is queued is written when the program ends, and what comes after it."""
    run_program(
        PROGRAM.replace("import os", "import atexit, os", 1).replace(
            "    from tornado",
            "    atexit.register(lambda: log.info('end'))\n    from tornado",
            1,
        )
        + """
    for number in range(3):
        log.info("%d", number)
    gate.set()
    """
    )
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert lines == ["True 0", "True 1", "True 2", "True end"]


def test_fork(run_program, tmp_path):
    """The parent writes what it has queued, the child what it logs itself."""
    run_program(
        PROGRAM
        + """
    from tornado_unblock.shim.logging import _listener
    _listener._FORK_SECONDS = 0.01
    log.info("before")
    log.info("before too")
    if os.fork() == 0:
        gate.set()
        log.info("child")
        assert handle.flush()
        assert handle.statistics().written == 1
        os._exit(0)
    assert os.wait()[1] == 0
    gate.set()
    assert handle.flush()
    if os.fork() == 0:
        log.info("second child")
        sys.exit()
    assert os.wait()[1] == 0
    log.info("after")
    handle.undo()
    if os.fork() == 0:
        log.info("direct")
        os._exit(0)
    assert os.wait()[1] == 0
    """
    )
    assert (tmp_path / "log.txt").read_text().splitlines() == [
        "False child",
        "True before",
        "True before too",
        "False second child",
        "True after",
        "False direct",
    ]


def test_unused(run_program):
    """Who only imports it notices nothing, in the end and in children."""
    program = """
        import os
        from tornado_unblock.shim import logging
        if os.fork() == 0:
            os._exit(0)
        print(os.wait()[1])
    """
    assert run_program(program) == "0\n"


def test_asyncio_debug(logger, unblock):
    """Flushing is done through the loop's own door."""
    log = logger("a", Keeper())
    handle = unblock()
    log.info("x")
    assert asyncio.run(handle.flush.aio(), debug=True)
