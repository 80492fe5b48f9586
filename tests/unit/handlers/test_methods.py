"""WebSockets are told apart without importing what only they need."""

from __future__ import annotations

import subprocess
import sys

from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from tornado_unblock._handlers.methods import base_of, is_socket, is_socket_class

WAIT = 60


class Socket(WebSocketHandler):
    """One of them."""


def test_told_apart():
    """By class and by instance."""
    assert is_socket_class(Socket)
    assert not is_socket_class(RequestHandler)
    assert is_socket(Socket.__new__(Socket))
    assert not is_socket(RequestHandler.__new__(RequestHandler))
    assert base_of(Socket) is WebSocketHandler
    assert base_of(RequestHandler) is RequestHandler


def test_not_imported(child_env, tmp_path):
    """An application without WebSockets does not pay for them at its start."""
    code = (
        "import sys, tornado.web, tornado_unblock\n"
        "class Handler(tornado.web.RequestHandler):\n"
        "    @tornado_unblock.unblock\n"
        "    def get(self): pass\n"
        "tornado_unblock.unblock(Handler)\n"
        "from tornado_unblock._handlers.methods import base_of, is_socket\n"
        "assert base_of(Handler) is tornado.web.RequestHandler\n"
        "assert not is_socket(Handler.__new__(Handler))\n"
        "assert 'tornado.websocket' not in sys.modules\n"
    )
    command = [sys.executable, "-c", code]
    subprocess.run(command, env=child_env, cwd=tmp_path, check=True, timeout=WAIT)
