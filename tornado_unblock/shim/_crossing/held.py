"""A worker held for as long as a sync generator or context manager is open.

# Threads: the loop thread only.
# Guarantees:
# - all steps run in one thread: in the one that waits for the caller, if one does,
#   else in a worker held for this, which lends its token between the steps;
# - the worker is let go when the block ends, however it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from typing import Optional

from tornado_unblock._executors.registry import get_executor
from tornado_unblock._limits.placement import placement
from tornado_unblock._loop.portal import current_portal
from tornado_unblock._offload.future import OffloadFuture
from tornado_unblock._offload.offload import Offload
from tornado_unblock.shim._crossing.lane import Lane, current_lane


@contextlib.asynccontextmanager
async def held_lane(name: str) -> AsyncIterator[Lane]:
    """Hold one thread, and yield the lane to it.

    Args:
        name: What errors and statistics call the work.

    Raises:
        RejectedError: No worker could be had.
    """
    lane = current_lane()
    if lane is not None:
        yield lane
        return
    lane = Lane(current_portal())
    ready = asyncio.get_running_loop().create_future()
    worker = _hold(lane, ready, name)
    try:
        await ready
        yield lane
    finally:
        lane.shut()
        if ready.cancelled():
            worker.cancel()
        else:
            await worker


def _hold(lane: Lane, ready: asyncio.Future[None], name: str) -> OffloadFuture:
    def serve() -> None:
        lane.portal.call_soon(_ready, ready)
        lane.serve()

    # However long it is held, the timeout of one body does not apply.
    where = placement(lane.portal, get_executor(), name, None)._replace(timeout=None)
    offload = Offload(lane.portal, where, serve)
    worker = offload.admit()
    worker.add_done_callback(functools.partial(_ready, ready))
    lane.open(offload)
    return worker


def _ready(
    ready: asyncio.Future[None], worker: Optional[asyncio.Future[object]] = None
) -> None:
    if ready.done():
        return
    error = worker.exception() if worker is not None else None
    if error is not None:
        ready.set_exception(error)
    else:
        ready.set_result(None)
