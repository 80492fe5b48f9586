"""Jobs in tests: kept in memory, run when the test says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado_unblock._errors import ConfigurationError
from tornado_unblock.jobs.records import (
    CANCELLED,
    DEAD,
    DONE,
    FAILED,
    QUEUED,
    RUNNING,
    State,
    Ticket,
)

if TYPE_CHECKING:
    from tornado_unblock.jobs.app import Jobs

_ALL = (QUEUED, RUNNING, DONE, FAILED, DEAD, CANCELLED)
# So many runs mean that jobs ask for each other for ever.
_TOO_MANY = 10_000


class Box:
    """What `testing` gives: the jobs that were asked for meanwhile."""

    def __init__(self, app: Jobs, at_once: bool) -> None:
        self._app, self._at_once = app, at_once

    @property
    def jobs(self) -> list[State]:
        """Every job that was asked for, the first one first."""
        engine = self._app.engine
        found = [state for name in _ALL for state in engine.states(name, -1)]
        return sorted(found, key=lambda state: state.enqueued_at)

    def run(self, *, scheduled: bool = False) -> list[State]:
        """Run what is due, and what that asks for, in this thread.

        Args:
            scheduled: Also what has ``delay``, ``at``, or a retry before it.

        Returns:
            How those are that were run; each once, however often it was tried.

        Raises:
            ConfigurationError: There is no end of it: jobs ask for each other.
        """
        engine, ran = self._app.engine, dict[str, None]()
        for _ in range(_TOO_MANY):
            engine.store.move_due(everything=scheduled)
            job_id = engine.run_next()
            if job_id is None:
                states = [engine.state(job_id) for job_id in ran]
                return [state for state in states if state is not None]
            ran[job_id] = None
        raise ConfigurationError(
            f"{_TOO_MANY} jobs were run, and there is another: do they ask for each "
            "other?"
        )

    def was_put(self, ticket: Ticket) -> None:
        """Called for each job that is asked for."""
        if self._at_once and ticket.created:
            self.run()  # it, and what is before it in the queue
