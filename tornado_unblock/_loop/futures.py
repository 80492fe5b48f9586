"""Giving a Future of the loop an outcome; the loop thread only."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
from typing import Any


def copy_outcome(source: asyncio.Future[Any], target: asyncio.Future[Any]) -> None:
    """Give ``target`` what ``source`` has or will have; loop thread only."""
    if source.done():
        _copy_now(target, source)
        return
    source.add_done_callback(functools.partial(_copy_now, target))
    target.add_done_callback(functools.partial(_pass_cancel, source))


def _copy_now(target: asyncio.Future[Any], source: asyncio.Future[Any]) -> None:
    if target.done():
        return
    if source.cancelled():
        target.cancel()
        return
    error = source.exception()
    if error is not None:
        target.set_exception(error)
    else:
        target.set_result(source.result())


def _pass_cancel(source: asyncio.Future[Any], target: asyncio.Future[Any]) -> None:
    if target.cancelled() and not source.done():
        source.cancel()


def deliver(
    value: Any, future: asyncio.Future[Any], context: contextvars.Context
) -> None:
    """Give ``future`` what ``value`` is or, if awaitable, will be; loop thread only.

    Args:
        value: Anything.
        future: Not done yet.
        context: What an awaitable runs in.
    """
    if isinstance(value, asyncio.Future):
        copy_outcome(value, future)
    elif isinstance(value, concurrent.futures.Future):
        copy_outcome(asyncio.wrap_future(value, loop=future.get_loop()), future)
    elif hasattr(value, "__await__"):
        copy_outcome(context.run(asyncio.ensure_future, value), future)
    else:
        future.set_result(value)
