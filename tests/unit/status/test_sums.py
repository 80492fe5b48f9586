"""Executors and endpoints of several processes, those of one name as one."""

from __future__ import annotations

from typing import Optional

import pytest

from tornado_unblock.status.processes import Process
from tornado_unblock.status.snapshot import Endpoint, Executor
from tornado_unblock.status.sums import sum_of_endpoints, sum_of_executors


@pytest.mark.parametrize(
    ("waits", "oldest", "threads", "total"),
    [
        ((None, None), None, (None, None), None),
        ((0.5, None), 0.5, (None, 3), 3),
        ((0.5, 2.0), 2.0, (4, 3), 7),
    ],
)
def test_executors(
    waits: tuple[Optional[float], ...],
    oldest: Optional[float],
    threads: tuple[Optional[int], ...],
    total: Optional[int],
) -> None:
    """Numbers are added; who waits longest counts; what nobody knows is not 0."""
    other = Executor("a", 1, 1, 0, None, 1)
    processes = [
        Process(1, executors=(Executor("b", 5, 2, 1, waits[0], threads[0]), other)),
        Process(2, executors=(Executor("b", 50, 20, 10, waits[1], threads[1]),)),
        Process(3, known=False),
    ]
    assert sum_of_executors(processes) == (
        other,
        Executor("b", 55, 22, 11, oldest, total),
    )


def endpoint(name: str, completed: int, ran: float, **rejected: int) -> Endpoint:
    mean = ran / completed if completed else 0.0
    return Endpoint(
        *("default", name, 1, 2, completed, 3, 4, 5),
        rejected=rejected,
        mean_run_time=mean,
        mean_queue_time=float(completed),
        total_run_time=ran,
    )


def test_endpoints() -> None:
    """Means weigh as much as they stand for; who has taken most time is first."""
    processes = [
        Process(1, endpoints=(endpoint("A.get", 1, 4.0, full=1),)),
        Process(
            2,
            endpoints=(
                endpoint("A.get", 3, 4.0, full=2, shutdown=1),
                endpoint("B.get", 2, 9.0),
            ),
        ),
    ]
    second, first = sum_of_endpoints(processes)
    assert second == endpoint("B.get", 2, 9.0)
    assert first == Endpoint(
        *("default", "A.get", 2, 4, 4, 6, 8, 10),
        rejected={"full": 3, "shutdown": 1},
        mean_run_time=2.0,
        mean_queue_time=2.5,
        total_run_time=8.0,
    )
    assert sum_of_endpoints([Process(1, endpoints=(endpoint("A.get", 0, 0.0),))])
