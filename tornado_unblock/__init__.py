"""Blocking Tornado handlers that do not stall the event loop.

Move a whole application, a handler class or one method to worker threads:

    from tornado_unblock import unblock, unblock_application

    app = unblock_application(app)          # every handler it reaches

    @unblock                                # or one class: its whole requests
    class Orders(RequestHandler):
        def get(self):
            self.write(query("SELECT ..."))

The bodies run with their real ``self``; the client gets what they would have sent
inline. Any other function:

    rows = await run_in_executor(load_rows, key)

What can be set, and what can be asked:

    configure(max_workers=80, timeout=10.0)      # and executors by name
    report(app)                                  # what of each route runs where
    statistics()                                 # who runs, who waits, what failed
    cancelled(), current_hop()                   # in a body: is it still wanted?
    await shutdown(deadline=20)                  # or serve_until_signal, stop_on_signal

`tornado_unblock.shim` turns a codebase from sync to async, one function at a time.
Every error derives from `UnblockError`.
"""

from tornado_unblock._errors import (
    AbandonedError,
    BodyExitError,
    ClientGoneError,
    ConfigurationError,
    JobArgumentError,
    JobCancelledError,
    JobStoreError,
    LoopClosedError,
    LoopThreadError,
    RejectedError,
    ResultError,
    RunTimeoutError,
    StallError,
    UnblockError,
)
from tornado_unblock._executors.registry import configure
from tornado_unblock._handlers.application import unblock_application
from tornado_unblock._handlers.decorator import unblock
from tornado_unblock._handlers.report import RouteReport, format_report, report
from tornado_unblock._limits.statistics import (
    EndpointStatistics,
    ExecutorStatistics,
    Histogram,
    statistics,
)
from tornado_unblock._offload.current import Hop, cancelled, current_hop
from tornado_unblock._offload.run_in_executor import run_in_executor
from tornado_unblock._shutdown.drain import Abandoned, shutdown
from tornado_unblock._shutdown.signals import serve_until_signal, stop_on_signal
from tornado_unblock._stalls.records import (
    LoopStatistics,
    Place,
    Stall,
    StallStatistics,
)
from tornado_unblock._stalls.watching import Watch, loop_statistics, stalls, watch

__version__ = "0.2.0"

__all__ = [
    "Abandoned",
    "AbandonedError",
    "BodyExitError",
    "ClientGoneError",
    "ConfigurationError",
    "EndpointStatistics",
    "ExecutorStatistics",
    "Histogram",
    "Hop",
    "JobArgumentError",
    "JobCancelledError",
    "JobStoreError",
    "LoopClosedError",
    "LoopStatistics",
    "LoopThreadError",
    "Place",
    "RejectedError",
    "ResultError",
    "RouteReport",
    "RunTimeoutError",
    "Stall",
    "StallError",
    "StallStatistics",
    "UnblockError",
    "Watch",
    "cancelled",
    "configure",
    "current_hop",
    "format_report",
    "loop_statistics",
    "report",
    "run_in_executor",
    "serve_until_signal",
    "shutdown",
    "stalls",
    "statistics",
    "stop_on_signal",
    "unblock",
    "unblock_application",
    "watch",
]

# So that tracebacks and `help` name what users import: `tornado_unblock.RejectedError`.
# Not the classes with annotated fields: `typing.get_type_hints` looks those up where a
# class says that it is from.
for _public in map(globals().__getitem__, __all__):
    if not isinstance(_public, type) or issubclass(_public, UnblockError):
        _public.__module__ = __name__
del _public
