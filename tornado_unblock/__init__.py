"""Sync Tornado handlers that do not block the event loop.

    from tornado_unblock import unblock

    class Orders(RequestHandler):
        @unblock
        def get(self):
            self.write(query("SELECT ..."))

The modules by rank; each imports only modules of a lower one:

     0  _errors                    every exception
     0  _headers                   what is known of headers before they are sent
     0  _hooks                     standing before a method of one handler
     0  _jobs                      what a thread executor is made of
     0  _loop_calls                timers and tasks that a body asks for
     0  _offload_future            the Future that stands for work on a worker
     0  _patience                  who has waited too long
     0  _sockets                   whether a handler is a WebSocket
     0  _tally                     what is counted of one route
     0  _threads                   starting a thread
     0  _turns                     whom to wake when the loop has done what it has to
     1  _latch                     waiting for the loop thread, not for ever
     1  _limiter                   who may have a worker, and who waits
     1  _options                   what can be set for an executor
     1  _workers                   the threads: a ThreadPoolExecutor of our own
     2  _portal                    worker -> loop thread: the only door
     2  _processes                 executors of processes, made again when one breaks
     2  shim.logging._records      a record that can be written later
     3  _background                the process's own loop, for threads that have none
     3  _drive                     a coroutine run in a worker
     3  _executors                 executors by name, and their options
     3  _loop_affine               what belongs to the loop thread, usable from a worker
     3  shim.logging._listener     one bounded queue, and its thread
     3  shim.session._guard        a connection that several threads use at once
     3  shim.session._per_thread   a connection for each thread
     3  shim.session._scoped       one session for each request
     4  _outgoing                  one response on its way out
     4  shim.session               sessions and connections behind many threads
     4  _statistics                what the executors are doing, and have done
     4  _websocket                 a WebSocket's connection, and questions asked ahead
     5  _connection                a request's connection
     5  prometheus                 statistics for prometheus_client
     5  _sites                     where an offload runs, and its limiter
     5  testing                    for the tests of code that uses this
     6  _body                      an offload's state, and the worker's half of it
     6  _stand_in                  a copy of a handler, to render an error page
     7  _ending                    how an offload ends, on the loop thread
     7  _hop                       a body's stay on a worker
     8  _offload                   loop thread -> worker: the only door
     9  _results                   sending what a body returns
     9  _run_in_executor           any function on any executor
     9  shim._lane                 a thread that waits, and runs what the loop gives it
     9  shim.legacy._gate          callbacks wait until their body has ended
     9  _shutdown                  draining one loop
    10  _handoff                   who holds a handler: the loop thread, or workers
    10  shim._held                 a worker held for a generator
    10  shim._wait                 from sync to async and back
    10  shim.legacy._contexts      what goes along with a callback
    10  _signals                   draining a server when the process is told to end
    11  _dispatch                  giving a handler to a worker
    11  shim._homes                where the steps of a generator run
    11  shim._per_loop             what belongs to one loop
    11  shim.legacy._futures       Futures of the loop, from any thread
    12  _one_method                one decorated method
    12  shim._contexts             context managers of either colour
    12  shim._iterators            generators of either colour
    12  shim.legacy._callbacks     callback= for what returns a Future today
    12  shim.legacy._concurrent    return_future and run_on_executor
    13  _plan                      what of a handler class runs where
    13  shim._dual                 one function, both colours of callers
    13  shim.cache._store          the results of a cached function
    13  shim.db._drivers           which driver serves which colour
    13  shim.db._dropping          letting go of connections without a word
    13  shim.db._rows              what a statement gives back
    13  shim.db._statements        %s for drivers that have another style
    13  shim.legacy._classes       Tornado's classes with the arguments of old
    13  shim.legacy._gen           engine, Task, Callback, Wait and WaitAll
    13  shim.redis._calls          which methods are commands
    13  shim.redis._pools          the pools of awaited calls
    13  shim.requests._errors      aiohttp's errors in the words of requests
    13  shim.requests._tls         TLS contexts for verify and cert
    14  shim                       from sync to async, one function at a time
    14  shim.cache                 results kept, for both colours
    14  shim.db._pools             the pools of a database
    14  shim.legacy._asynchronous  a verb that returns before it is finished
    14  shim.logging._unblocked    handlers behind one queue
    14  shim.redis._lock           a lock for both colours
    14  shim.redis._pipeline       commands sent together
    14  shim.redis._pubsub         subscriptions
    14  shim.requests._raw         an awaited answer's body
    14  shim.requests._upload      what a request sends
    14  _whole_request             the whole request in one hop
    15  _decorator                 unblock
    15  shim.db._transactions      who is in a transaction
    15  shim.files                 whole files
    15  shim.legacy._install       patching Tornado, and back
    15  shim.logging._tree         every handler there is
    15  shim.redis._client         Redis
    15  shim.requests._response    a response for both colours
    15  shim.retry                 trying again
    15  shim.subprocess            the standard library's, for both colours
    15  shim.time                  the same of time
    16  _application               unblock_application
    16  shim.db._streams           large results
    16  shim.legacy                what Tornado 6 removed
    16  shim.logging               log records that hold up nobody
    16  shim.redis                 redis-py for both colours
    16  shim.requests._client      one request over aiohttp
    16  shim.smtplib               mail for both colours
    17  shim.db._database          statements and transactions
    17  shim.requests._awaited     how a session's call is awaited
    18  shim.db                    a pooled database for both colours
    18  shim.requests._session     sessions and the module's functions
    19  shim.requests              requests for both colours
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
from tornado_unblock._hop import Hop, current_hop
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
    "Hop",
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
    "current_hop",
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
