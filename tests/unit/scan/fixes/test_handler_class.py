"""`class`: `@unblock` on handler classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest

from tests.unit.scan.fixes.pairs import check, pair, run_both

PLAIN = pair(
    """
    import tornado.web

    def register(cls):
        return cls

    @register
    class Slow(tornado.web.RequestHandler):  # the slow one
        def prepare(self):
            self.set_header("X-A", "b")

        def get(self):
            self.render_text("slow")

        def render_text(self, text):
            self.finish(text)

    class Quick(tornado.web.RequestHandler):
        def get(self):
            self.write("quick")

    def make_app():
        return tornado.web.Application([("/slow", Slow), ("/quick", Quick)])
    """,
    """
    import tornado.web
    from tornado_unblock import unblock

    def register(cls):
        return cls

    @register
    @unblock
    class Slow(tornado.web.RequestHandler):  # the slow one
        def prepare(self):
            self.set_header("X-A", "b")

        def get(self):
            self.render_text("slow")

        def render_text(self, text):
            self.finish(text)

    class Quick(tornado.web.RequestHandler):
        def get(self):
            self.write("quick")

    def make_app():
        return tornado.web.Application([("/slow", Slow), ("/quick", Quick)])
    """,
    classes=frozenset({7}),
)
PAIRS = {
    "plain": PLAIN,
    "inside": pair(
        "def f():\n    class A(B):\n        pass\n",
        "from tornado_unblock import unblock\n"
        "def f():\n    @unblock\n    class A(B):\n        pass\n",
        classes=frozenset({2}),
    ),
    "unblocked already": pair(
        "from tornado_unblock import unblock as u\n@u(timeout=1)\nclass A(B): pass\n",
        classes=frozenset({3}),
    ),
    "by another name": pair(
        "from tornado_unblock import unblock as u\nclass A(B): pass\n",
        "from tornado_unblock import unblock as u\n@u\nclass A(B): pass\n",
        classes=frozenset({2}),
    ),
    "the name is taken": pair(
        "unblock = 1\nclass A(B): pass\n", "", "A", classes=frozenset({2})
    ),
    "characters that end lines elsewhere": pair(
        "import a\n\f\nb = '\x1c \u2028'\n\nclass A(B): pass\nclass C: pass\n",
        "import a\nfrom tornado_unblock import unblock\n"
        "\f\nb = '\x1c \u2028'\n\n@unblock\nclass A(B): pass\nclass C: pass\n",
        classes=frozenset({5}),
    ),
    "not named": pair("class A(B): pass\n"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_pair(name: str) -> None:
    """The classes that are named are decorated, once."""
    check("class", PAIRS[name])


def test_runs(run_program: Callable[[str], str], tmp_path: Path) -> None:
    """Both answer the same."""
    requests: list[Any] = [("GET", "/slow"), ("GET", "/quick"), ("POST", "/slow")]
    answers = run_both(run_program, tmp_path, PLAIN, requests)
    assert [code for code, _ in answers] == [200, 200, 405]
