"""What all processes of a page have and have done, as if they were one.

# Threads: any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tornado_unblock.status.processes import Process
from tornado_unblock.status.snapshot import Endpoint, Executor, by_time


def sum_of_executors(processes: Iterable[Process]) -> tuple[Executor, ...]:
    """Return the executors of all of them, those of one name as one."""
    sums: dict[str, Executor] = {}
    for one in (e for process in processes for e in process.executors):
        so_far = sums.get(one.name)
        if so_far is not None:
            waits = (so_far.oldest_waiter, one.oldest_waiter)
            threads = [n for n in (so_far.threads, one.threads) if n is not None]
            one = Executor(
                one.name,
                so_far.total_tokens + one.total_tokens,
                so_far.borrowed_tokens + one.borrowed_tokens,
                so_far.waiting + one.waiting,
                max((w for w in waits if w is not None), default=None),
                sum(threads) if threads else None,
            )
        sums[one.name] = one
    return tuple(sums[name] for name in sorted(sums))


def sum_of_endpoints(processes: Iterable[Process]) -> tuple[Endpoint, ...]:
    """Return what the endpoints of all have done, those of one name as one."""
    found: dict[tuple[str, str], list[Endpoint]] = {}
    for one in (e for process in processes for e in process.endpoints):
        found.setdefault((one.executor, one.name), []).append(one)
    return by_time(map(_sum, found.values()))


def _sum(parts: list[Endpoint]) -> Endpoint:
    first, completed = parts[0], sum(one.completed for one in parts)
    queued = sum(one.mean_queue_time * one.completed for one in parts)
    ran = sum(one.total_run_time for one in parts)
    rejected: Counter[str] = Counter()
    for one in parts:
        rejected.update(one.rejected)
    return Endpoint(
        executor=first.executor,
        name=first.name,
        running=sum(one.running for one in parts),
        waiting=sum(one.waiting for one in parts),
        completed=completed,
        failed=sum(one.failed for one in parts),
        timed_out=sum(one.timed_out for one in parts),
        abandoned=sum(one.abandoned for one in parts),
        rejected=rejected,
        mean_run_time=ran / completed if completed else 0.0,
        mean_queue_time=queued / completed if completed else 0.0,
        total_run_time=ran,
    )
