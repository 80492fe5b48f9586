"""What the status page shows, as plain values: `take`.

# Threads: any; nothing here waits for a loop, for a worker, or for a database.
# Guarantees:
# - no value of the program is in it: no locals, arguments, paths, queries, headers,
#   cookies, request bodies, messages of exceptions, or lines of source; places are
#   file, line and function, and what was asked for is the endpoint's name;
# - a number is as it was at some moment of the call.
"""

from __future__ import annotations

import dataclasses
import operator
import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Optional

import tornado
from tornado.routing import Router

import tornado_unblock
from tornado_unblock._executors.registry import executors, options_of
from tornado_unblock._handlers.report import report
from tornado_unblock._limits.counts import REASONS
from tornado_unblock._limits.limiter import Limiter
from tornado_unblock._limits.statistics import (
    ExecutorStatistics,
    open_limiters,
    statistics,
)
from tornado_unblock._offload.offload import ABANDONED, Offload
from tornado_unblock._stalls.frames import Step, is_own
from tornado_unblock._stalls.hooks import PRIVATE
from tornado_unblock._stalls.records import LoopStatistics, Place, Stall
from tornado_unblock._stalls.watching import current_watch, loop_statistics, stalls

#: Threads of status pages have names that begin so.
THREAD = PRIVATE
# Bodies and rows of each kind that are shown at most.
_MOST = 200


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of code, without its text."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}"


@dataclasses.dataclass(frozen=True)
class Stalled:
    """A loop that does not answer now.

    Attributes:
        loop: Its name.
        seconds: For how long by now.
        endpoint: Who runs.
        verb: The request's method; "" without a request.
        route: The pattern of the URL rule, or "".
        what: What it does, in words.
        at: The innermost line of the program's own code.
        chain: From the handler to ``at``.
        advice: What to do.
    """

    loop: str
    seconds: float
    endpoint: str
    verb: str
    route: str
    what: str
    at: Optional[Line]
    chain: tuple[Line, ...]
    advice: str


@dataclasses.dataclass(frozen=True)
class Loop:
    """A watched loop; see `tornado_unblock.LoopStatistics`."""

    name: str
    measured_by: str
    utilization: Optional[float]
    lag: float
    longest: float
    stalls: int
    stalled_share: float
    stalled: bool
    # Sums, from which the figures of the last seconds are made.
    busy: Optional[float]
    watched: float


@dataclasses.dataclass(frozen=True)
class Executor:
    """An executor now; times in seconds."""

    name: str
    total_tokens: int
    borrowed_tokens: int
    waiting: int
    oldest_waiter: Optional[float]
    threads: Optional[int]


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """One endpoint's use of one executor so far; times in seconds."""

    executor: str
    name: str
    running: int
    waiting: int
    completed: int
    failed: int
    timed_out: int
    abandoned: int
    rejected: Mapping[str, int]
    mean_run_time: float
    mean_queue_time: float
    total_run_time: float


@dataclasses.dataclass(frozen=True)
class Body:
    """A body that has a worker.

    Attributes:
        executor: Whose worker.
        endpoint: What errors and statistics call it.
        seconds: Since its start; since it was asked for, if it has not begun.
        begun: Whether it has begun.
        abandoned: Whether nobody waits for it any more.
        at: The innermost line of the program's own code.
        stack: All of it, the outermost first; of abandoned bodies only.
    """

    executor: str
    endpoint: str
    seconds: float
    begun: bool
    abandoned: bool
    at: Optional[Line]
    stack: tuple[Line, ...]


@dataclasses.dataclass(frozen=True)
class StallsAt:
    """The stalls of one endpoint at one place; times in seconds."""

    endpoint: str
    cause: str
    at: Optional[Line]
    count: int
    total: float
    longest: float
    advice: str


@dataclasses.dataclass(frozen=True)
class Setting:
    """One option of one executor, as it is in force."""

    executor: str
    option: str
    value: str


@dataclasses.dataclass(frozen=True)
class Route:
    """Where one verb of one route runs; see `tornado_unblock.report`."""

    path: str
    handler: str
    verb: str
    prepare: str
    body: str
    executor: str
    why: str


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """All that the page shows, in the order in which it does.

    Attributes:
        taken_at: Seconds since 1970.
        process: The number of the process.
        watched: Whether `tornado_unblock.watch` is on; without it nothing is known of
            loops.
        jobs: How many there are in each state; None where they are not configured.
        versions: Of what takes part.
    """

    taken_at: float
    process: int
    watched: bool
    stalled: tuple[Stalled, ...]
    loops: tuple[Loop, ...]
    executors: tuple[Executor, ...]
    endpoints: tuple[Endpoint, ...]
    bodies: tuple[Body, ...]
    abandoned: tuple[Body, ...]
    stalls: tuple[StallsAt, ...]
    jobs: Optional[Mapping[str, Any]]
    versions: Mapping[str, str]
    configuration: tuple[Setting, ...]
    routes: tuple[Route, ...]


def take(
    app: Optional[Router] = None, jobs: Optional[Mapping[str, Any]] = None
) -> Snapshot:
    """Return what there is to see in this process now; any thread.

    Args:
        app: The application whose routes to report.
        jobs: What is known of jobs.
    """
    limiters = open_limiters()
    bodies = _bodies(limiters)
    loops = _shown_loops()
    used = statistics()
    return Snapshot(
        taken_at=time.time(),
        process=os.getpid(),
        watched=current_watch() is not None,
        stalled=_stalled_now(loops),
        loops=tuple(map(loop_of, loops)),
        executors=_executors(used, limiters),
        endpoints=by_time(_endpoints(used)),
        bodies=tuple(b for b in bodies if not b.abandoned)[:_MOST],
        abandoned=tuple(b for b in bodies if b.abandoned)[:_MOST],
        stalls=_stalls(),
        jobs=jobs,
        versions=_versions(),
        configuration=_configuration(),
        routes=tuple(Route(*row) for row in report(app)) if app is not None else (),
    )


@dataclasses.dataclass(frozen=True)
class Brief:
    """What a page of several processes shows of each; as in `Snapshot`.

    Its endpoints are all: they are added up before most are left out.
    """

    watched: bool
    stalled: tuple[Stalled, ...]
    loops: tuple[Loop, ...]
    executors: tuple[Executor, ...]
    endpoints: tuple[Endpoint, ...]


def take_brief() -> Brief:
    """Return the same in few words; any thread."""
    loops = _shown_loops()
    used = statistics()
    return Brief(
        watched=current_watch() is not None,
        stalled=_stalled_now(loops),
        loops=tuple(map(loop_of, loops)),
        executors=_executors(used, open_limiters()),
        endpoints=tuple(_endpoints(used)),
    )


@dataclasses.dataclass(frozen=True)
class Figures:
    """What the charts are drawn of; little, since it is taken while nobody looks.

    Attributes:
        taken_at: Seconds since 1970.
        loops: As in `Snapshot`.
        executors: As in `Snapshot`.
        completed: Bodies that have ended, by executor.
    """

    taken_at: float
    loops: tuple[Loop, ...]
    executors: tuple[Executor, ...]
    completed: Mapping[str, int]


def take_figures() -> Figures:
    """Return what a point of each chart is made of; any thread."""
    used = statistics()
    return Figures(
        taken_at=time.time(),
        loops=tuple(map(loop_of, _shown_loops())),
        executors=_executors(used, []),
        completed={
            name: sum(endpoint.completed for endpoint in one.endpoints.values())
            for name, one in used.items()
        },
    )


def _shown_loops() -> list[LoopStatistics]:
    return [loop for loop in loop_statistics() if _is_shown(loop)]


def _is_shown(loop: LoopStatistics) -> bool:
    """Whether it is no status page's own; one that is new has no name yet."""
    if loop.name.startswith(THREAD):
        return False
    return bool(loop.name) or loop.stall is not None


def _line(place: Optional[Place]) -> Optional[Line]:
    return None if place is None else Line(place.file, place.line, place.function)


def _stalled_now(loops: list[LoopStatistics]) -> tuple[Stalled, ...]:
    return tuple(_stalled(o.name, o.stall) for o in loops if o.stall is not None)


def _stalled(loop: str, stall: Stall) -> Stalled:
    chain = tuple(Line(p.file, p.line, p.function) for p in stall.chain)
    return Stalled(
        loop=loop,
        seconds=stall.seconds,
        endpoint=stall.endpoint,
        verb=stall.verb,
        route=stall.route,
        what=stall.what,
        at=_line(stall.place),
        chain=chain,
        advice=stall.advice,
    )


def loop_of(loop: LoopStatistics) -> Loop:
    """Return what is shown of a loop."""
    return Loop(
        name=loop.name,
        measured_by=loop.measured_by,
        utilization=loop.utilization,
        lag=loop.lag,
        longest=loop.longest,
        stalls=loop.stalls,
        stalled_share=loop.stalled_share,
        stalled=loop.stall is not None,
        busy=loop.busy,
        watched=loop.watched,
    )


def oldest_waiters(limiters: list[tuple[str, Limiter]]) -> dict[str, float]:
    """Return for how long the first in line waits, in seconds, by executor.

    Args:
        limiters: What `open_limiters` returns.
    """
    now = time.monotonic()
    found: dict[str, float] = {}
    for name, limiter in limiters:
        for endpoint in list(limiter.endpoints.values()):
            for waiter in list(endpoint.waiting)[:1]:
                if isinstance(waiter, Offload):
                    waits = now - waiter.requested_at
                    found[name] = max(found.get(name, 0.0), waits)
    return found


_Used = Mapping[str, ExecutorStatistics]


def _executors(
    used: _Used, limiters: list[tuple[str, Limiter]]
) -> tuple[Executor, ...]:
    oldest = oldest_waiters(limiters)
    return tuple(
        Executor(
            name=name,
            total_tokens=executor.total_tokens,
            borrowed_tokens=executor.borrowed_tokens,
            waiting=executor.waiting,
            oldest_waiter=oldest.get(name),
            threads=executor.threads,
        )
        for name, executor in sorted(used.items())
    )


def _endpoints(used: _Used) -> Iterator[Endpoint]:
    return (
        Endpoint(
            executor=executor,
            name=name,
            running=numbers.borrowed_tokens,
            waiting=numbers.waiting,
            completed=numbers.completed,
            failed=numbers.failed,
            timed_out=numbers.timed_out,
            abandoned=numbers.abandoned,
            rejected={r: numbers.rejected[r] for r in REASONS if numbers.rejected[r]},
            mean_run_time=numbers.run_time.mean,
            mean_queue_time=numbers.queue_time.mean,
            total_run_time=numbers.run_time.seconds,
        )
        for executor, use in used.items()
        for name, numbers in use.endpoints.items()
    )


def by_time(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """Return those that are shown: who has taken the most time first."""
    key = operator.attrgetter("total_run_time", "running")
    return tuple(sorted(endpoints, key=key, reverse=True)[:_MOST])


def _bodies(limiters: list[tuple[str, Limiter]]) -> list[Body]:
    now = time.monotonic()
    found = [
        _body(name, offload, now)
        for name, limiter in limiters
        for offload in list(limiter.running)
    ]
    found.sort(key=lambda body: body.seconds, reverse=True)
    return found


def _body(executor: str, offload: Offload, now: float) -> Body:
    lines = [Line(*step) for step in offload.steps()]
    own = [ln for ln in lines if is_own(Step(ln.file, ln.line, "", ln.function))]
    began = offload.started_at
    abandoned = offload.state is ABANDONED
    return Body(
        executor=executor,
        endpoint=offload.endpoint.name,
        seconds=now - (began or offload.requested_at),
        begun=bool(began),
        abandoned=abandoned,
        at=(own or lines)[-1] if lines else None,
        stack=tuple(lines) if abandoned else (),
    )


def _stalls() -> tuple[StallsAt, ...]:
    return tuple(
        StallsAt(
            endpoint=row.endpoint,
            cause=row.cause,
            at=_line(row.place),
            count=row.count,
            total=row.total,
            longest=row.longest,
            advice=row.advice,
        )
        for row in stalls()[:_MOST]
    )


def _versions() -> dict[str, str]:
    return {
        "tornado-unblock": tornado_unblock.__version__,
        "Tornado": tornado.version,
        "Python": platform.python_version(),
    }


def _configuration() -> tuple[Setting, ...]:
    return tuple(
        # A factory's `repr` may hold what it is called with.
        Setting(name, field, "set" if callable(value) else str(value))
        for name, executor in sorted(executors().items())
        for field, value in vars(options_of(executor)).items()
        if value is not None
    )
