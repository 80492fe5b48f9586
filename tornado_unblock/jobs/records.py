"""What the API and the stores tell each other about a job."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, Optional

QUEUED = "queued"
RUNNING = "running"
DONE = "done"
FAILED = "failed"
DEAD = "dead"
CANCELLED = "cancelled"

WAITING = (QUEUED, FAILED)
"""The states of a job that some worker is still to run."""
ENDED = (DONE, DEAD, CANCELLED)
"""The states in which a job stays."""


class Ticket(NamedTuple):
    """What ``f.later(x)`` returns at once.

    Attributes:
        id: The job's id, for `state`, the `Status` handler and the logs.
        created: False when ``once`` found a waiting job with the same key: it is that
            job's id.
    """

    id: str
    created: bool = True


@dataclasses.dataclass(frozen=True)
class State:
    """How a job is; a snapshot.

    Attributes:
        id: Its id.
        name: The function's name.
        state: ``"queued"``, ``"running"``, ``"done"``, ``"failed"`` (an attempt failed,
            another one comes at ``run_at``), ``"dead"`` (no more attempts) or
            ``"cancelled"``.
        attempts: How often it was begun.
        crashes: How many of these ended with the death of their worker.
        enqueued_at: Seconds since the epoch.
        run_at: Not before then.
        started_at: When the last attempt began; None before the first.
        ended_at: When it was done, dead or cancelled.
        done: What ``progress(done, of)`` said last.
        of: The same.
        result: What the function returned, once it is done.
        error: What the last attempt that failed raised.
        traceback: And where.
    """

    id: str
    name: str
    state: str
    attempts: int = 0
    crashes: int = 0
    enqueued_at: float = 0.0
    run_at: float = 0.0
    started_at: Optional[float] = None
    ended_at: Optional[float] = None
    done: Optional[float] = None
    of: Optional[float] = None
    result: Any = None
    error: Optional[str] = None
    traceback: Optional[str] = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED


@dataclasses.dataclass(frozen=True)
class Counts:
    """How many jobs there are, for a status page or an alarm.

    Attributes:
        queued: Due now, and waiting for a worker.
        scheduled: Waiting for their time; retries too.
        running: With a worker.
        dead: On the dead list.
        done: Done, and not yet expired.
        failures: Attempts that failed, of the jobs that are kept.
        oldest_waiting: Seconds for which the oldest of the queued waits; 0 without.
    """

    queued: int = 0
    scheduled: int = 0
    running: int = 0
    dead: int = 0
    done: int = 0
    failures: int = 0
    oldest_waiting: float = 0.0


@dataclasses.dataclass(frozen=True)
class NewJob:
    """A job on its way into a store."""

    id: str
    name: str
    data: str
    max_attempts: int
    run_at: float = 0.0
    priority: float = 0.0
    key: Optional[str] = None
    once: bool = False


@dataclasses.dataclass(frozen=True)
class Taken:
    """A job that a worker has taken out of the queue."""

    seq: int
    id: str
    name: str
    data: str
    attempt: int
    failures: int
    max_attempts: int


@dataclasses.dataclass
class Outcome:
    """How an attempt ended; ``state`` is None while it has not."""

    state: Optional[str] = None
    result: Optional[str] = None
    error: Optional[str] = None
    traceback: Optional[str] = None
    run_at: float = 0.0
