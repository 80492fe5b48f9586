"""`application`: the one line, at each application."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest

from tests.unit.scan.fixes.pairs import check, pair, run_both

PLAIN = pair(
    '''
    """A server."""

    import tornado.web
    from tornado.ioloop import IOLoop


    class Hello(tornado.web.RequestHandler):
        def get(self):
            self.write({"hello": self.get_argument("name", "you")})  # as ever


    def make_app():
        return tornado.web.Application(  # all of it
            [("/", Hello)],  # one route
            debug=False,
        )
    ''',
    '''
    """A server."""

    import tornado.web
    from tornado.ioloop import IOLoop
    from tornado_unblock import unblock_application


    class Hello(tornado.web.RequestHandler):
        def get(self):
            self.write({"hello": self.get_argument("name", "you")})  # as ever


    def make_app():
        return unblock_application(tornado.web.Application(  # all of it
            [("/", Hello)],  # one route
            debug=False,
        ))
    ''',
)
PAIRS = {
    "plain": PLAIN,
    "imported by name": pair(
        """
        from tornado.web import Application as App
        app = App([])
        """,
        """
        from tornado.web import Application as App
        from tornado_unblock import unblock_application
        app = unblock_application(App([]))
        """,
    ),
    "a subclass here": pair(
        """
        from tornado import web
        class Base(web.Application):
            def __init__(self):
                super().__init__([])
        class Mine(Base): pass
        server = HTTPServer(Mine(), xheaders=True)
        """,
        """
        from tornado import web
        from tornado_unblock import unblock_application
        class Base(web.Application):
            def __init__(self):
                super().__init__([])
        class Mine(Base): pass
        server = HTTPServer(unblock_application(Mine()), xheaders=True)
        """,
    ),
    "a subclass elsewhere": pair(
        "from mine.app import Mine\napp = Mine()\n",
        "from mine.app import Mine\nfrom tornado_unblock import unblock_application\n"
        "app = unblock_application(Mine())\n",
        applications=frozenset({"mine.app.Mine"}),
    ),
    "unblocked already": pair(
        """
        import tornado.web
        from tornado_unblock import unblock_application
        a = unblock_application(tornado.web.Application([]))
        b = tornado.web.Application([])
        unblock_application(b, timeout=3)
        if (c := tornado.web.Application([])):
            unblock_application(c)
        """
    ),
    "unblocked by another file": pair(
        "import tornado.web\napp = tornado.web.Application([])\n",
        "",
        "called for it in main.py:3",
        unblocked="main.py:3",
    ),
    "another Application": pair("from mine import Application\napp = Application()\n"),
    "the name is taken": pair(
        """
        import tornado.web
        def unblock_application(): pass
        app = tornado.web.Application([])
        """,
        "",
        "something else",
    ),
    "the module is imported": pair(
        "import tornado.web\nimport tornado_unblock as tu\n"
        "app = tornado.web.Application()\n",
        "import tornado.web\nimport tornado_unblock as tu\n"
        "app = tu.unblock_application(tornado.web.Application())\n",
    ),
    "Windows line ends, and letters that are no ASCII": pair(
        "import tornado.web\r\napp = ('é', tornado.web.Application([]))\r\n",
        "import tornado.web\r\nfrom tornado_unblock import unblock_application\r\n"
        "app = ('é', unblock_application(tornado.web.Application([])))\r\n",
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_pair(name: str) -> None:
    """Applications are wrapped, once; what is not understood is told."""
    check("application", PAIRS[name])


def test_runs(run_program: Callable[[str], str], tmp_path: Path) -> None:
    """Both answer the same."""
    requests: list[Any] = [
        ("GET", "/"),
        ("GET", "/?name=x"),
        ("POST", "/"),
        ("GET", "/n"),
    ]
    answers = run_both(run_program, tmp_path, PLAIN, requests)
    assert [code for code, _ in answers] == [200, 200, 405, 404]
