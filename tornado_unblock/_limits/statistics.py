"""What the executors are doing, and have done: `statistics`.

Each loop counts for itself; here the loops are added up.

# Threads: any thread asks; the list of limiters is guarded by `_lock`.
# Guarantees:
# - counts do not go back while the process lives: those of a closed loop, and of
#   an executor nobody holds any more, are kept;
# - a number is as it was at some moment of the call; numbers that change
#   together may be one request apart.
"""

import asyncio
import concurrent.futures
import math
import threading
import weakref
from collections.abc import Mapping
from typing import NamedTuple, Optional

from tornado_unblock._executors.registry import thread_count
from tornado_unblock._limits.counts import BOUNDS, REASONS, Counts, Times
from tornado_unblock._limits.limiter import Limiter
from tornado_unblock._loop.fork import Step, at_fork


class Histogram(NamedTuple):
    """How many seconds something took, each time.

    Attributes:
        buckets: ``(bound, count)`` pairs: how many took at most ``bound``
            seconds. The last bound is infinite, its count is that of all.
        seconds: All of them added up.
    """

    buckets: tuple[tuple[float, int], ...]
    seconds: float

    @property
    def count(self) -> int:  # type: ignore[override]  # a tuple has one
        """How many there are."""
        return self.buckets[-1][1]

    @property
    def mean(self) -> float:
        """Seconds on average; 0 when there are none."""
        return self.seconds / self.count if self.count else 0.0


class EndpointStatistics(NamedTuple):
    """One endpoint's use of one executor, on all loops of this process.

    Attributes:
        borrowed_tokens: Bodies that run now; abandoned ones included.
        waiting: Requests that wait for a worker now.
        completed: Bodies that have ended, in whichever way.
        failed: Those of them that ended with an exception.
        abandoned: Bodies that ran on when nobody waited for them any more.
        timed_out: Those that were still running when their ``timeout`` was over.
        rejected: Requests that got no worker, by reason: ``"full"``,
            ``"queue_timeout"``, ``"shutdown"``, ``"no_thread"``,
            ``"client_gone"``, ``"cancelled"``.
        queue_time: From asking for a worker to the body's start.
        run_time: From the body's start to its end.
    """

    borrowed_tokens: int
    waiting: int
    completed: int
    failed: int
    abandoned: int
    timed_out: int
    rejected: Mapping[str, int]
    queue_time: Histogram
    run_time: Histogram


class ExecutorStatistics(NamedTuple):
    """One executor, on all loops of this process.

    Attributes:
        total_tokens: Bodies that may run at once, added over the loops that
            use it.
        borrowed_tokens: Bodies that run now.
        waiting: Requests that wait for a worker now.
        threads: Threads it has now, idle ones included; None when its workers
            are no threads of this process.
        endpoints: What each endpoint does with it, by the endpoint's name.
    """

    total_tokens: int
    borrowed_tokens: int
    waiting: int
    threads: Optional[int]
    endpoints: Mapping[str, EndpointStatistics]


class _Watched(NamedTuple):
    loop: asyncio.AbstractEventLoop
    executor: weakref.ref[concurrent.futures.Executor]
    name: str
    limiter: Limiter

    def is_over(self) -> bool:
        """Whether its counts cannot change any more."""
        return self.loop.is_closed() or self.executor() is None


_lock = threading.Lock()
_watched: list[_Watched] = []
# Executor -> endpoint -> counts of what is over.
_past: dict[str, dict[str, Counts]] = {}


def watch(
    loop: asyncio.AbstractEventLoop,
    executor: concurrent.futures.Executor,
    name: str,
    limiter: Limiter,
) -> None:
    """Count in what ``limiter`` counts; any thread."""
    with _lock:
        _retire()
        _watched.append(_Watched(loop, weakref.ref(executor), name, limiter))


def open_limiters() -> list[tuple[str, Limiter]]:
    """Return the limiters that count, each with its executor's name; any thread."""
    with _lock:
        _retire()
        return [(watched.name, watched.limiter) for watched in _watched]


def forget_statistics() -> None:
    """Begin anew, with every limiter made from now on."""
    with _lock:
        _watched.clear()
        _past.clear()


def statistics() -> Mapping[str, ExecutorStatistics]:
    """Return what each executor is doing and has done; any thread.

    Returns:
        The statistics of each executor used so far, by its name. Executors
        that are not named, such as a process executor given to
        `run_in_executor`, go by the name of their class.
    """
    with _lock:
        _retire()
        watched, past = list(_watched), {n: dict(r) for n, r in _past.items()}
    names = dict.fromkeys([*past, *(w.name for w in watched)])
    return {
        name: _of_executor([w for w in watched if w.name == name], past.get(name, {}))
        for name in names
    }


def _retire() -> None:
    """Keep only the counts of what is over; holds `_lock`."""
    for over in [w for w in _watched if w.is_over()]:
        _watched.remove(over)
        past = _past.setdefault(over.name, {})
        for name, endpoint in list(over.limiter.endpoints.items()):
            past.setdefault(name, Counts()).merge(endpoint)


def _of_executor(
    watched: list[_Watched], past: dict[str, Counts]
) -> ExecutorStatistics:
    limiters = [w.limiter for w in watched]
    executors = {id(e): e for e in (w.executor() for w in watched) if e is not None}
    threads = [thread_count(executor) for executor in executors.values()]
    endpoints = dict.fromkeys(
        [*past, *(n for li in limiters for n in list(li.endpoints))]
    )
    return ExecutorStatistics(
        total_tokens=sum(limiter.total_tokens for limiter in limiters),
        borrowed_tokens=sum(limiter.borrowed_tokens for limiter in limiters),
        waiting=sum(limiter.waiting for limiter in limiters),
        threads=None if None in threads else sum(n or 0 for n in threads),
        endpoints={name: _of_endpoint(name, limiters, past) for name in endpoints},
    )


def _of_endpoint(
    name: str, limiters: list[Limiter], past: dict[str, Counts]
) -> EndpointStatistics:
    sums = Counts()
    if name in past:
        sums.merge(past[name])
    endpoints = [
        limiter.endpoints[name] for limiter in limiters if name in limiter.endpoints
    ]
    for endpoint in endpoints:
        sums.merge(endpoint)
    return EndpointStatistics(
        borrowed_tokens=sum(endpoint.borrowed for endpoint in endpoints),
        waiting=sum(len(endpoint.waiting) for endpoint in endpoints),
        completed=sums.completed,
        failed=sums.failed,
        abandoned=sums.abandoned,
        timed_out=sums.timed_out,
        rejected={reason: sums.rejected[reason] for reason in REASONS},
        queue_time=_histogram(sums.queue_time),
        run_time=_histogram(sums.run_time),
    )


def _histogram(times: Times) -> Histogram:
    buckets, reached = [], 0
    for bound, count in zip((*BOUNDS, math.inf), times.counts):
        reached += count
        buckets.append((bound, reached))
    return Histogram(tuple(buckets), times.seconds)


def _forget_parent() -> None:
    global _lock
    _lock = threading.Lock()
    forget_statistics()


at_fork(Step.STATISTICS, _forget_parent)
