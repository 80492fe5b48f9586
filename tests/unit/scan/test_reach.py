"""What only a name tells, and what is called without a call."""

from __future__ import annotations

from typing import Callable

import pytest

from tests.unit.scan.conftest import found
from tornado_unblock._scan.findings import Report

Scanned = Callable[..., Report]
HEAD = """
import requests
import tornado.web
def load_everything(a, b=1, *, c=2): requests.get("x")
class Store:
    def find_orders(self, key): requests.get("x")
    @staticmethod
    def find_static(key): requests.get("x")
    def take_all(self, *args, **kwargs): requests.get("x")
class One:
    def in_two_places(self): requests.get("x")
class Two:
    def in_two_places(self): requests.get("x")
class A(tornado.web.RequestHandler):
    async def get(self):
"""
BODIES = {
    "self.db.execute('x')": "self.db.execute likely",
    "self.cursor.fetchall()": "self.cursor.fetchall likely",
    "get().fetchone()": "get().fetchone likely",
    "self.x[1].fetchone()": "self.x[].fetchone likely",
    "(a or b).fetchone()": "(...).fetchone likely",
    "conn.commit()": "conn.commit likely",
    "db_session.commit()": "db_session.commit likely",
    "redis_conn.get('x')": "redis_conn.get likely",
    "db.get('x')": "db.get likely",
    "session.get('x')": "",
    "self.session.set('x', 1)": "",
    "cache.get('x')": "",
    "self.settings.get('x')": "",
    "self.db.close()": "",
    "await self.db.execute('x')": "",
    "await gather(self.db.execute('x'))": "",
    "x.load_everything(1)": "requests.get likely",
    "x.load_everything(1, 2)": "requests.get likely",
    "x.load_everything(1, c=3)": "requests.get likely",
    "x.load_everything(*y)": "requests.get likely",
    "x.load_everything(**y)": "requests.get likely",
    "x.load_everything()": "",
    "x.load_everything(1, 2, 3)": "",
    "x.load_everything(1, d=3)": "",
    "x.find_orders(1)": "requests.get likely",
    "x.find_orders()": "",
    "x.find_static(1)": "requests.get likely",
    "x.take_all(1, 2, a=3)": "requests.get likely",
    "x.in_two_places()": "",
    "x.nowhere_at_all()": "",
    "x.get()": "",
    "json.find_orders(1)": "",
    "import json; json.find_orders(1)": "",
}


@pytest.mark.parametrize("body", BODIES)
def test_by_name(scanned: Scanned, body: str) -> None:
    """A telling name, or the only one of its kind, is likely; others are nothing."""
    expected = BODIES[body]
    if body.startswith("json."):
        expected = "requests.get likely"  # nobody imported it
    text = f"{HEAD}        {body}\n"
    assert found(scanned(text)) == ([f"A.get {expected}"] if expected else [])


def test_rows(scanned: Scanned) -> None:
    """What a query gives may be anything: its methods go by their names."""
    report = scanned(
        """
        import requests, tornado.web
        from sqlalchemy.orm import sessionmaker
        Session = sessionmaker()
        class User:
            def check_password(self, text): requests.get("x")
        class A(tornado.web.RequestHandler):
            def get(self):
                user = Session().query(User).first()
                user.check_password("x")
                user.get("name")
        """
    )
    assert [f.split(" ", 1)[1] for f in found(report)] == [
        "(...)".replace("(...)", "Session().query().first seen"),
        "requests.get likely",
    ]


PROPERTIES = """
import requests, tornado.web
class Base(tornado.web.RequestHandler):
    @property
    def rows(self): return requests.get("x")
    @rows.setter
    def rows(self, value): requests.put("x")
    def plain(self): requests.get("x")
    def get_current_user(self): return requests.get("x")
    def get_user_locale(self): return requests.post("x")
class Other:
    @property
    def plain(self): return 1
class A(Base):
    def get(self):
        {}
"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("self.rows", ["requests.get"]),
        ("self.plain", []),
        ("self.current_user", ["requests.get"]),
        ("self.locale", ["requests.post"]),
        ("super().rows", ["requests.get"]),
        ("Other().rows", []),
        ("A.rows", []),
    ],
)
def test_properties(scanned: Scanned, body: str, expected: list[str]) -> None:
    """Reading an attribute may call a function."""
    report = scanned(PROPERTIES.format(body))
    assert [f.what for f in report.findings if f.endpoint == "A.get"] == expected


def test_shortest_and_surest(scanned: Scanned) -> None:
    """Of several ways, the surest is told, and of those the shortest."""
    report = scanned(
        """
        import requests, tornado.web
        def slow_thing(): requests.get("x")
        def long_way(): slow_thing()
        class A(tornado.web.RequestHandler):
            def get(self):
                self.x.slow_thing()
                long_way()
            def post(self):
                long_way()
                slow_thing()
        """
    )
    ways = {f.endpoint: [s.name for s in f.steps] for f in report.findings}
    assert ways == {
        "A.get": ["A.get", "long_way", "slow_thing"],
        "A.post": ["A.post", "slow_thing"],
    }
    assert {f.confidence for f in report.findings} == {"seen"}
