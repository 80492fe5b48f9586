"""Forked children, and watchers beside each other."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Callable

import pytest
from tornado.ioloop import IOLoop
from tornado.platform.asyncio import BaseAsyncIOLoop

from tornado_unblock import loop_statistics
from tornado_unblock._stalls import hooks
from tornado_unblock.testing import no_stalls


@pytest.mark.parametrize(
    ("make", "timer"),
    [("new_event_loop", False), ("new_event_loop", True), ("uvloop", False)],
)
def test_forked_children(
    run_program: Callable[[str], str], make: str, timer: bool
) -> None:
    """A child counts its own stalls, in a thread of its own, from the beginning."""
    if make == "uvloop":
        pytest.importorskip("uvloop")
    said = run_program(
        f"""
        import asyncio, os, sys, threading, time
        from tornado.ioloop import IOLoop
        import tornado_unblock
        from tornado_unblock import stalls, loop_statistics

        make = "{make}"
        if make == "uvloop":
            import uvloop
            new_loop = uvloop.new_event_loop
        else:
            new_loop = asyncio.new_event_loop
        tornado_unblock.watch(0.1, faulthandler={timer})

        def stall():
            threading.Event().wait(0.4)

        async def main():
            IOLoop.current()
            while not any(loop.turns for loop in loop_statistics()):
                await asyncio.sleep(0)
            stall()
            while not own():
                await asyncio.sleep(0)

        def own():  # others may be the machine's
            return [one for one in stalls() if one.place.function == "stall"]

        first = new_loop()
        asyncio.set_event_loop(first)
        first.run_until_complete(main())
        child = os.fork()
        if child == 0:
            before = len(stalls())
            if make != "uvloop":      # which cannot be run again in a child
                first.run_until_complete(main())
            loop = new_loop()
            asyncio.set_event_loop(loop)
            loop.run_until_complete(main())
            print("child", before, own()[0].place.function, flush=True)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        assert status == 0, status
        print("parent", own()[0].count)
        """
    )
    lines = said.splitlines()
    assert "child 0 stall" in lines, said
    assert "parent 1" in lines, said


def test_watchers_beside_each_other(watch: Callable[..., Any]) -> None:
    """Whichever ends first, the other goes on, and the last one leaves nothing."""
    before = (BaseAsyncIOLoop.initialize, asyncio.BaseEventLoop.run_forever)

    async def main() -> None:
        selector: Any = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
        plain = dict(vars(selector))
        kept = watch(60.0)
        check = no_stalls(60.0)
        check.__enter__()
        await asyncio.sleep(0)
        kept.stop()
        await asyncio.sleep(0)
        assert loop_statistics() == ()
        check.__exit__(None, None, None)
        await asyncio.sleep(0)
        other = watch(60.0)
        await asyncio.sleep(0)
        assert loop_statistics()[0].turns > 0
        other.stop()
        assert set(vars(selector)) >= set(plain)

    asyncio.run(main())
    assert (BaseAsyncIOLoop.initialize, asyncio.BaseEventLoop.run_forever) == before


def test_adopters_hear_of_forks() -> None:
    """Each begins anew in a child, with a lock that nobody holds."""

    class Adopter:
        forks = 0

        def adopt(self, loop: asyncio.AbstractEventLoop) -> None:
            """Take none."""

        def after_fork(self) -> None:
            self.forks += 1

    adopter, lock = Adopter(), hooks._lock
    hooks.join(adopter)
    hooks._after_fork()
    hooks.leave(adopter)
    hooks.leave(adopter)
    hooks._after_fork()
    assert adopter.forks == 1
    assert hooks._lock is not lock


def test_nobody_hears_of_loops_of_its_own() -> None:
    """The page's loop is looked at by nobody: not as it begins, and not later."""
    heard: list[asyncio.AbstractEventLoop] = []

    class Adopter:
        def adopt(self, loop: asyncio.AbstractEventLoop) -> None:
            heard.append(loop)

        def after_fork(self) -> None:
            """Nothing."""

    first, late = Adopter(), Adopter()

    async def serve() -> None:
        IOLoop.current()
        hooks.join(late)
        hooks.leave(late)

    hooks.join(first)
    thread = threading.Thread(
        target=lambda: asyncio.run(serve()), name=f"{hooks.PRIVATE}-x"
    )
    thread.start()
    thread.join()
    assert heard == []
    asyncio.run(serve())
    hooks.leave(first)
    assert len(set(heard)) == 1
