"""The pools of awaited calls: for each pool of redis, one on each loop.

# Threads: `async_client` the loop thread. A pool that is collected may be so in any
# thread; its loop is told.
# Guarantees:
# - clients that share a pool in sync code share one in awaited calls;
# - connections are closed with the pool they belong to, or with their loop;
# - a forked child has empty pools, and the parent's connections live on.
"""

from __future__ import annotations

import asyncio
import inspect
import weakref
from typing import Any

import redis
import redis.asyncio as aio
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry

from tornado_unblock._errors import LoopClosedError
from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._loop.per_loop import ClosedPerLoop
from tornado_unblock._loop.portal import Portal, current_portal
from tornado_unblock._loop.weak import members

_ATTRIBUTE = "_tornado_unblock_clients"
_CLASSES: dict[Any, Any] = {
    redis.Connection: aio.Connection,
    redis.SSLConnection: aio.SSLConnection,
    redis.UnixDomainSocketConnection: aio.UnixDomainSocketConnection,
}
# What redis itself adds for the connections of one pool: the other adds its own.
_INTERNAL = ("maint_notifications_pool_handler", "himport_registry", "orig_")
# Those that only some releases of redis have elsewhere than in the signatures.
_POOLS_OWN = ("maint_notifications_config",)

_pools: weakref.WeakSet[Any] = weakref.WeakSet()


class _Fresh:
    """Does not lend a connection that the server has closed.

    Some releases of redis leave that to their retries, which not every pool has.
    """

    async def ensure_connection(self, connection: Any) -> None:
        reader = connection._reader
        if reader is not None and reader.at_eof():
            await connection.disconnect(nowait=True)
        await super().ensure_connection(connection)  # type: ignore[misc]


class _Pool(_Fresh, aio.ConnectionPool):
    pass


class _BlockingPool(_Fresh, aio.BlockingConnectionPool):
    pass


def async_client(pool: Any) -> Any:
    """Return the running loop's `redis.asyncio.Redis` beside ``pool``; loop thread.

    Raises:
        LoopThreadError: No loop runs in this thread.
        NotImplementedError: An option of the pool has no counterpart.
    """
    return _clients(pool).get()


async def close_async_client(pool: Any) -> None:
    """Close the running loop's connections beside ``pool``; loop thread."""
    await _clients(pool).close()


def _clients(pool: Any) -> ClosedPerLoop[Any]:
    own = vars(pool)
    if _ATTRIBUTE not in own:
        # Two threads may both come here: the first one's is kept.
        own.setdefault(_ATTRIBUTE, _new_clients(pool))
    return own[_ATTRIBUTE]  # type: ignore[no-any-return]


def _new_clients(pool: Any) -> ClosedPerLoop[Any]:
    # The loop keeps the clients: they must not keep the pool.
    pool_class, options = _translated(pool)
    of_pool = weakref.ref(pool)

    def make() -> Any:
        new = pool_class(**options)
        _pools.add(new)
        owner = of_pool()
        assert owner is not None
        end = weakref.finalize(owner, _end, current_portal(), vars(owner)[_ATTRIBUTE])
        end.atexit = False
        return aio.Redis(connection_pool=new)

    return ClosedPerLoop(make, _close, _drop)


def _end(portal: Portal, clients: ClosedPerLoop[Any]) -> None:
    """Close what belonged to a pool that is gone; any thread."""
    try:
        portal.call_soon(_spawn_close, clients)
    except LoopClosedError:
        pass


def _spawn_close(clients: ClosedPerLoop[Any]) -> None:
    task = asyncio.ensure_future(clients.close())
    _closing.add(task)
    task.add_done_callback(_closing.discard)


# A loop does not keep its tasks alive.
_closing: set[asyncio.Future[None]] = set()


async def _close(client: Any) -> None:
    await client.connection_pool.disconnect()


def _drop(client: Any) -> None:
    _abandon(client.connection_pool)


def _translated(pool: Any) -> tuple[Any, dict[str, Any]]:
    """Return the class of the async pool and its options."""
    if pool.connection_class not in _CLASSES:
        raise _not_covered(f"a pool of {pool.connection_class.__name__}")
    if getattr(pool, "cache", None) is not None:
        raise _not_covered("a client-side cache")
    options = {
        "connection_class": _CLASSES[pool.connection_class],
        "max_connections": pool.max_connections,
    }
    for name, value in pool.connection_kwargs.items():
        if name == "retry" and value is not None:
            options[name] = Retry(value._backoff, value._retries)
        elif not name.startswith(_INTERNAL):
            _check(name, value)
            options[name] = value
    if isinstance(pool, redis.BlockingConnectionPool):
        return _BlockingPool, {**options, "timeout": pool.timeout}
    return _Pool, options


def _check(name: str, value: Any) -> None:
    covered = name in _parameters or name in _POOLS_OWN
    if value is not None and (not covered or name == "redis_connect_func"):
        raise _not_covered(f"{name}=")


def _not_covered(what: str) -> NotImplementedError:
    return NotImplementedError(
        f"awaited calls do not cover {what}; call without .aio, in a worker, or use "
        "redis.asyncio itself"
    )


_parameters = {
    name
    for kind in (AbstractConnection, *_CLASSES.values())
    for name in inspect.signature(kind.__init__).parameters
}


def _abandon(pool: Any) -> None:
    """Close a pool's sockets without its loop, and without a word to the server."""
    connections = [*pool._available_connections, *pool._in_use_connections]
    pool._available_connections.clear()
    pool._in_use_connections.clear()
    for connection in connections:
        writer, connection._writer = connection._writer, None
        connection._reader = None
        if writer is not None:
            _cut(writer.transport)


def _cut(transport: Any) -> None:
    while transport is not None:
        transport._closing = transport._closed = True
        sock, transport._sock = getattr(transport, "_sock", None), None
        if sock is not None:
            sock.close()
        tls = getattr(transport, "_ssl_protocol", None)
        transport = getattr(tls, "_transport", None)


def _forget_parent() -> None:
    _closing.clear()
    for pool in members(_pools):
        _abandon(pool)


at_fork(Step.POOLS, _forget_parent)
