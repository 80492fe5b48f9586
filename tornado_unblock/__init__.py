"""Sync Tornado handlers that do not block the event loop.

    from tornado_unblock import unblock

    class Orders(RequestHandler):
        @unblock
        def get(self):
            self.write(query("SELECT ..."))

The modules by rank; each imports only modules of a lower one:

     0  _errors             every exception
     0  _headers            what is known of headers before they are sent
     0  _hooks              standing before a method of one handler
     0  _loop_calls         timers and tasks that a body asks for
     0  _offload_future     the Future that stands for work on a worker
     0  _tally              what is counted of one route
     0  _workers            the threads: a ThreadPoolExecutor of our own
     1  _latch              waiting for the loop thread, not for ever
     1  _limiter            who may have a worker, and who waits
     1  _processes          executors of processes that are made again when one breaks
     2  _executors          executors by name, and their options
     2  _portal             worker -> loop thread: the only door
     3  _drive              a coroutine run in a worker
     3  _loop_affine        what belongs to the loop thread, usable from a worker
     3  _statistics         what the executors are doing, and have done
     4  _connection         a request's connection
     4  prometheus          statistics for prometheus_client
     4  _sites              where an offload runs, and its limiter
     4  testing             for the tests of code that uses this
     4  _websocket          a WebSocket's connection, and questions asked ahead
     5  _body               an offload's state, and the worker's half of it
     5  _stand_in           a copy of a handler, to render an error page
     6  _offload            loop thread -> worker: the only door
     7  _results            sending what a body returns
     7  _run_in_executor    any function on any executor
     7  _shutdown           draining one loop
     8  _handoff            giving a handler to a worker and taking it back
     8  _signals            draining a server when the process is told to end
     9  _one_method         one decorated method
    10  _plan               what of a handler class runs where
    11  _whole_request      the whole request in one hop
    12  _decorator          unblock
    13  _application        unblock_application
"""

from tornado_unblock._application import (
    RouteReport,
    format_report,
    report,
    unblock_application,
)
from tornado_unblock._body import cancelled
from tornado_unblock._decorator import unblock
from tornado_unblock._errors import (
    AbandonedError,
    BodyExitError,
    ClientGoneError,
    ConfigurationError,
    LoopClosedError,
    LoopThreadError,
    RejectedError,
    ResultError,
    RunTimeoutError,
    UnblockError,
)
from tornado_unblock._executors import configure
from tornado_unblock._run_in_executor import run_in_executor
from tornado_unblock._shutdown import Abandoned, shutdown
from tornado_unblock._signals import serve_until_signal, stop_on_signal
from tornado_unblock._statistics import (
    ExecutorStatistics,
    Histogram,
    RouteStatistics,
    statistics,
)

__version__ = "0.1.0"

__all__ = [
    "Abandoned",
    "AbandonedError",
    "BodyExitError",
    "ClientGoneError",
    "ConfigurationError",
    "ExecutorStatistics",
    "Histogram",
    "LoopClosedError",
    "LoopThreadError",
    "RejectedError",
    "ResultError",
    "RouteReport",
    "RouteStatistics",
    "RunTimeoutError",
    "UnblockError",
    "cancelled",
    "configure",
    "format_report",
    "report",
    "run_in_executor",
    "serve_until_signal",
    "shutdown",
    "statistics",
    "stop_on_signal",
    "unblock",
    "unblock_application",
]
