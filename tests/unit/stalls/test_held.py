"""Seeing into C code that holds the interpreter."""

from __future__ import annotations

from tornado_unblock._stalls import held as module
from tornado_unblock._stalls.held import HeldDump, parse

TEXT = """\
Timeout (0:00:00.100000)!
Thread 0x00007f1200000001 (most recent call first):
  File "/srv/shop/orders.py", line 7 in Shop.load
  File "/srv/shop/web.py", line 3 in get

Thread 0x00007f1200000002 [worker] (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 3 in wait
"""


def test_parse() -> None:
    """The stacks of all threads, outermost first."""
    dumps = parse(TEXT)
    assert set(dumps) == {0x7F1200000001, 0x7F1200000002}
    outer, inner = dumps[0x7F1200000001]
    assert (outer.file, outer.line, outer.name) == ("/srv/shop/web.py", 3, "get")
    assert (inner.name, inner.function) == ("load", "Shop.load")


def test_a_process_of_its_own(run_program) -> None:  # type: ignore[no-untyped-def]
    """C code that holds the interpreter is seen while it does."""
    said = run_program(
        """
        import asyncio, ctypes, threading
        from tornado_unblock import stalls, watch

        usleep = ctypes.PyDLL(None).usleep      # holds the interpreter

        def held():
            usleep(600_000)
            return [n for n in range(3)]

        async def main():
            kept = watch(0.05, faulthandler=True)
            while kept._watcher._held is None:
                await asyncio.sleep(0)
            while not any(row.place for row in stalls()):
                held()      # the timer is put off this very moment, now and then
                await asyncio.sleep(0)
            kept.stop()
            for row in stalls():
                if row.place is not None:
                    print(row.place.function, row.place.line)

        asyncio.run(main())
        """
    )
    assert said.endswith("held 8\n"), said


def test_forked_children(run_program) -> None:  # type: ignore[no-untyped-def]
    """No timer runs over a fork: the child can have one of its own, and end."""
    said = run_program(
        """
        import faulthandler, os, signal
        from tornado_unblock._stalls.held import HeldDump

        held = HeldDump(1000.0)
        child = os.fork()
        if child == 0:
            signal.alarm(30)            # so that a child that hangs is seen
            own = HeldDump(1000.0)
            assert own.rearm() == {}
            own.close()
            raise SystemExit(0)         # the interpreter's end takes timers back too
        assert os.waitpid(child, 0)[1] == 0
        assert held.rearm() == {}
        held.close()
        child = os.fork()
        if child == 0:
            raise SystemExit(0)
        print(os.waitpid(child, 0)[1])
        """
    )
    assert said == "0\n"


def test_over_a_fork() -> None:
    """It stands still while the process forks; a child leaves it to the parent."""
    held = HeldDump(1000.0)
    module._before_fork()
    assert module._lock.locked()
    module._after_fork()
    assert not module._lock.locked()
    assert held.rearm() == {}
    module._before_fork()
    module._in_child()
    assert not module._lock.locked()
    assert module._running is None
    module._before_fork()
    module._after_fork()
    module._in_child()


def test_what_was_written() -> None:
    """It is read once."""
    held = HeldDump(1000.0)
    held._file.write(TEXT.encode())
    held._file.flush()
    assert held.rearm() == parse(TEXT)
    assert held.rearm() == {}
    held.close()


def test_close() -> None:
    """The timer is taken back."""
    held = HeldDump(1000.0)
    assert held.rearm() == {}
    held.close()
