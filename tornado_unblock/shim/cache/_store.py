"""The results of a cached function, and its calls under way.

# Threads: any; each cache is guarded by its lock, which is held for moments only.
# Guarantees:
# - however many threads and coroutines ask for a key at once, one call is made;
# - a failed call is not kept: those who waited for it get its error, the next one
#   who asks calls again;
# - a caller that is cancelled or abandoned takes nobody along: who else waits gets
#   the result, or makes the call anew;
# - a worker that waits for another's call gives its token back meanwhile.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import dataclasses
import functools
import threading
import weakref
from collections.abc import Awaitable, Hashable, Iterator, MutableMapping
from types import TracebackType
from typing import Any, Callable, Optional

from tornado_unblock._errors import AbandonedError, LoopClosedError
from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._loop.latch import interpreter_is_ending
from tornado_unblock._loop.lease import current_lease
from tornado_unblock._loop.portal import Portal, current_portal
from tornado_unblock._loop.weak import members

try:
    import cachetools
    from cachetools.keys import hashkey
except ImportError as error:  # pragma: no cover - the tests have it
    raise ImportError(
        "tornado_unblock.shim.cache needs cachetools: "
        "pip install 'tornado-unblock[cache]'"
    ) from error

__all__ = ["CacheStatistics", "Store", "call", "call_aio", "hashkey"]

# How a call ends that says nothing about the result: its caller gave up.
_GAVE_UP = (
    AbandonedError,
    LoopClosedError,
    asyncio.CancelledError,
    concurrent.futures.CancelledError,
    KeyboardInterrupt,
    SystemExit,
    GeneratorExit,
)


@dataclasses.dataclass(frozen=True)
class CacheStatistics:
    """What a cache has done since it was made, and what it holds.

    Attributes:
        hits: Calls answered from the cache.
        joined: Calls that waited for one that was under way.
        misses: Calls that were made.
        failures: Those of them that raised; their results were not kept.
        size: Results held now, some of them perhaps too old to be given out.
    """

    hits: int
    joined: int
    misses: int
    failures: int
    size: int


# What is being computed in this context: a call that waits for itself would wait
# for ever.
_under_way: contextvars.ContextVar[frozenset[Flight]] = contextvars.ContextVar(
    "tornado_unblock cached calls under way", default=frozenset()
)
_all: weakref.WeakSet[Store] = weakref.WeakSet()
# How often a waiting caller looks whether the call it waits for can still end, in
# seconds.
_LOOK_AGAIN = 0.5


class Flight(concurrent.futures.Future):  # type: ignore[type-arg]
    """One call under way."""

    # The loop it runs on, if it is a coroutine.
    loop: Optional[asyncio.AbstractEventLoop] = None

    _trace: Optional[TracebackType] = None

    def fail(self, error: BaseException) -> None:
        """End with an error."""
        self._trace = error.__traceback__
        self.set_exception(error)

    def outcome(self) -> Any:
        """Return the result or raise the error; the flight has landed."""
        error = self.exception()
        if error is None:
            return self.result()
        try:
            # Many raise it: without this its traceback would grow each time.
            raise error.with_traceback(self._trace)
        finally:
            del error, self  # error -> traceback -> this frame: no cycle

    def is_lost(self) -> bool:
        """Whether it cannot end: its loop was closed under it."""
        if interpreter_is_ending():
            raise LoopClosedError("the interpreter ends, and with it this wait")
        return self.loop is not None and self.loop.is_closed()


class Store:
    """The results of one function, and the calls under way."""

    def __init__(self, ttl: Optional[float], maxsize: float) -> None:
        make: Any = cachetools.TTLCache if ttl is not None else cachetools.LRUCache
        self._results: MutableMapping[Hashable, Any]
        self._results = make(maxsize) if ttl is None else make(maxsize, ttl)
        self.hits = self.joined = self.misses = self.failures = 0
        self.forget_parent()
        _all.add(self)

    def forget_parent(self) -> None:
        """Forget the calls under way: after a fork they are another process's."""
        self._lock = threading.Lock()
        self._flights: dict[Hashable, Flight] = {}

    def look(self, key: Hashable) -> tuple[Flight, bool]:
        """Return the flight to wait for, and whether the caller has to fly it."""
        with self._lock:
            if key in self._flights:
                if self._flights[key] in _under_way.get():
                    raise RuntimeError(
                        "a cached function calls itself with the same key, and would "
                        "wait for its own result"
                    )
                self.joined += 1
                return self._flights[key], False
            flight: Flight = Flight()
            try:
                flight.set_result(self._results[key])
            except KeyError:
                self.misses += 1
                self._flights[key] = flight
                return flight, True
            self.hits += 1
            return flight, False

    @contextlib.contextmanager
    def flying(self, key: Hashable, flight: Flight) -> Iterator[list[Any]]:
        """Take what the block appends as the result, or what it raises."""
        result: list[Any] = []
        token = _under_way.set(_under_way.get() | {flight})
        try:
            yield result
        except BaseException as error:
            with self._lock:
                self.failures += 1
                self._land(key, flight)
            flight.fail(error)
            raise
        else:
            with self._lock:
                if self._land(key, flight):
                    with contextlib.suppress(ValueError):  # larger than the cache
                        self._results[key] = result[0]
            flight.set_result(result[0])
        finally:
            _under_way.reset(token)

    def _land(self, key: Hashable, flight: Flight) -> bool:
        """Whether the result is still wanted; holds the lock."""
        if self._flights.get(key) is not flight:
            return False
        del self._flights[key]
        return True

    def has_landed(self, key: Hashable, flight: Flight) -> bool:
        """Whether a flight tells of the result; if not, another has to be flown."""
        if flight.done() and not isinstance(flight.exception(), _GAVE_UP):
            return True
        with self._lock:
            self._land(key, flight)
        return False

    def drop(self, key: Hashable) -> None:
        """Forget one result."""
        with self._lock:
            self._results.pop(key, None)
            # What is under way may have read what is out of date now.
            self._flights.pop(key, None)

    def clear(self) -> None:
        """Forget all results."""
        with self._lock:
            self._results.clear()
            self._flights.clear()

    def statistics(self) -> CacheStatistics:
        """Return what was done, and how much is held."""
        with self._lock:
            return CacheStatistics(
                self.hits, self.joined, self.misses, self.failures, len(self._results)
            )


def call(store: Store, key: Hashable, make: Callable[[], Any]) -> Any:
    """Return the result for ``key``, made by ``make`` if need be; blocks."""
    while True:
        flight, mine = store.look(key)
        if mine:
            with store.flying(key, flight) as result:
                result.append(make())
            return result[0]
        if not flight.done():
            with _lending():
                while not flight.done() and not flight.is_lost():
                    concurrent.futures.wait((flight,), _LOOK_AGAIN)
        if store.has_landed(key, flight):
            return flight.outcome()


def _lending() -> contextlib.AbstractContextManager[None]:
    lease = current_lease()
    return contextlib.nullcontext() if lease is None else lease.lending()


async def call_aio(
    store: Store, key: Hashable, make: Callable[[], Awaitable[Any]]
) -> Any:
    """Return the result for ``key``, made by ``make`` if need be; loop thread."""
    while True:
        flight, mine = store.look(key)
        if mine:
            flight.loop = asyncio.get_running_loop()
            # A task of its own: who asked first may leave, and others wait as well.
            task = asyncio.ensure_future(_fly(store, key, flight, make))
            await asyncio.shield(task)
            return flight.outcome()
        landed = asyncio.get_running_loop().create_future()
        flight.add_done_callback(functools.partial(_tell, landed, current_portal()))
        while not flight.done() and not flight.is_lost():
            await asyncio.wait((landed,), timeout=_LOOK_AGAIN)
        if store.has_landed(key, flight):
            return flight.outcome()


def _tell(landed: asyncio.Future[None], portal: Portal, flight: Flight) -> None:
    with contextlib.suppress(LoopClosedError):  # nobody waits there any more
        portal.call_soon(landed.set_result, None)


async def _fly(
    store: Store, key: Hashable, flight: Flight, make: Callable[[], Awaitable[Any]]
) -> None:
    # What it raises is told to those who wait for the flight.
    with contextlib.suppress(Exception), store.flying(key, flight) as result:
        result.append(await make())


def _forget_parent() -> None:
    # The parent's calls under way do not end here.
    for store in members(_all):
        store.forget_parent()


at_fork(Step.CALLS, _forget_parent)
