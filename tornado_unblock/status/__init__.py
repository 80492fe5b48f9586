"""The status page, which answers while the application's loop stands still.

    from tornado_unblock import status

    status.serve(port=8889)                                  # on http://localhost:8889
    app.add_handlers(".*", status.handlers("/_unblock", authorize=may_see))

`serve` has a thread and a loop of its own; what `handlers` returns is served by the
application, and stands still with it. Both only read. `HopFilter` adds to log records
which body they come from.
"""

from tornado_unblock.status.logs import HopFilter
from tornado_unblock.status.server import Server, serve
from tornado_unblock.status.web import handlers

__all__ = ["HopFilter", "Server", "handlers", "serve"]
