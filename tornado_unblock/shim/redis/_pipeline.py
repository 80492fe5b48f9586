"""`Pipeline`: commands collected by either colour, sent by either.

Until it is executed, a pipeline is a list of commands, and collecting them blocks
nobody. Only a pipeline that watches keys belongs to the colour that watches.

# Threads: one at a time, as with redis-py.
# Guarantees: who leaves ``with`` or ``async with`` gives the connection back, and it
# watches nothing any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import redis
import redis.client

from tornado_unblock._errors import LoopThreadError
from tornado_unblock.shim._crossing.dual import Dual, pair
from tornado_unblock.shim._crossing.wait import check_may_block
from tornado_unblock.shim.redis._calls import COMMANDS, Call, CallMethod

if TYPE_CHECKING:

    class _Base:
        """What redis.client.Pipeline is, where each command is a `Call`."""

        command_stack: list[Any]
        scripts: set[Any]
        explicit_transaction: bool
        watching: bool
        transaction: bool
        shard_hint: Optional[str]
        connection: Any
        execute: Dual[..., list[Any]]

        def __init__(
            self, pool: Any, callbacks: Any, transaction: bool, shard_hint: Any
        ) -> None: ...
        def __getattr__(self, name: str) -> Call: ...
        def __enter__(self) -> Pipeline: ...
        def __exit__(self, *error: object) -> None: ...
        def multi(self) -> None: ...
        def immediate_execute_command(self, *args: Any, **kwargs: Any) -> Any: ...

else:
    _Base = redis.client.Pipeline


class Pipeline(_Base):
    """Commands sent together; see ``redis.client.Pipeline``.

        with r.pipeline() as p:
            p.incr("a").incr("b").execute()
        async with r.pipeline() as p:
            await p.incr("a").incr("b").execute.aio()

    To watch keys in a coroutine: ``await p.watch.aio(key)``, ``await p.get.aio(key)``,
    ``p.multi()``, and so on.
    """

    def __init__(self, client: Any, transaction: bool, shard_hint: Any) -> None:
        self._client = client
        # The pipeline of redis.asyncio that watches or executes.
        self._twin: Any = None
        super().__init__(
            client.connection_pool, client.response_callbacks, transaction, shard_hint
        )

    def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command that cannot wait; not on a loop thread.

        Raises:
            LoopThreadError: An event loop runs here, or watches for this pipeline.
        """
        self._check_sync(str(args[0]).lower().replace(" ", "_"))
        return super().immediate_execute_command(*args, **options)

    def reset(self) -> None:
        """Forget all commands, and watch nothing; not while a loop watches.

        Raises:
            LoopThreadError: A coroutine has called ``watch``.
        """
        if self._watches_on_loop():
            raise _ends_on_loop()
        redis.client.Pipeline.reset(self)  # type: ignore[arg-type]

    async def aclose(self) -> None:
        """Forget all commands, and watch nothing; loop thread."""
        twin, self._twin = self._twin, None
        try:
            if twin is not None:
                await twin.reset()
        finally:
            self.reset()

    async def __aenter__(self) -> Pipeline:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    def _watches_on_loop(self) -> bool:
        return self._twin is not None and self._twin.watching

    def _check_sync(self, name: str) -> None:
        check_may_block(
            f"pipeline.{name}(...)", f"write `await pipeline.{name}.aio(...)` there"
        )
        if self._watches_on_loop():
            raise _ends_on_loop()

    def _async_pipeline(self) -> Any:
        if self.connection is not None:
            raise redis.RedisError(
                "this pipeline watches keys in sync code; end it there before it is "
                "awaited"
            )
        if self._twin is None:
            client = self._client.async_client()
            self._twin = client.pipeline(self.transaction, self.shard_hint)
        return self._twin

    async def _awaited(self, name: str, *args: Any, **kwargs: Any) -> Any:
        twin = self._async_pipeline()
        twin.explicit_transaction = self.explicit_transaction
        try:
            return await getattr(twin, name)(*args, **kwargs)
        finally:
            self.watching = twin.watching

    def _execute(self, raise_on_error: bool = True) -> Any:
        if self._watches_on_loop():
            raise _ends_on_loop()
        return redis.client.Pipeline.execute(self, raise_on_error)  # type: ignore[arg-type]

    async def _execute_aio(self, raise_on_error: bool = True) -> Any:
        twin = self._async_pipeline()
        twin.command_stack, twin.scripts = self.command_stack, self.scripts
        try:
            return await self._awaited("execute", raise_on_error)
        finally:
            # It has given its connection back: what is left is the list here.
            self.reset()


def _ends_on_loop() -> LoopThreadError:
    return LoopThreadError(
        "this pipeline watches keys for a coroutine: use it with `async with`, and "
        "await its commands there"
    )


def _command(name: str) -> CallMethod:
    original = getattr(redis.client.Pipeline, name)

    async def awaited(self: Pipeline, *args: Any, **kwargs: Any) -> Any:
        at_once = name == "watch" or self.watching
        if at_once and not self.explicit_transaction:
            return await self._awaited(name, *args, **kwargs)
        return original(self, *args, **kwargs)

    return CallMethod(original, awaited)


_both: Any = Pipeline
for _name in set(COMMANDS) - set(vars(Pipeline)):  # RESET is not `reset`
    setattr(Pipeline, _name, _command(_name))
_execute: Any = pair(Pipeline._execute, Pipeline._execute_aio)
_execute.__qualname__ = "Pipeline.execute"
_both.execute = _execute
_both.close = CallMethod(Pipeline.reset, Pipeline.aclose)
