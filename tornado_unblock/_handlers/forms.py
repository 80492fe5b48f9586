"""Large forms are parsed in a worker, before anything else of their request.

Tornado parses a form on the loop thread: about 12 ms for each megabyte of multipart.
Since 6.5 it does so in `_execute`, before that when the last byte has come.

# Threads: `_parse` runs in a worker, all else on the loop thread.
# Guarantees: what `prepare` and the verb see is what they see inline; a form that
# cannot be parsed, and a request that gets no worker, are answered by the handler.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable
from typing import Any, Callable, cast

from tornado.httputil import HTTPInputError, HTTPServerRequest
from tornado.web import HTTPError, RequestHandler

from tornado_unblock._handlers.in_turn import offload_body
from tornado_unblock._handlers.loop_view import LoopView
from tornado_unblock._loop.portal import current_portal

LARGE = 262144
"""From so many bytes on, a form is worth a hop."""

_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
_DUE = "_unblock_form_is_due"

Execute = Callable[..., Awaitable[None]]

# Where Tornado parses: in `_execute`, or before there is a handler.
_IN_EXECUTE = "_parse_body" in RequestHandler._execute.__code__.co_names


def defer_form(request: HTTPServerRequest) -> None:
    """Have a large form of ``request`` left for `parse_first`, in older Tornado."""
    if not _IN_EXECUTE:  # pragma: no cover - before 6.5
        vars(request)["_parse_body"] = functools.partial(_defer, request)


def _defer(request: HTTPServerRequest) -> None:  # pragma: no cover - before 6.5
    own = vars(request)
    del own["_parse_body"]
    if _is_large(request):
        own[_DUE] = True
    else:
        request._parse_body()


def has_large_form(request: HTTPServerRequest) -> bool:
    """Whether `parse_first` has something to do; before ``_execute``."""
    return (_IN_EXECUTE or _DUE in vars(request)) and _is_large(request)


def _is_large(request: HTTPServerRequest) -> bool:
    # A streamed body is a Future, or empty.
    return (
        isinstance(request.body, bytes)
        and len(request.body) >= LARGE
        and request.headers.get("Content-Type", "").startswith(_FORMS)
    )


async def parse_first(
    view: LoopView, execute: Execute, transforms: Any, *args: bytes, **kwargs: bytes
) -> None:
    """Parse the form of a request, then go on as Tornado does.

    Args:
        view: Of its handler.
        execute: Tornado's ``_execute``, bound.
        transforms: As for that.
        *args: As for that.
        **kwargs: As for that.
    """
    handler, where = view._unblock_target, view._unblock_plan.step.placement
    request = handler.request
    vars(request).pop(_DUE, None)
    body = functools.partial(_parse, request)
    try:
        await offload_body(current_portal(), handler, where, body, direct=True)
    except Exception as error:
        handler._transforms = transforms
        # On the view: where it may raise, it is answered by whom nothing stops.
        cast(Any, view)._handle_request_exception(error)
        return
    vars(request)["_parse_body"] = functools.partial(_parsed, request)
    await execute(transforms, *args, **kwargs)


def _parse(request: HTTPServerRequest) -> None:
    """Parse the form; in a worker."""
    try:
        request._parse_body()
    except HTTPInputError as error:
        raise HTTPError(400, f"Invalid body: {error}") from error


def _parsed(request: HTTPServerRequest) -> None:
    """Stand for Tornado's parsing, once."""
    vars(request).pop("_parse_body", None)
