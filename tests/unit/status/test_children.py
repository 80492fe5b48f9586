"""What waits for the first loop of a forked child."""

from __future__ import annotations

import asyncio

from tornado.ioloop import IOLoop

from tornado_unblock._stalls import hooks
from tornado_unblock.status.children import FirstLoop


def test_the_first_loop_begins_it():
    """Once, and Tornado is as before."""
    begun = []
    first = FirstLoop(lambda: begun.append(1))
    before = IOLoop.configurable_base().configurable_default().initialize
    first.await_it()
    first.await_it()
    assert begun == []

    async def run():
        IOLoop.current()

    asyncio.run(run())
    asyncio.run(run())
    assert begun == [1]
    assert first not in hooks._adopters
    assert IOLoop.configurable_base().configurable_default().initialize is before


def test_loops_that_are_there_do_not():
    """What the parent had does not turn in the child."""
    begun = []
    first = FirstLoop(lambda: begun.append(1))

    async def run():
        IOLoop.current()
        first.await_it()
        first.after_fork()
        assert begun == []
        first.forget()

    asyncio.run(run())
    assert begun == []
