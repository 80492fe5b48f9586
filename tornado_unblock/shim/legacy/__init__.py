"""What Tornado 6 removed, for code that comes from Tornado 3 to 5.

Import what the code needs from here instead of from Tornado: nothing is patched.

    from tornado_unblock.shim.legacy import asynchronous, AsyncHTTPClient

    class Proxy(RequestHandler):
        @asynchronous
        def get(self):
            AsyncHTTPClient().fetch(URL, callback=self.on_response)

        def on_response(self, response):
            self.finish(response.body)

`install` patches Tornado, for code that cannot be edited.
"""

from tornado_unblock.shim.legacy._asynchronous import asynchronous
from tornado_unblock.shim.legacy._classes import (
    AsyncHTTPClient,
    HTTPServer,
    IOLoop,
    IOStream,
    PeriodicCallback,
    websocket_connect,
    with_timeout,
)
from tornado_unblock.shim.legacy._concurrent import return_future, run_on_executor
from tornado_unblock.shim.legacy._contexts import (
    ExceptionStackContext,
    NullContext,
    StackContext,
    StackContextInconsistentError,
    run_with_stack_context,
    wrap,
)
from tornado_unblock.shim.legacy._gen import (
    Arguments,
    Callback,
    Task,
    Wait,
    WaitAll,
    YieldPoint,
    coroutine,
    engine,
)
from tornado_unblock.shim.legacy._install import LegacyWarning, install, uninstall

__all__ = [
    "Arguments",
    "AsyncHTTPClient",
    "Callback",
    "ExceptionStackContext",
    "HTTPServer",
    "IOLoop",
    "IOStream",
    "LegacyWarning",
    "NullContext",
    "PeriodicCallback",
    "StackContext",
    "StackContextInconsistentError",
    "Task",
    "Wait",
    "WaitAll",
    "YieldPoint",
    "asynchronous",
    "coroutine",
    "engine",
    "install",
    "return_future",
    "run_on_executor",
    "run_with_stack_context",
    "uninstall",
    "websocket_connect",
    "with_timeout",
    "wrap",
]
