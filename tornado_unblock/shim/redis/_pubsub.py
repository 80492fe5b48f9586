"""`PubSub`: redis-py's subscriptions, in the colour of whoever subscribes.

# Threads: one colour for each object; awaited, the loop on which it began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import redis.client

from tornado_unblock.shim._crossing.dual import Dual, pair
from tornado_unblock.shim.redis._calls import CallMethod, ScanMethod

_METHODS = (
    "subscribe",
    "psubscribe",
    "ssubscribe",
    "unsubscribe",
    "punsubscribe",
    "sunsubscribe",
    "get_message",
    "ping",
)

if TYPE_CHECKING:

    class _Base:
        """What redis.client.PubSub is, where what blocks is a `Dual`."""

        def __init__(self, connection_pool: Any, **options: Any) -> None: ...
        def __getattr__(self, name: str) -> Dual[..., Any]: ...
        @property
        def subscribed(self) -> bool: ...

else:
    _Base = redis.client.PubSub


class PubSub(_Base):
    """Subscriptions of one client; see ``redis.client.PubSub``.

    ``subscribe``, ``get_message`` and their like have ``.aio``; ``listen()`` goes
    into ``for`` and ``async for``. Use one object in one colour only.
    """

    def __init__(self, client: Any, **options: Any) -> None:
        self._client, self._options = client, options
        self._twin: Any = None
        super().__init__(client.connection_pool, **options)

    def twin(self) -> Any:
        """Return the object of ``redis.asyncio`` behind awaited calls; loop thread."""
        if self._twin is None:
            self._twin = self._client.async_client().pubsub(**self._options)
        return self._twin

    @property
    def subscribed(self) -> bool:
        """Whether there is a subscription."""
        if self._twin is not None:
            return bool(self._twin.subscribed)
        return super().subscribed

    async def aclose(self) -> None:
        """Leave all channels, and close the connection; loop thread."""
        twin: Optional[Any] = self._twin
        if twin is not None:
            await twin.aclose()

    async def __aenter__(self) -> PubSub:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()


def _method(name: str) -> Dual[..., Any]:
    async def awaited(self: PubSub, *args: Any, **kwargs: Any) -> Any:
        return await getattr(self.twin(), name)(*args, **kwargs)

    return pair(getattr(redis.client.PubSub, name), awaited)


_both: Any = PubSub
for _name in _METHODS:
    setattr(PubSub, _name, _method(_name))
_both.listen = ScanMethod(redis.client.PubSub.listen, PubSub.twin)
_both.close = CallMethod(redis.client.PubSub.close, PubSub.aclose)
