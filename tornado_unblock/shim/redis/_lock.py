"""`Lock`: redis-py's lock, taken with ``with`` or with ``async with``.

# Threads: as redis-py has it: who took it lets it go, and with ``thread_local=True``
# in the same thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis.asyncio.lock
import redis.lock

from tornado_unblock.shim._crossing.dual import Dual, pair

_SHARED = (
    "timeout",
    "sleep",
    "blocking",
    "blocking_timeout",
    "thread_local",
    "local",
    "raise_on_release_error",
)
_METHODS = ("acquire", "release", "extend", "reacquire", "locked", "owned")

if TYPE_CHECKING:

    class _Base:
        """What redis.lock.Lock is, where what blocks is a `Dual`."""

        redis: Any
        name: Any
        acquire: Dual[..., bool]
        release: Dual[..., None]
        extend: Dual[..., bool]
        reacquire: Dual[..., bool]
        locked: Dual[..., bool]
        owned: Dual[..., bool]

        def __init__(self, redis: Any, name: Any, **options: Any) -> None: ...

else:
    _Base = redis.lock.Lock


class Lock(_Base):
    """A lock kept in Redis; its arguments are those of ``redis.lock.Lock``.

    Any thread. What one colour took the other can let go, on the same thread or
    with ``thread_local=False``.
    """

    async def __aenter__(self) -> Lock:
        await self.twin().__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.twin().__aexit__(*error)

    def twin(self) -> Any:
        """Return the same lock for coroutines; loop thread."""
        twin: Any = redis.asyncio.lock.Lock(self.redis.async_client(), self.name)
        own = vars(self)
        vars(twin).update({name: own[name] for name in _SHARED if name in own})
        return twin


def _method(name: str) -> Dual[..., Any]:
    async def awaited(self: Lock, *args: Any, **kwargs: Any) -> Any:
        return await getattr(self.twin(), name)(*args, **kwargs)

    return pair(getattr(redis.lock.Lock, name), awaited)


for _name in _METHODS:
    setattr(Lock, _name, _method(_name))
