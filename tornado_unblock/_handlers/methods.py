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


def base_of(cls: type) -> type[RequestHandler]:
    """Return the class of Tornado's that says what ``cls`` overrides."""
    module = sys.modules.get("tornado.websocket")
    base: Optional[type[WebSocketHandler]] = getattr(module, "WebSocketHandler", None)
    return base if base is not None and issubclass(cls, base) else RequestHandler


def is_socket_class(cls: type) -> TypeGuard[type[WebSocketHandler]]:
    """Whether ``cls`` is the class of a WebSocket's handlers."""
    return base_of(cls) is not RequestHandler


def is_socket(handler: object) -> TypeGuard[WebSocketHandler]:
    """Whether ``handler`` is a WebSocket's."""
    return is_socket_class(type(handler))
