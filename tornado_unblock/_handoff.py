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
from typing import Any, Callable, NamedTuple, Optional

from tornado.log import app_log
from tornado.util import ObjectDict
from tornado.web import RequestHandler

from tornado_unblock._connection import RequestConnection
from tornado_unblock._errors import ClientGoneError, RejectedError
from tornado_unblock._executors import JSONEncoder, json_encoder
from tornado_unblock._loop_affine import check_lease
from tornado_unblock._offload import Offload
from tornado_unblock._offload_future import OffloadFuture
from tornado_unblock._portal import Portal, current_lease, current_portal
from tornado_unblock._results import client_gone, send
from tornado_unblock._run_in_executor import AnyExecutor, resolve_executor
from tornado_unblock._sites import Site, site

VERBS = frozenset(name.lower() for name in RequestHandler.SUPPORTED_METHODS)

# Hooks whose result Tornado ignores: nobody awaits what they return.
UNHEARD = frozenset(["on_finish", "on_close", "on_connection_close", "on_ping"])


@dataclasses.dataclass(frozen=True, eq=False)
class BodyOptions:
    """How one decorated body runs; see `unblock`."""

    executor: Optional[AnyExecutor] = None
    timeout: Optional[float] = None
    json_encoder: Optional[JSONEncoder] = None


class BodySite(NamedTuple):
    """Where and how the bodies of one handler class's method run."""

    site: Site
    # Encodes what a verb returns; None for other methods, whose result is
    # their caller's.
    encoder: Optional[JSONEncoder]
    # Whether Tornado calls it with nothing in between, and so finishes next.
    finishes: bool
    # Whether work that may take long follows the last byte of a response.
    lingers: bool
    unheard: bool


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
    key = (options, type(handler))
    where: Optional[BodySite] = portal.locals.get(key)
    if where is None:
        where = portal.locals[key] = _site(portal, handler, fn, options)
    handoff = _take(handler, portal)
    body = functools.partial(_run_body, handler, fn, args, kwargs, where)
    offload = Offload(portal, where.site, body)
    handoff.enter(offload, handler)
    if not where.finishes:
        # Somebody else awaits it, and may give up before it ends.
        handoff.answer_on_copy(handler)
    try:
        future = offload.admit()
    except RejectedError as error:
        handoff.left(offload, error)
        raise
    if where.unheard:
        future.add_done_callback(functools.partial(_log_unheard, where.site.route.name))
    return future


def _site(
    portal: Portal, handler: RequestHandler, fn: Any, options: BodyOptions
) -> BodySite:
    name, cls = fn.__name__, type(handler)
    verb = (handler.request.method or "").lower()
    serving = getattr(getattr(cls, verb, None), "__wrapped__", None)
    serves = serving is not None and serving is getattr(fn, "__func__", fn)
    is_verb = name in VERBS or serves
    return BodySite(
        site(
            portal,
            resolve_executor(options.executor),
            f"{cls.__qualname__}.{name}",
            options.timeout,
        ),
        (options.json_encoder or json_encoder()) if is_verb else None,
        serves,
        cls.on_finish is not RequestHandler.on_finish
        or cls._log is not RequestHandler._log,
        name in UNHEARD,
    )


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
        offload.keeper = self
        offload.subject = handler

    def left(self, offload: Offload, error: Optional[BaseException]) -> None:
        """``offload`` has ended, or will not start."""
        handler = self._running.pop(offload)
        if isinstance(error, RejectedError):
            self.retry_after = error.retry_after
        if handler not in self._running.values():
            self._parted = False
            vars(handler).pop("_handle_request_exception", None)
            if offload.revoked is not None:
                vars(handler).pop("write", None)

    def abandoned(self, offload: Offload) -> None:
        """``offload`` runs on, and its handler with it."""
        _guard_write(offload.subject)
        self.answer_on_copy(offload.subject)

    def gone(self, offload: Offload) -> bool:
        """Whether the client of ``offload`` has left; any thread."""
        return client_gone(offload.subject)

    def answer_on_copy(self, handler: RequestHandler) -> None:
        """Have an error rendered on a copy while a worker holds ``handler``."""
        handler._handle_request_exception = functools.partial(  # type: ignore[method-assign]
            self._answer_on_copy, handler
        )

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
        if not self._part(handler, stand_in, "an error was sent in its place"):
            stand_in._finished = True  # a body has finished the response
        stand_in._handle_request_exception(error)

    def _part(self, handler: RequestHandler, shown: RequestHandler, why: str) -> bool:
        """Let workers keep ``handler`` while ``shown`` finishes the response.

        Returns:
            False when a worker has finished it already.
        """
        self._parted = True
        running = [o for o, h in self._running.items() if h is handler]
        kept = [offload for offload in running if not offload.abandon(why)]
        if kept:
            return False
        on_finish = handler.on_finish
        shown.on_finish = _nothing  # type: ignore[method-assign]
        left = list(range(len(running)))
        for offload in running:
            clean_up = functools.partial(_clean_up, handler, on_finish, left)
            if not offload.at_end(clean_up):
                offload.after_end(clean_up)
        return True


def _take(handler: RequestHandler, portal: Portal) -> Handoff:
    """Return the handoff of ``handler``'s request, made on its first hop."""
    connection: Any = handler.request.connection
    if isinstance(connection, RequestConnection):
        handoff = connection._self_listener
        assert isinstance(handoff, Handoff)
        return handoff
    handoff = Handoff()
    safe = RequestConnection(connection, portal, handoff)
    if handler.request.method == "HEAD":
        safe._self_method = "HEAD"
    if handler._headers_written:
        safe._self_known = False
    callback = getattr(connection, "_close_callback", None)
    if callback is not None:
        safe.set_close_callback(callback)
    handler.request.connection = safe  # type: ignore[assignment]
    return handoff


def _copy(handler: RequestHandler) -> RequestHandler:
    """Return a copy of ``handler`` that can render an error page beside it."""
    twin: RequestHandler = object.__new__(type(handler))
    vars(twin).update(vars(handler))
    for name in ("_handle_request_exception", "write"):
        vars(twin).pop(name, None)
    twin.request = copy.copy(handler.request)
    connection = handler.request.connection
    if isinstance(connection, RequestConnection):
        # What the worker believes may still have been on its way.
        twin._headers_written = connection.sent
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
    where: BodySite,
) -> Any:
    value = fn(*args, **kwargs)
    if value is not None and where.encoder is not None:
        value = send(handler, value, where.encoder, where.site.route.name)
    if value is None and where.finishes:
        _auto_finish(handler, where)
    return value


def _auto_finish(handler: RequestHandler, where: BodySite) -> None:
    """Finish as Tornado would next, here, to spare the loop thread the work."""
    lease = current_lease()
    if not handler._auto_finish or handler._finished or lease is None:
        return
    if lease.revoked is None and not where.lingers and isinstance(lease, Offload):
        connection = handler.request.connection
        if isinstance(connection, RequestConnection):
            connection.hold()
            lease.parting = connection.release
    handler.finish()


def _clean_up(
    handler: RequestHandler, on_finish: Callable[[], None], left: list[int]
) -> None:
    """End a request whose body outlived it; the last body to end does it."""
    if left.pop() == 0:
        handler._finished = True
        on_finish()
        handler._break_cycles()
