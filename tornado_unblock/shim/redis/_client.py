"""`Redis`: redis-py's client, with ``.aio`` on every command.

# Threads: any. Sync calls use the client's pool, awaited ones that of the loop.
# Guarantees: see `_pools`; a command that is cancelled closes its connection.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Callable, Optional

import redis
import redis.asyncio as aio
from redis.commands.core import AsyncScript
from redis.commands.core import Script as _Script

from tornado_unblock.shim._crossing.dual import Dual, pair
from tornado_unblock.shim._crossing.wait import check_may_block
from tornado_unblock.shim.redis._calls import (
    COMMANDS,
    SCANS,
    CallMethod,
    ScanMethod,
)
from tornado_unblock.shim.redis._lock import Lock
from tornado_unblock.shim.redis._pipeline import Pipeline
from tornado_unblock.shim.redis._pools import async_client, close_async_client
from tornado_unblock.shim.redis._pubsub import PubSub

if TYPE_CHECKING:

    class _Base:
        """What redis.Redis is, where each command is a `Dual`."""

        connection_pool: redis.ConnectionPool
        response_callbacks: Any

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...
        def __getattr__(self, name: str) -> Dual[..., Any]: ...
        @classmethod
        def from_url(cls, url: str, **kwargs: Any) -> Redis: ...
        def set_response_callback(self, command: str, callback: Any) -> None: ...

else:
    _Base = redis.Redis


class Redis(_Base):
    """A client for both colours; its arguments are those of ``redis.Redis``.

    Every command, and ``execute_command`` and ``transaction``, has ``.aio``. In sync
    use, and for ``isinstance``, it is a ``redis.Redis``. Any thread; one client
    serves all threads and loops.
    """

    _callbacks: Optional[dict[str, Any]] = None

    def async_client(self) -> Any:
        """Return the running loop's ``redis.asyncio.Redis``; loop thread.

        It has what is not covered here: JSON, search and other modules, ``monitor``.

        Raises:
            LoopThreadError: No loop runs in this thread.
            NotImplementedError: An option of this client has no counterpart.
        """
        client = async_client(self.connection_pool)
        if self._callbacks:
            client = aio.Redis(connection_pool=client.connection_pool)
            client.response_callbacks.update(self._callbacks)
        return client

    def set_response_callback(self, command: str, callback: Any) -> None:
        """Set what makes a result of a response, in both colours."""
        super().set_response_callback(command, callback)
        self._callbacks = {**(self._callbacks or {}), command: callback}

    def pipeline(
        self, transaction: bool = True, shard_hint: Optional[str] = None
    ) -> Pipeline:
        """Return a `Pipeline`; any thread."""
        return Pipeline(self, transaction, shard_hint)

    def lock(
        self, name: Any, *args: Any, lock_class: Any = None, **options: Any
    ) -> Any:
        """Return a `Lock`; any thread. The arguments are those of ``redis.Redis``."""
        if len(args) > 4:  # where redis has lock_class
            args, lock_class = (*args[:4], *args[5:]), args[4] or lock_class
        return (lock_class or Lock)(self, name, *args, **options)

    def pubsub(self, **options: Any) -> PubSub:
        """Return a `PubSub`; any thread."""
        return PubSub(self, **options)

    def register_script(self, script: Any) -> Script:
        """Return a Lua script that can be called and awaited; any thread."""
        client: Any = self
        return Script(client, script)

    def monitor(self) -> Any:
        """Return what listens to all commands; not on a loop thread.

        Raises:
            LoopThreadError: An event loop runs in this thread.
        """
        check_may_block("monitor()", "use async_client().monitor()")
        plain: Any = redis.Redis
        return plain.monitor(self)

    async def aclose(self) -> None:
        """Close what idles in the running loop's pool; it is usable still."""
        await close_async_client(self.connection_pool)

    async def __aenter__(self) -> Redis:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()


class Script(_Script):
    """A Lua script: ``script(keys, args)``, ``await script.aio(keys, args)``."""

    async def aio(
        self, keys: Any = None, args: Any = None, client: Optional[Redis] = None
    ) -> Any:
        """Run the script; loop thread."""
        target: Any = client if client is not None else self.registered_client
        if isinstance(target, Pipeline):
            return self(keys, args, target)  # type: ignore[arg-type]
        return await AsyncScript(target.async_client(), self.script)(keys, args)


def _command(name: str) -> Dual[..., Any]:
    async def awaited(self: Redis, *args: Any, **kwargs: Any) -> Any:
        return await getattr(self.async_client(), name)(*args, **kwargs)

    dual: Any = pair(getattr(redis.Redis, name), awaited)
    dual.__qualname__ = f"Redis.{name}"
    return dual  # type: ignore[no-any-return]


async def _transaction(
    self: Redis,
    func: Callable[[Pipeline], Any],
    *watches: Any,
    shard_hint: Optional[str] = None,
    value_from_callable: bool = False,
    watch_delay: Optional[float] = None,
) -> Any:
    """Call ``await func(pipeline)`` until nobody else writes what it watches."""
    if watch_delay:
        raise NotImplementedError("transaction.aio(...) does without watch_delay=")
    async with self.pipeline(True, shard_hint) as pipe:
        while True:
            try:
                if watches:
                    await pipe.watch.aio(*watches)
                value = await func(pipe)
                done = await pipe.execute.aio()
                return value if value_from_callable else done
            except redis.WatchError:
                continue


for _name in (*COMMANDS, "execute_command"):
    setattr(Redis, _name, _command(_name))
for _name in SCANS:
    _scan = ScanMethod(getattr(redis.Redis, _name), Redis.async_client)
    setattr(Redis, _name, _scan)
_both: Any = Redis
_original: Any = redis.Redis.transaction
_both.transaction = pair(_original, _transaction)
# Closing sockets blocks nobody, and garbage is collected in any thread.
_both.close = CallMethod(redis.Redis.close, Redis.aclose)
functools.update_wrapper(_both.close, redis.Redis.close)
