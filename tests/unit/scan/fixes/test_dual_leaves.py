"""`dual-leaves`: functions that block become callable from both colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest

from tests.unit.scan.fixes.pairs import check, pair, run_both

RUNS = pair(
    """
    import functools
    import tornado.web
    from tornado_unblock import unblock

    def noted(f):
        @functools.wraps(f)
        def inner(*args):
            return f(*args)
        return inner

    @noted
    def load(key):  # blocks
        return {"key": key}

    class Store:
        @classmethod
        def named(cls, name):
            return cls()

        def rows(self):
            yield 1
            yield 2

    class A(tornado.web.RequestHandler):
        @unblock
        def get(self):
            self.write({**load("k"), "rows": list(Store.named("x").rows())})

    def make_app():
        return tornado.web.Application([("/", A)])
    """,
    """
    import functools
    import tornado.web
    from tornado_unblock import unblock
    from tornado_unblock import shim

    def noted(f):
        @functools.wraps(f)
        def inner(*args):
            return f(*args)
        return inner

    @shim.dual
    @noted
    def load(key):  # blocks
        return {"key": key}

    class Store:
        @shim.dual
        @classmethod
        def named(cls, name):
            return cls()

        @shim.dual
        def rows(self):
            yield 1
            yield 2

    class A(tornado.web.RequestHandler):
        @unblock
        def get(self):
            self.write({**load("k"), "rows": list(Store.named("x").rows())})

    def make_app():
        return tornado.web.Application([("/", A)])
    """,
    leaves=((12, True), (17, True), (20, True)),
)
LEFT = {
    "async def f():\n    pass\n": "coroutine",
    "class A:\n    def __init__(self):\n        pass\n": "Python calls it",
    "class A:\n    @property\n    def f(self):\n        pass\n": "property",
    "@contextlib.contextmanager\ndef f():\n    yield\n": "contextmanager",
    "def f():\n    def g():\n        pass\n": "made anew",
    "shim = 1\ndef f():\n    pass\n": "something else",
}


def test_pair() -> None:
    """Functions and methods get the decorator above all others, once."""
    check("dual-leaves", RUNS)


@pytest.mark.parametrize("text", LEFT)
def test_left(text: str) -> None:
    """What cannot be dual is told."""
    lines = text.splitlines()
    line = max(at for at, each in enumerate(lines, 1) if "def " in each)
    check("dual-leaves", pair(text, "", LEFT[text], leaves=((line, True),)))


def test_on_the_loop() -> None:
    """What the loop thread calls is left alone."""
    text = "def f():\n    pass\n"
    check("dual-leaves", pair(text, "", "loop thread", leaves=((1, False),)))


@pytest.mark.parametrize(
    "text",
    [
        "from tornado_unblock import shim\n@shim.dual\ndef f():\n    pass\n",
        "from tornado_unblock.shim import dual\n@dual\ndef f():\n    pass\n",
        "from tornado_unblock.shim.cache import cached\n@cached()\ndef f():\n    1\n",
    ],
)
def test_dual_already(text: str) -> None:
    """What is dual, by whatever decorator of the shim, stays."""
    check("dual-leaves", pair(text, leaves=((3, True),)))


def test_runs(run_program: Callable[[str], str], tmp_path: Path) -> None:
    """Both answer the same."""
    requests: list[Any] = [("GET", "/")]
    ((code, body),) = run_both(run_program, tmp_path, RUNS, requests)
    assert (code, body) == (200, '{"key": "k", "rows": [1, 2]}')
