"""Work that outlives its request.

    from tornado_unblock import jobs

    jobs.configure("sqlite:///jobs.db")

    @jobs.job(retries=5, backoff=2.0, timeout=300)
    def render_report(order_id): ...               # plain blocking code

    @jobs.every("0 3 * * *", tz="Europe/Berlin")
    def clean_up(): ...

A request is answered at once, and a worker does the rest:

    ticket = render_report.later(7)                # in a body, a script, a thread
    ticket = await render_report.later.aio(7)      # in a coroutine

Workers run in the server (``jobs.start(workers=2)``) or apart from it:

    python -m tornado_unblock jobs myapp.reports --workers 4

A job is run at least once, and may be run again when its worker dies: it should not
mind. Several applications in one process have a `Jobs` each.
"""

from tornado_unblock.jobs.app import Jobs
from tornado_unblock.jobs.box import Box
from tornado_unblock.jobs.later import Job, Later
from tornado_unblock.jobs.records import Counts, State, Ticket
from tornado_unblock.jobs.running import Running, current
from tornado_unblock.jobs.server import Server
from tornado_unblock.jobs.status import Status

default = Jobs()
"""The jobs of the functions below."""

configure = default.configure
job = default.job
every = default.every
state = default.state
dead = default.dead
retry = default.retry
discard = default.discard
cancel = default.cancel
counts = default.counts
start = default.start
testing = default.testing

__all__ = [
    "Box",
    "Counts",
    "Job",
    "Jobs",
    "Later",
    "Running",
    "Server",
    "State",
    "Status",
    "Ticket",
    "cancel",
    "configure",
    "counts",
    "current",
    "dead",
    "default",
    "discard",
    "every",
    "job",
    "retry",
    "start",
    "state",
    "testing",
]
