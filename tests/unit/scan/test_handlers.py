"""Which classes are handlers."""

from __future__ import annotations

from typing import Callable

import pytest

from tornado_unblock._scan.findings import Report

Scanned = Callable[..., Report]
CLASSES = {
    "class A(tornado.web.RequestHandler): pass": True,
    "class A(tornado.websocket.WebSocketHandler): pass": True,
    "class A(tornado.web.StaticFileHandler): pass": True,
    "class A(web.RequestHandler): pass": True,
    "class A(Mixin, web.RequestHandler): pass": True,
    "class A(six.with_metaclass(M, web.RequestHandler)): pass": True,
    "Base = web.RequestHandler\nclass A(Base): pass": True,
    "def make(): return web.RequestHandler\nclass A(make()): pass": True,
    "try:\n    from no import Base\nexcept E:\n    Base = web.RequestHandler\n"
    "class A(Base): pass": True,
    "def f():\n    class A(web.RequestHandler): pass": True,
    "class Out:\n    class A(web.RequestHandler): pass": True,
    "from corp import PageHandler\nclass A(PageHandler):\n    def get(self): 1": True,
    "class A(corp.x.BaseHandler):\n    def on_message(self, m): 1": True,
    "class A(UnknownHandler):\n    def get(self): pass": True,
    "class A(UnknownHandler): pass": False,
    "class A(UnknownHandler):\n    def emit(self): pass": False,
    "class A(Unknown):\n    def get(self): pass": False,
    "class A(logging.Handler):\n    def get(self): pass": False,
    "class A(http.server.SomeRequestHandler):\n    def get(self): pass": False,
    "class A:\n    def get(self): pass": False,
    "class A(tornado.web.UIModule): pass": False,
    "class A(A): pass": False,
}


@pytest.mark.parametrize("text", CLASSES)
def test_class(scanned: Scanned, text: str) -> None:
    """Bases tell; where they cannot be seen, names and verbs do."""
    head = "import http.server, logging, six, tornado.web, tornado.websocket\n"
    report = scanned(f"{head}from tornado import web\nimport corp\n{text}\n")
    assert [h.name for h in report.handlers] == ["A"] * CLASSES[text]


@pytest.mark.parametrize("base", ["Page", "corp.Page", "mine.Own", "Own"])
def test_named_bases(scanned: Scanned, base: str) -> None:
    """A base may be named, with its module or without, here or elsewhere."""
    text = """
        #: file mine.py
        class Own: pass
        #: file app.py
        import corp, mine
        class A(corp.Page): pass
        class B(mine.Own): pass
    """
    names = [h.name for h in scanned(text, handler_bases=(base,)).handlers]
    assert names == (["A"] if "Page" in base else ["B"])
