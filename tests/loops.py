"""Which loops the tests run on: asyncio's own, or uvloop's (`make test-uvloop`)."""

from __future__ import annotations

import asyncio
import os


def on_uvloop() -> bool:
    """Whether whoever makes a loop is to make one of uvloop's."""
    return os.environ.get("TORNADO_UNBLOCK_TEST_LOOP") == "uvloop"


def set_policy() -> None:
    """Have loops made of the kind that was asked for."""
    if on_uvloop():
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
