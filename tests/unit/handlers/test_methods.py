"""The table of Tornado's methods, and telling WebSockets without importing them."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from tests.patience import WAIT
from tornado_unblock._handlers import methods
from tornado_unblock._handlers.methods import base_of, is_socket, is_socket_class

DECIDE = (
    "{cls}.{name} is not in the table of tornado_unblock/_handlers/methods.py: add a "
    "row. Decide whether Tornado awaits what it returns, ignores it or needs it at "
    "once; whether it hops by itself where a class overrides it; and whether it "
    "belongs to an error page or to finish."
)


class Socket(WebSocketHandler):
    """One of them."""


@pytest.mark.parametrize("cls", [RequestHandler, WebSocketHandler])
def test_table_knows_tornado(cls):
    """Every public method of the installed Tornado has a row."""
    known = {row.name for row in methods.TABLE}
    unknown = [
        DECIDE.format(cls=cls.__name__, name=name)
        for name in vars(cls)
        if not name.startswith("_")
        and callable(inspect.unwrap(getattr(cls, name)))
        and name not in known
    ]
    assert not unknown, "\n".join(unknown)


def test_table_knows_private_methods():
    """The private methods in the table are those of the installed Tornado."""
    private = [row.name for row in methods.TABLE if row.name.startswith("_")]
    assert all(callable(getattr(RequestHandler, name)) for name in private)


def test_table_has_one_row_a_method():
    """What is to be known of a method is said once."""
    names = [row.name for row in methods.TABLE]
    assert sorted(names) == sorted(set(names))


def test_table_says_whose_methods():
    """What is marked as a WebSocket's is in no other handler."""
    for row in methods.TABLE:
        assert not (row.socket and hasattr(RequestHandler, row.name)), row


def test_verbs_are_tornados():
    """The verbs of the table are those that Tornado serves by itself."""
    served = {name.lower() for name in RequestHandler.SUPPORTED_METHODS}
    assert served == methods.VERBS


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
