"""Whether a handler is a WebSocket, without importing what only WebSockets need.

Who has one has imported `tornado.websocket`; for all others that would be two
milliseconds at each start.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Optional

from tornado.web import RequestHandler

if TYPE_CHECKING:
    from tornado.websocket import WebSocketHandler
    from typing_extensions import TypeGuard


def socket_class() -> Optional[type[WebSocketHandler]]:
    """Return `tornado.websocket.WebSocketHandler`; None if nobody has imported it."""
    return getattr(sys.modules.get("tornado.websocket"), "WebSocketHandler", None)


def is_socket(handler: object) -> TypeGuard[WebSocketHandler]:
    """Whether ``handler`` is a WebSocket's."""
    base = socket_class()
    return base is not None and isinstance(handler, base)


def is_socket_class(cls: type) -> TypeGuard[type[WebSocketHandler]]:
    """Whether ``cls`` is the class of a WebSocket's handlers."""
    base = socket_class()
    return base is not None and issubclass(cls, base)


def base_of(cls: type) -> type[RequestHandler]:
    """Return the class of Tornado's that says what ``cls`` overrides."""
    base = socket_class()
    return base if base is not None and issubclass(cls, base) else RequestHandler
