"""Tornado's methods of a handler, and what is to be known of each: one table.

`tests/unit/handlers/test_methods.py` compares it with the Tornado that is installed.
"""

from __future__ import annotations

import enum
import sys
from typing import TYPE_CHECKING, NamedTuple, Optional

from tornado.web import RequestHandler

from tornado_unblock._executors.functions import is_async

if TYPE_CHECKING:
    from tornado.websocket import WebSocketHandler
    from typing_extensions import TypeGuard


class Result(enum.Enum):
    """What becomes of what a method returns."""

    AWAITED = "Tornado awaits it"
    NOT_AWAITED = "Tornado does not look at it"
    AT_ONCE = "Tornado needs it at once, so the method cannot be moved alone"
    OF_CALLER = "it is for the code that calls the method"


class Method(NamedTuple):
    """A method of a handler class of Tornado's."""

    name: str
    result: Result
    verb: bool = False
    # Whether the whole-request form gives it a hop where a class overrides it and
    # Tornado calls it on the loop thread, apart from `prepare` and the verb.
    hops: bool = False
    # Whether Tornado may call it when it answers an error.
    error_page: bool = False
    # Whether `finish` calls it: where a class overrides none of these, finishing runs
    # nothing but Tornado's own code.
    end: bool = False
    # Whether it changes the response: refused to who may not answer. Tornado's others
    # that do call these.
    answers: bool = False
    # Whether a WebSocket's worker answers it before Tornado asks.
    asked_ahead: bool = False
    # Whether it is a WebSocketHandler's, and not every handler's.
    socket: bool = False


_AWAITED = Result.AWAITED
_NOT_AWAITED = Result.NOT_AWAITED
_AT_ONCE = Result.AT_ONCE
_OF_CALLER = Result.OF_CALLER

TABLE = (
    Method("__init__", _AT_ONCE),
    Method("initialize", _AT_ONCE),
    Method("prepare", _AWAITED),
    *(
        Method(verb, _AWAITED, verb=True)
        for verb in ("head", "get", "post", "delete", "patch", "put", "options")
    ),
    Method("data_received", _AWAITED, hops=True),
    Method("on_finish", _NOT_AWAITED, hops=True, error_page=True, end=True),
    Method("on_connection_close", _NOT_AWAITED),
    Method("check_etag_header", _AT_ONCE, end=True),
    Method("check_trusted_origin", _AT_ONCE),
    Method("check_xsrf_cookie", _AT_ONCE),
    Method("compute_etag", _AT_ONCE, end=True),
    Method("create_template_loader", _AT_ONCE),
    Method("decode_argument", _AT_ONCE),
    Method("get_browser_locale", _AT_ONCE),
    Method("get_current_user", _AT_ONCE, error_page=True),
    Method("get_login_url", _AT_ONCE),
    Method("get_template_namespace", _AT_ONCE),
    Method("get_template_path", _AT_ONCE),
    Method("get_user_locale", _AT_ONCE, error_page=True),
    Method("log_exception", _AT_ONCE, error_page=True),
    Method("set_default_headers", _AT_ONCE, error_page=True),
    Method("write_error", _AT_ONCE, error_page=True),
    Method("send_error", _OF_CALLER, error_page=True),
    Method("finish", _OF_CALLER, end=True, answers=True),
    Method("flush", _OF_CALLER, end=True, answers=True),
    Method("get_status", _OF_CALLER, end=True),
    Method("set_header", _OF_CALLER, end=True, answers=True),
    Method("set_etag_header", _OF_CALLER, end=True),
    Method("_log", _OF_CALLER, end=True),
    Method("_break_cycles", _OF_CALLER, end=True),
    Method("add_header", _OF_CALLER, answers=True),
    Method("clear", _OF_CALLER, answers=True),
    Method("clear_all_cookies", _OF_CALLER),
    Method("clear_cookie", _OF_CALLER),
    Method("clear_header", _OF_CALLER, answers=True),
    Method("create_signed_value", _OF_CALLER),
    Method("detach", _OF_CALLER),
    Method("get_argument", _OF_CALLER),
    Method("get_arguments", _OF_CALLER),
    Method("get_body_argument", _OF_CALLER),
    Method("get_body_arguments", _OF_CALLER),
    Method("get_cookie", _OF_CALLER),
    Method("get_query_argument", _OF_CALLER),
    Method("get_query_arguments", _OF_CALLER),
    Method("get_secure_cookie", _OF_CALLER),
    Method("get_secure_cookie_key_version", _OF_CALLER),
    Method("get_signed_cookie", _OF_CALLER),
    Method("get_signed_cookie_key_version", _OF_CALLER),
    Method("redirect", _OF_CALLER, answers=True),
    Method("render", _OF_CALLER),
    Method("render_embed_css", _OF_CALLER),
    Method("render_embed_js", _OF_CALLER),
    Method("render_linked_css", _OF_CALLER),
    Method("render_linked_js", _OF_CALLER),
    Method("render_string", _OF_CALLER),
    Method("require_setting", _OF_CALLER),
    Method("reverse_url", _OF_CALLER),
    Method("set_cookie", _OF_CALLER, answers=True),
    Method("set_secure_cookie", _OF_CALLER),
    Method("set_signed_cookie", _OF_CALLER),
    Method("set_status", _OF_CALLER, answers=True),
    Method("static_url", _OF_CALLER),
    Method("write", _OF_CALLER, answers=True),
    Method("xsrf_form_html", _OF_CALLER),
    Method("open", _AWAITED, hops=True, socket=True),
    Method("on_message", _AWAITED, hops=True, socket=True),
    Method("on_pong", _AWAITED, hops=True, socket=True),
    Method("on_ping", _NOT_AWAITED, hops=True, socket=True),
    Method("on_close", _NOT_AWAITED, hops=True, socket=True),
    Method("check_origin", _AT_ONCE, asked_ahead=True, socket=True),
    Method("select_subprotocol", _AT_ONCE, asked_ahead=True, socket=True),
    Method("get_compression_options", _AT_ONCE, socket=True),
    Method("get_websocket_protocol", _AT_ONCE, socket=True),
    Method("on_ws_connection_close", _OF_CALLER, socket=True),
    Method("close", _OF_CALLER, socket=True),
    Method("ping", _OF_CALLER, socket=True),
    Method("set_nodelay", _OF_CALLER, socket=True),
    Method("write_message", _OF_CALLER, socket=True),
)

VERBS = frozenset(row.name for row in TABLE if row.verb)
NOT_AWAITED = frozenset(row.name for row in TABLE if row.result is _NOT_AWAITED)
USED_AT_ONCE = frozenset(row.name for row in TABLE if row.result is _AT_ONCE)
ERROR_PAGE = tuple(row.name for row in TABLE if row.error_page)
END = tuple(row.name for row in TABLE if row.end)
ANSWERS = tuple(row.name for row in TABLE if row.answers)
ASKED_AHEAD = tuple(row.name for row in TABLE if row.asked_ahead)
SOCKET_HOOKS = frozenset(row.name for row in TABLE if row.socket and row.hops)

_HOPS = tuple(row for row in TABLE if row.hops)


def hooks_of(cls: type[RequestHandler]) -> tuple[str, ...]:
    """Return the sync methods of ``cls`` that hop beside ``prepare`` and the verb."""
    socket = is_socket_class(cls)
    streamed = bool(getattr(cls, "_stream_request_body", False))
    names = tuple(
        row.name
        for row in _HOPS
        if (socket or not row.socket) and (streamed or row.name != "data_received")
    )
    return overridden(cls, names)


def overridden(cls: type[RequestHandler], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return which of the methods ``cls`` overrides with a sync one of its own."""
    base = base_of(cls)
    return tuple(
        name
        for name in names
        if (own := getattr(cls, name, None)) is not getattr(base, name, None)
        and not is_async(own)
    )


def base_of(cls: type) -> type[RequestHandler]:
    """Return the class of Tornado's that says what ``cls`` overrides.

    Who has a WebSocket has imported `tornado.websocket`; for all others that would be
    two milliseconds at each start.
    """
    module = sys.modules.get("tornado.websocket")
    base: Optional[type[WebSocketHandler]] = getattr(module, "WebSocketHandler", None)
    return base if base is not None and issubclass(cls, base) else RequestHandler


def is_socket_class(cls: type) -> TypeGuard[type[WebSocketHandler]]:
    """Whether ``cls`` is the class of a WebSocket's handlers."""
    return base_of(cls) is not RequestHandler


def is_socket(handler: object) -> TypeGuard[WebSocketHandler]:
    """Whether ``handler`` is a WebSocket's."""
    return is_socket_class(type(handler))
