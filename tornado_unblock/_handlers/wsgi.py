"""A WSGI application behind a `tornado.web.FallbackHandler`, run in a worker.

Tornado's `WSGIContainer` runs it on the loop thread, unless it was given an executor.
Here all that is the application's (the call, its iterable, its ``close``) is one hop;
what comes of it is sent by the container itself, on the loop thread.

# Threads: `_call` runs in a worker, all else on the loop thread.
"""

from __future__ import annotations

import copy
import functools
import sys
from collections.abc import Awaitable, Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

from tornado.web import FallbackHandler, RequestHandler

from tornado_unblock._handlers.in_turn import offload_body
from tornado_unblock._limits.placement import Placement
from tornado_unblock._loop.portal import current_portal

if TYPE_CHECKING:
    from tornado.wsgi import WSGIContainer


class _Response(NamedTuple):
    """What a WSGI application has said."""

    start: Optional[tuple[object, ...]]
    body: bytes


def answer_by_wsgi(
    handler: FallbackHandler, where: Placement
) -> Optional[Awaitable[None]]:
    """Return what answers the request of ``handler``, in place of its `prepare`.

    Args:
        handler: With Tornado's own `prepare`.
        where: Where the application runs.

    Returns:
        None where it passes the request to something else than a `WSGIContainer`
        that runs its application on the loop thread.
    """
    container: Any = handler.fallback
    return _answer(handler, container, where) if is_on_loop(container) else None


def is_on_loop(container: object) -> bool:
    """Whether it is a container that runs its application on the loop thread."""
    wsgi: Optional[ModuleType] = sys.modules.get("tornado.wsgi")
    if wsgi is None or not issubclass(type(container), wsgi.WSGIContainer):
        return False
    own = type(container)
    for name in ("__call__", "handle_request"):
        if getattr(own, name, None) is not getattr(wsgi.WSGIContainer, name, None):
            return False
    nobody = getattr(wsgi, "dummy_executor", None)  # not there before 6.3
    return getattr(container, "executor", nobody) is nobody


async def _answer(
    handler: RequestHandler, container: WSGIContainer, where: Placement
) -> None:
    request = handler.request
    environ: dict[str, object] = container.environ(request)
    environ["wsgi.multithread"] = True
    run = functools.partial(_call, container.wsgi_application, environ)
    response = await offload_body(current_portal(), handler, where, run, direct=True)
    # The container sends what the application has said.
    sender = copy.copy(container)
    sender.wsgi_application = functools.partial(_repeat, response)
    if hasattr(sender, "handle_request"):
        await sender.handle_request(request)
    else:  # pragma: no cover - before 6.3
        sender(request)
    handler._finished = True
    handler.on_finish()


def _call(
    application: Callable[..., Iterable[bytes]], environ: dict[str, object]
) -> _Response:
    """Run the application to its end; in a worker."""
    start: list[tuple[object, ...]] = []
    written: list[bytes] = []

    def start_response(*args: object) -> Callable[[bytes], None]:
        start.append(args[:2])
        return written.append

    returned = application(environ, start_response)
    try:
        written.extend(returned)
    finally:
        close = getattr(returned, "close", None)
        if close is not None:
            close()
    return _Response(start[-1] if start else None, b"".join(written))


def _repeat(
    response: _Response,
    environ: dict[str, object],
    start_response: Callable[..., object],
) -> list[bytes]:
    if response.start is not None:
        start_response(*response.start)
    return [response.body]
