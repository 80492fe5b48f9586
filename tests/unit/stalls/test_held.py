"""Seeing into C code that holds the interpreter."""

from __future__ import annotations

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
            held()
            await asyncio.sleep(0)
            kept.stop()
            for row in stalls():
                print(row.place.function if row.place else None, row.place.line)

        asyncio.run(main())
        """
    )
    assert said.endswith("held 8\n"), said


def test_close() -> None:
    """The timer is taken back."""
    held = HeldDump(1000.0)
    assert held.rearm() == {}
    held.close()
