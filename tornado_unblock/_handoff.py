"""Giving a handler to a worker, and taking it back.

# Threads: `_run_body` and `_clean_up` run in the worker, all else on the loop
# thread.
# Guarantees:
# - while a body runs, the loop thread does not touch its handler;
# - what a body returns is sent as if it had written it;
# - once nobody waits for a body any more, nothing it does reaches the client;
# - an error page wanted while a body still runs is rendered on a copy of the
#   handler, and `on_finish` waits for the body's end, on its worker;
# - a body whose client left while it waited for a worker does not start.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from typing import Any, Callable, Optional

from tornado.log import app_log
from tornado.util import ObjectDict
from tornado.web import RequestHandler

from tornado_unblock._connection import RequestConnection, check_lease
from tornado_unblock._errors import ClientGoneError, RejectedError
from tornado_unblock._executors import JSONEncoder, json_encoder, options_of
from tornado_unblock._offload import Offload, OffloadFuture
from tornado_unblock._portal import Portal, current_portal
from tornado_unblock._results import client_gone, send
from tornado_unblock._run_in_executor import AnyExecutor, resolve_executor

VERBS = frozenset(name.lower() for name in RequestHandler.SUPPORTED_METHODS)

# Hooks whose result Tornado ignores: nobody awaits what they return.
UNHEARD = frozenset(["on_finish", "on_close", "on_connection_close", "on_ping"])


@dataclasses.dataclass(frozen=True)
class BodyOptions:
    """How one decorated body runs; see `unblock`."""

    executor: Optional[AnyExecutor] = None
    timeout: Optional[float] = None
    json_encoder: Optional[JSONEncoder] = None


def hand_over(
    handler: RequestHandler,
    fn: Callable[..., Any],
    args: Any,
    kwargs: Any,
    options: BodyOptions,
) -> OffloadFuture:
    """Run ``fn(*args, **kwargs)``, a method of ``handler``, on a worker.

    Raises:
        RejectedError: There is no worker for it, and no room to wait.
    """
    portal = current_portal()
    handoff = _take(handler, portal)
    executor = resolve_executor(options.executor)
    timeout = options.timeout
    if timeout is None:
        timeout = options_of(executor).timeout
    name = fn.__name__
    route = _route(type(handler), name)
    is_verb = name in VERBS or _is_verb(handler, fn)
    encoder = (options.json_encoder or json_encoder()) if is_verb else None
    body = functools.partial(_run_body, handler, fn, args, kwargs, encoder, route)
    offload = Offload(portal, executor, route, body, timeout)
    handoff.enter(offload, handler)
    try:
        future = offload.admit()
    except RejectedError as error:
        handoff.leave(offload, error)
        raise
    if name in UNHEARD:
        future.add_done_callback(functools.partial(_log_unheard, route))
    return future


class Handoff:
    """What the loop thread knows of one request that goes to workers."""

    __slots__ = ("_parted", "_running", "retry_after")

    def __init__(self) -> None:
        # Offloads that have not ended, with their handler. Loop thread only.
        self._running: dict[Offload, RequestHandler] = {}
        # Whether the response is made without those that run. Loop thread only.
        self._parted = False
        self.retry_after: Optional[int] = None

    def enter(self, offload: Offload, handler: RequestHandler) -> None:
        """``offload`` takes ``handler``."""
        self._running[offload] = handler
        offload.on_end = self.leave
        offload.on_abandon = functools.partial(_guard_write, handler)
        offload.gone = functools.partial(client_gone, handler)
        handler._handle_request_exception = functools.partial(  # type: ignore[method-assign]
            self._answer_on_copy, handler
        )

    def leave(self, offload: Offload, error: Optional[BaseException]) -> None:
        """``offload`` has ended, or will not start."""
        handler = self._running.pop(offload)
        offload.on_abandon = offload.gone = None
        if isinstance(error, RejectedError):
            self.retry_after = error.retry_after
        if handler not in self._running.values():
            self._parted = False
            own = vars(handler)
            own.pop("_handle_request_exception", None)
            if offload.revoked is not None:
                own.pop("write", None)

    def closing(self) -> None:
        """The client left: what has not started will not."""
        for offload, handler in list(self._running.items()):
            if not offload.started:
                # nginx's code for it; the access log shows it.
                handler.set_status(499, "Client Closed Request")
                offload.withdraw(ClientGoneError(), "client_gone")

    def finishing(self) -> None:
        """The loop thread ends the response itself, whatever still runs."""
        if self._running and not self._parted:
            handler = next(iter(self._running.values()))
            self._part(handler, handler, "the response was finished without it")

    def _answer_on_copy(self, handler: RequestHandler, error: BaseException) -> None:
        """Render an error while a worker still holds ``handler``."""
        stand_in = _copy(handler)
        self._part(handler, stand_in, "an error was sent in its place")
        stand_in._handle_request_exception(error)

    def _part(self, handler: RequestHandler, shown: RequestHandler, why: str) -> None:
        """Let workers keep ``handler`` while ``shown`` finishes the response."""
        self._parted = True
        running = [o for o, h in self._running.items() if h is handler]
        for offload in running:
            offload.abandon(why)
        on_finish = handler.on_finish
        shown.on_finish = _nothing  # type: ignore[method-assign]
        left = list(range(len(running)))
        for offload in running:
            clean_up = functools.partial(_clean_up, handler, on_finish, left)
            if not offload.at_end(clean_up):
                offload.after_end(clean_up)


def _take(handler: RequestHandler, portal: Portal) -> Handoff:
    """Return the handoff of ``handler``'s request, made on its first hop."""
    connection = handler.request.connection
    if isinstance(connection, RequestConnection):
        return connection._self_listener
    handoff = Handoff()
    safe = RequestConnection(
        connection,
        portal,
        handoff,
        method=handler.request.method or "",
        untouched=not handler._headers_written,
    )
    handler.request.connection = safe
    callback = getattr(connection, "_close_callback", None)
    if callback is not None:
        safe.set_close_callback(callback)
    return handoff


def _copy(handler: RequestHandler) -> RequestHandler:
    """Return a copy of ``handler`` that can render an error page beside it."""
    twin: RequestHandler = object.__new__(type(handler))
    vars(twin).update(vars(handler))
    for name in ("_handle_request_exception", "write"):
        vars(twin).pop(name, None)
    twin.request = copy.copy(handler.request)
    if handler.ui is not None:
        # Its functions are bound to the handler: bind them to the copy.
        modules = handler.ui["modules"]
        methods = handler.application.ui_methods.items()
        twin.ui = ObjectDict((n, twin._ui_method(m)) for n, m in methods)
        twin.ui["_tt_modules"] = twin.ui["modules"] = type(modules)(
            twin, handler.application.ui_modules
        )
    return twin


def _guard_write(handler: RequestHandler) -> None:
    """Have `write` raise in a worker that ``handler`` was taken from."""
    own = handler.write

    def write(chunk: Any) -> None:
        check_lease()
        own(chunk)

    handler.write = write  # type: ignore[method-assign]


def _nothing() -> None:
    pass


@functools.lru_cache(maxsize=4096)
def _route(handler_class: type[RequestHandler], method: str) -> str:
    return f"{handler_class.__qualname__}.{method}"


def _is_verb(handler: RequestHandler, fn: Any) -> bool:
    """Whether ``fn`` serves the request's verb under another name."""
    verb = (handler.request.method or "").lower()
    serving = getattr(type(handler), verb, None)
    return getattr(serving, "__wrapped__", None) is getattr(fn, "__func__", fn)


def _log_unheard(route: str, future: OffloadFuture) -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None:
        app_log.error(
            "Uncaught exception in %s",
            route,
            exc_info=(type(error), error, error.__traceback__),
        )


# --- worker -----------------------------------------------------------------


def _run_body(
    handler: RequestHandler,
    fn: Callable[..., Any],
    args: Any,
    kwargs: Any,
    encoder: Optional[JSONEncoder],
    route: str,
) -> Any:
    value = fn(*args, **kwargs)
    if value is None or encoder is None:
        return value
    return send(handler, value, encoder, route)


def _clean_up(
    handler: RequestHandler, on_finish: Callable[[], None], left: list[int]
) -> None:
    """End a request whose body outlived it; the last body to end does it."""
    if left.pop() == 0:
        handler._finished = True
        vars(handler).pop("on_finish", None)
        on_finish()
        handler._break_cycles()
