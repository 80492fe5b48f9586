"""What bodies share: each kind, guarded and not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Callable

import pytest

from tornado_unblock._scan.attention import LINKS
from tornado_unblock._scan.findings import Report

Scanned = Callable[..., Report]
DOCS = Path(__file__).resolve().parents[3] / "docs"
HEAD = """
#: file state.py
ALL = []
NUMBER = 0
#: file app.py
import asyncio, contextvars, collections, signal, threading
import pymysql, requests
import state
import tornado.web
SEEN = {}
WAITING = collections.deque()
NUMBER = 0
LOCAL = threading.local()
TOKEN = contextvars.ContextVar("t")
CONNECTION = pymysql.connect()
SESSION = requests.Session()
LIMIT = 3
lock = threading.Lock()
class Mine(threading.local): pass
MINE = Mine()
class Other:
    count = 0
    names = []
    shared = pymysql.connect()
class A(tornado.web.RequestHandler):
    hits = 0
    clients = set()
    own = []
    db = pymysql.connect()
    @property
    def prop(self): return self
    def initialize(self):
        self.own = []
"""
#: Bodies of `def METHOD(self, data=None)`, and what is told of them.
BODIES = {
    "global NUMBER; NUMBER = 1": "global-write",
    "global NUMBER; NUMBER += 1": "global-write",
    "state.NUMBER = 1": "global-write",
    "state.ALL.append(1)": "global-write",
    "SEEN['a'] = 1": "global-write",
    "SEEN.update(a=1)": "global-write",
    "WAITING.append(1)": "global-write",
    "SEEN['a'] = self": "self-stored",
    "WAITING.append(self)": "self-stored",
    "self.clients.add(self)": "self-stored",
    "self.clients.discard(1)": "class-write",
    "A.hits = 1": "class-write",
    "type(self).hits = 1": "class-write",
    "self.__class__.hits += 1": "class-write",
    "Other.names.append(1)": "class-write",
    "CONNECTION.cursor()": "global-connection",
    "SESSION.get('x')": "global-connection",
    "self.db.commit()": "global-connection",
    "Other.shared.commit()": "global-connection",
    "self.token = TOKEN.set(1)": "context-token",
    "signal.signal(1, None)": "signal",
    "asyncio.create_task(None)": "asyncio",
    "asyncio.get_event_loop().run_until_complete(None)": "asyncio",
    "with lock: SEEN['a'] = 1": "",
    "with lock: SEEN.update(a=1)": "",
    "with lock: CONNECTION.cursor()": "",
    "global NUMBER\n        with lock: NUMBER = 1": "",
    "with lock: A.hits = 1": "",
    "with lock: state.NUMBER = 1": "",
    "SEEN = {}; SEEN['a'] = 1": "",
    "data['a'] = 1": "",
    "data.append(1)": "",
    "self.hits = 1": "",
    "self.own.append(self)": "",
    "self.own[0] = 1": "",
    "unknown.append(1)": "",
    "state.NUMBER.append(1)": "",
    "state.missing.append(1)": "",
    "unknown()[0] = 1": "",
    "self.token = other.set(1)": "",
    "self.token = 1": "",
    "LIMIT.bit_length()": "",
    "SEEN.get('a')": "",
    "self.prop.x": "",
    "self.settings.x.y": "",
    "LOCAL.x = 1": "",
    "unknown.x.append(1)": "",
    "requests.x.append(1)": "",
    "lock.update(1)": "",
}


def rules(report: Report) -> str:
    return " ".join(sorted({note.rule for note in report.notes}))


@pytest.mark.parametrize("body", BODIES)
def test_body(scanned: Scanned, body: str) -> None:
    """A sync body is told of; a lock, or something of its own, is well."""
    text = f"{HEAD}    def get(self, data=None):\n        {body}\n"
    assert rules(scanned(text)) == BODIES[body]


@pytest.mark.parametrize("body", ["LOCAL.x = 1", "MINE.x = 1"])
def test_thread_local(scanned: Scanned, body: str) -> None:
    """What `prepare` sets for its thread is told of."""
    report = scanned(f"{HEAD}    def prepare(self):\n        {body}\n")
    assert rules(report) == "thread-local"


def test_coroutines(scanned: Scanned) -> None:
    """Coroutines stay on the loop thread, so nothing is told of them."""
    text = f"{HEAD}    async def get(self):\n        SEEN['a'] = 1\n"
    text += "        asyncio.create_task(None)\n        (lambda: 1)()\n"
    assert rules(scanned(text)) == ""


def test_endpoints(scanned: Scanned) -> None:
    """Each place is told once, with all that reach it."""
    text = HEAD + (
        "    def get(self):\n        self.help()\n"
        "    def post(self):\n        self.help()\n"
        "    def help(self):\n        SEEN['a'] = 1\n"
    )
    (note,) = scanned(text).notes
    assert note.endpoints == ("A.get", "A.post")
    assert note.message == "SEEN is changed by requests"


def test_switched_off(scanned: Scanned) -> None:
    """Who does not want to know is not told."""
    text = f"{HEAD}    def get(self):\n        SEEN['a'] = 1\n"
    assert scanned(text, notes=False).notes == []


ALL_LINKS = sorted({*LINKS.values(), "faq.md#what-about-requestssession"})


@pytest.mark.parametrize("link", ALL_LINKS)
def test_links(link: str) -> None:
    """Each link leads to a heading that is there."""
    page, _, anchor = link.partition("#")
    headings = re.findall(r"^#+ (.+)$", (DOCS / page).read_text("utf-8"), re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
    assert anchor in slugs


def test_documented() -> None:
    """The page has a row for each rule."""
    text = (DOCS / "find.md").read_text("utf-8")
    assert set(LINKS) <= set(re.findall(r"^\| `([a-z-]+)` \|", text, re.M))
