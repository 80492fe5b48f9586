"""Sync Tornado handlers that do not block the event loop.

    from tornado_unblock import unblock

    class Orders(RequestHandler):
        @unblock
        def get(self):
            self.write(query("SELECT ..."))

The modules, lowest first; each imports only those above it in this list:

    _errors             every exception
    _workers            the threads: a ThreadPoolExecutor of our own
    _limiter            who may have a worker, and who waits
    _portal             worker -> loop thread
    _executors          executors by name, and their options
    _offload            loop thread -> worker
    _connection         a request's connection, safe from any thread
    _run_in_executor    any function on any executor
    _results            sending what a body returns
    _handoff            giving a handler to a worker and taking it back
    _decorator          unblock
    testing             for tests of code that uses this
"""

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
from tornado_unblock._offload import cancelled
from tornado_unblock._run_in_executor import run_in_executor

__version__ = "0.1.0"

__all__ = [
    "AbandonedError",
    "BodyExitError",
    "ClientGoneError",
    "ConfigurationError",
    "LoopClosedError",
    "LoopThreadError",
    "RejectedError",
    "ResultError",
    "RunTimeoutError",
    "UnblockError",
    "cancelled",
    "configure",
    "run_in_executor",
    "unblock",
]
