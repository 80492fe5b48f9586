"""Running a coroutine in a worker, where what it awaits may block.

For code that is a coroutine only because it awaits its own output, such as
`tornado.web.StaticFileHandler`, which reads files in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from tornado_unblock._loop.latch import Latch
from tornado_unblock._loop.portal import Portal


def drive(coroutine: Coroutine[Any, Any, Any], portal: Portal) -> Any:
    """Run ``coroutine`` to its end in this worker.

    Args:
        coroutine: It may await Futures of the portal's loop, nothing else.
        portal: The way to that loop.

    Returns:
        What it returns; what it raises is raised.
    """
    while True:
        try:
            awaited = coroutine.send(None)
        except StopIteration as stop:
            return stop.value
        if awaited is not None:
            _wait(awaited, portal)


def _wait(future: asyncio.Future[Any], portal: Portal) -> None:
    latch = Latch()
    portal.call_soon(future.add_done_callback, latch.open)
    latch.wait(portal.loop)
