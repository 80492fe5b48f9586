"""Whole scans: of the examples, of what is unblocked, of what cannot be followed."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Callable

import pytest

from tests.unit.scan.conftest import found, one
from tornado_unblock._scan.findings import Report
from tornado_unblock._scan.scan import scan

ROOT = Path(__file__).resolve().parents[3]
STAGES = ROOT / "examples" / "order_service" / "stages"

Scanned = Callable[..., Report]


def marked(path: Path, *texts: str) -> set[int]:
    """Return the lines of a file that contain one of some texts."""
    lines = enumerate(path.read_text().splitlines(), 1)
    return {number for number, line in lines if any(text in line for text in texts)}


#: What its handler waits for; whose connection it is, only the benchmark knows.
WAITS = ("cursor.execute(", "cursor.fetch", "with open", "requests.get(", "time.sleep(")


@pytest.mark.parametrize(
    ("stage", "moved"), [("as_written", ""), ("unblocked", "method")]
)
def test_order_service(stage: str, moved: str) -> None:
    """All that the order service waits for is found, and on a worker once unblocked."""
    report = scan([ROOT / "examples" / "order_service"])
    path = STAGES / f"{stage}.py"
    found_there = [f for f in report.findings if Path(f.path) == path]
    assert {f.line for f in found_there} == marked(path, *WAITS)
    assert {f.unblocked for f in found_there} == {moved}
    assert {f.routes for f in found_there} == {("/api/v1/order/detail",)}
    assert {Path(f.path) for f in report.blocking} == {STAGES / "as_written.py"}


def test_legacy_app() -> None:
    """The legacy application is unblocked as a whole, by its command line."""
    report = scan([ROOT / "examples" / "legacy_app"])
    assert report.findings
    assert {f.unblocked for f in report.findings} == {"application"}
    places = {(Path(f.path).name, f.source.split("(")[0]) for f in report.findings}
    assert ("base.py", "return self.db.get") in places
    assert ("documents.py", "with open") in places


def test_migration() -> None:
    """Step 1 of the migration blocks in its three modules, step 2 on workers."""
    report = scan([ROOT / "examples" / "migration"])
    blocking = {Path(f.path) for f in report.blocking}
    assert {p.parent.name for p in blocking} == {"step1_inline"}
    assert {p.name for p in blocking} == {"partner.py", "store.py"}


@pytest.mark.parametrize("example", ["cpu_bodies", "load_client", "sql_review"])
def test_other_examples(example: str) -> None:
    """What the other examples block with is pymysql, in the variant not unblocked."""
    report = scan([ROOT / "examples" / example])
    variants = {Path(f.path).stem for f in report.blocking}
    assert variants == ({"inline"} if example == "sql_review" else set())


UNBLOCKED = """
    import requests
    from tornado.web import RequestHandler
    from tornado_unblock import unblock, unblock_application

    class Method(RequestHandler):
        @unblock
        def get(self):
            requests.get("x")

        def post(self):
            requests.get("x")

    @unblock(timeout=3)
    class Whole(RequestHandler):
        def get(self):
            requests.get("x")

        async def post(self):
            requests.get("x")

    class Sub(Whole):
        def put(self):
            requests.get("x")
"""


def test_unblocked(scanned: Scanned) -> None:
    """A method, a class, and its subclasses are unblocked; their coroutines are not."""
    report = scanned(UNBLOCKED)
    states = {f.endpoint: f.unblocked for f in report.findings}
    assert states == {
        "Method.get": "method",
        "Method.post": "",
        "Whole.get": "class",
        "Whole.post": "",
        "Sub.put": "class",
    }
    (whole,) = (h for h in report.handlers if h.name == "Sub")
    assert whole.unblocked == {"get": "class", "put": "class"}
    assert whole.blocking == ("post",)
    assert {f.is_async for f in report.findings if f.endpoint == "Whole.post"} == {True}


TEMPLATES = """
    import tornado.web
    from sqlalchemy.orm import Session
    {of_class}
    class Page(tornado.web.RequestHandler):
        def initialize(self):
            self.db = Session()

        def get(self):
            {renders}

    class Latest(tornado.web.UIModule):
        def render(self):
            rows = self.handler.db.query("latest")
            return self.render_string("rows.html", rows=rows.all())

    class Unfinished(tornado.web.UIModule):
        pass
"""
RENDERS = 'self.render("page.html", title="x", rows=self.db.query("all"))'


def test_templates(scanned: Scanned) -> None:
    """A query is gone through there; UI modules run there, with their handler."""
    report = scanned(TEMPLATES.format(of_class="", renders=RENDERS))
    assert found(report) == [
        "Latest.render rows.all likely",
        "Page.get self.db.query() likely",
    ]
    assert [handler.name for handler in report.handlers] == ["Page"]


@pytest.mark.parametrize(
    ("of_class", "renders"),
    [
        ("import tornado_unblock\n    @tornado_unblock.unblock", RENDERS),
        ("", "self.write(self.handler)"),
    ],
)
def test_templates_that_do_not_block(
    scanned: Scanned, of_class: str, renders: str
) -> None:
    """Where the handlers are on workers, or render nothing."""
    assert not found(scanned(TEMPLATES.format(of_class=of_class, renders=renders)))


def test_application_unblocked(scanned: Scanned) -> None:
    """`unblock_application` is for what its file imports, and for nobody else."""
    report = scanned(
        """
        #: file main.py
        from tornado_unblock import unblock_application
        import web
        app = unblock_application(web.app)
        #: file web.py
        import tornado.web, requests
        class Here(tornado.web.RequestHandler):
            def get(self):
                requests.get("x")
        app = tornado.web.Application([("/", Here)])
        #: file other.py
        import tornado.web, requests
        class There(tornado.web.RequestHandler):
            def get(self):
                requests.get("x")
        """
    )
    assert {f.endpoint: f.unblocked for f in report.findings} == {
        "Here.get": "application",
        "There.get": "",
    }


def test_merged(scanned: Scanned) -> None:
    """A hook that many handlers inherit is told once, with all of them."""
    report = scanned(
        """
        import requests, tornado.web
        class Base(tornado.web.RequestHandler):
            def prepare(self):
                requests.get("x")
        class A(Base):
            def get(self): pass
        class B(Base):
            def get(self): pass
        routes = [("/a", A), ("/b", B)]
        """
    )
    finding = one(report)
    assert finding.endpoint == "Base.prepare"
    assert finding.handlers == ("A", "B")
    assert finding.routes == ("/a", "/b")
    assert [h.name for h in report.handlers] == ["A", "B"]


def test_a_base_with_a_route(scanned: Scanned) -> None:
    """A base class that has a route of its own is a handler too."""
    report = scanned(
        """
        import tornado.web
        class Base(tornado.web.RequestHandler):
            def get(self): pass
        class A(Base): pass
        routes = [("/a", A), ("/base", Base)]
        """
    )
    assert [(h.name, h.routes) for h in report.handlers] == [
        ("Base", ("/base",)),
        ("A", ("/a",)),
    ]


def test_get_current_user(scanned: Scanned) -> None:
    """It is told where it is asked for; where a template may ask, as unknown."""
    report = scanned(
        """
        import requests, tornado.web
        class Base(tornado.web.RequestHandler):
            def get_current_user(self):
                return requests.get("x")
        class Asks(Base):
            def get(self):
                self.write(self.current_user)
        class Renders(Base):
            def get(self):
                self.render("x.html")
        class Never(Base):
            def get(self):
                self.write("x")
        """
    )
    assert found(report) == [
        "Asks.get requests.get seen",
        "Base.get_current_user requests.get unknown",
    ]


def test_dark_and_missing(scanned: Scanned) -> None:
    """What could not be followed is told: by name, by package."""
    report = scanned(
        """
        import tornado.web
        from corp import base
        class A(tornado.web.RequestHandler):
            def get(self, name):
                getattr(self, name)()
                eval(name)
        """
    )
    texts = [what for _, _, what in report.dark]
    assert any("getattr(self, name)" in text for text in texts)
    assert "eval" in texts
    assert list(report.missing) == []  # nobody asked for it
    report = scanned(
        """
        import tornado.web
        from corp import base
        class A(base.Page, tornado.web.RequestHandler):
            def get(self): pass
        """
    )
    assert list(report.missing) == ["corp"]


def test_cycles(scanned: Scanned) -> None:
    """Imports, classes and calls that go in circles end, and are told."""
    report = scanned(
        """
        #: file a.py
        from b import thing
        import tornado.web, requests
        class A(tornado.web.RequestHandler):
            def get(self):
                thing()
                self.ping(3)
            def ping(self, n):
                requests.get("x")
                self.pong(n)
            def pong(self, n):
                self.ping(n - 1)
        class X(Y): pass
        class Y(X): pass
        #: file b.py
        from a import thing
        """
    )
    assert found(report) == ["A.get requests.get seen"]
    assert [p.kind for p in report.problems] == ["cyclic-import"]


def test_a_cycle_is_told_once(scanned: Scanned) -> None:
    """Also if the code is evaluated again, as settings of an application are known."""
    report = scanned(
        """
        #: file a.py
        from b import thing
        import tornado.web
        class A(tornado.web.RequestHandler):
            def get(self):
                thing()
        app = tornado.web.Application([("/", A)], thing=thing())
        #: file b.py
        from a import thing
        """
    )
    assert [p.kind for p in report.problems] == ["cyclic-import"]


def test_methods_that_are_no_functions(scanned: Scanned) -> None:
    """An object with `__call__` is followed; what nobody knows is no method."""
    report = scanned(
        """
        import requests, tornado.web
        class Fetch:
            def __call__(self, *args): requests.get("x")
        class A(tornado.web.RequestHandler):
            get = Fetch()
            post = tornado.web.unknown
            put = None
        """
    )
    assert found(report) == ["A.get requests.get seen"]


def test_recursion_limit_is_put_back(scanned: Scanned) -> None:
    """A scan leaves the interpreter as it found it, also after deep code."""
    limit = sys.getrecursionlimit()
    deep = "self" + ".a()" * 3000
    report = scanned(
        f"""
        import tornado.web
        class A(tornado.web.RequestHandler):
            def get(self):
                {deep}
        """
    )
    assert sys.getrecursionlimit() == limit
    assert len(report.handlers) == 1


def test_garbage_collection_stays_off(scanned: Scanned) -> None:
    """Who has switched it off finds it off, who has not finds it on."""
    assert gc.isenabled()
    gc.disable()
    try:
        scanned("x = 1")
        assert not gc.isenabled()
    finally:
        gc.enable()
    scanned("x = 1")
    assert gc.isenabled()


def test_order(scanned: Scanned) -> None:
    """The worst comes first, then by route."""
    report = scanned(
        """
        import requests, tornado.web
        class A(tornado.web.RequestHandler):
            def get(self):
                open("x")
        class B(tornado.web.RequestHandler):
            def get(self):
                requests.get("x")
        class C(tornado.web.RequestHandler):
            def get(self):
                requests.get("x")
        routes = [("/a", A), ("/z", B), ("/c", C)]
        """
    )
    assert [f.endpoint for f in report.findings] == ["C.get", "B.get", "A.get"]
    assert [f.severity for f in report.findings] == [3, 3, 2]


def test_broken_files_are_skipped(scanned: Scanned) -> None:
    """The rest is scanned."""
    report = scanned(
        """
        #: file a.py
        def f(:
        #: file b.py
        import requests, tornado.web
        class A(tornado.web.RequestHandler):
            def get(self):
                requests.get("x")
        """
    )
    assert report.files == 2
    assert [p.kind for p in report.problems] == ["syntax"]
    assert found(report) == ["A.get requests.get seen"]
