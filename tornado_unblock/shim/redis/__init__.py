"""redis for both colours.

    from tornado_unblock.shim import redis         # instead of: import redis

    r = redis.from_url("redis://localhost/0")
    r.get("key")                                   # as ever: blocks
    await r.get.aio("key")                         # in a coroutine; redis.asyncio

Names, results and exceptions are those of redis-py; what is not here is looked up
there. Sync calls share the client's own pool; awaited ones have a pool for each loop,
with the same options.

It needs the extra ``redis``: ``pip install 'tornado-unblock[redis]'``.

# Threads: any; see `Redis`.
"""

from __future__ import annotations

from typing import Any

try:
    import redis as _redis
except ImportError as error:  # pragma: no cover - the tests have it
    raise ImportError(
        "tornado_unblock.shim.redis needs redis: pip install 'tornado-unblock[redis]'"
    ) from error

from tornado_unblock.shim.redis._client import Redis
from tornado_unblock.shim.redis._lock import Lock
from tornado_unblock.shim.redis._pipeline import Pipeline
from tornado_unblock.shim.redis._pubsub import PubSub

__all__ = ["Lock", "Pipeline", "PubSub", "Redis", "StrictRedis", "from_url"]

StrictRedis = Redis


def from_url(url: str, **options: Any) -> Redis:
    """Return a `Redis` for ``redis://``, ``rediss://`` or ``unix://``; any thread."""
    return Redis.from_url(url, **options)


def __getattr__(name: str) -> Any:
    return getattr(_redis, name)
