"""`unblock_application` unblocks one application, and what that alone serves."""

from __future__ import annotations

from typing import Callable

import pytest

from tests.unit.scan.conftest import WriteFiles
from tornado_unblock._scan.findings import Report
from tornado_unblock._scan.fix_cli import main

Scanned = Callable[..., Report]

HANDLERS = """
#: file handlers.py
import time
from tornado.web import RequestHandler
class A(RequestHandler):
    def get(self): time.sleep(1)
class B(RequestHandler):
    def get(self): time.sleep(1)
routes = [("/a", A)]
more = [("/b", B)]
#: file main.py
from tornado.web import Application
from tornado_unblock import unblock_application
from handlers import A, B, routes, more
import handlers
"""


def moved(report: Report) -> set[str]:
    return {f.endpoint[0] for f in report.findings if f.unblocked}


ONLY_B = [
    'public = Application([("/a", A)])\nunblock_application(Application([("/b", B)]))',
    "public = Application(routes)\nadmin = Application(more)\n"
    "unblock_application(admin)",
    "public = Application(handlers.routes)\n"
    "def make():\n    return Application(handlers=handlers.more)\n"
    "unblock_application(make())",
    "unblock_application(Application(routes + more))\npublic = Application(routes)",
    "class Own(Application):\n    def __init__(self):\n"
    "        super().__init__(more)\n        unblock_application(self)\n"
    "public = Application(routes)\napp = Own()",
    "class Own(Application):\n    def __init__(self):\n        self.mine = more\n"
    "        super().__init__(self.mine)\n"
    "public = Application(routes)\napp = Own()\nunblock_application(app)",
    "public = Application(routes)\nadmin = Application()\n"
    "admin.add_handlers('.*', more)\nunblock_application(admin)",
    "rules = []\nrules.append(('/b', B))\nrules += more\n"
    "public = Application(routes)\nunblock_application(Application(rules))",
    "public = Application(routes)\ndef never():\n"
    "    return unblock_application(Application(more))",
]


@pytest.mark.parametrize("text", ONLY_B)
def test_one_of_two(scanned: Scanned, text: str) -> None:
    """What another application serves is not unblocked by it."""
    report = scanned(HANDLERS + text)
    assert len(report.findings) == 2
    assert moved(report) == {"B"}
    assert not report.dark


BOTH = [
    "unblock_application(Application(routes + more))",
    "unblock_application(Application(routes))\nunblock_application(Application(more))",
    "def make(rules):\n    return Application(rules)\n"
    "unblock_application(make(routes + more))",
    "import corp\nunblock_application(corp.application)",
]


@pytest.mark.parametrize("text", BOTH)
def test_all(scanned: Scanned, text: str) -> None:
    """Where there is no other application, its handlers are."""
    assert moved(scanned(HANDLERS + text)) == {"A", "B"}


def test_whose_it_is_cannot_be_told(scanned: Scanned) -> None:
    """With several that it may be for, none is unblocked, and that is said."""
    text = (
        "apps = {1: Application(routes)}\nother = Application(more)\n"
        "def start(app):\n    unblock_application(app)\n"
    )
    report = scanned(HANDLERS + text)
    assert moved(report) == set()
    assert [what for _, _, what in report.dark] == [
        "unblock_application: it cannot be told for which Application"
    ]


def test_an_application_that_cannot_be_read(scanned: Scanned) -> None:
    """It may serve whatever its file imports."""
    text = (
        "import corp\npublic = Application(corp.load(handlers))\n"
        "unblock_application(Application(more))\n"
    )
    assert moved(scanned(HANDLERS + text)) == set()


TESTED = """
app = Application(routes)
#: file tests/test_app.py
from tornado.web import Application
from tornado_unblock import unblock_application
"""


@pytest.mark.parametrize(
    "text",
    [
        "from handlers import routes\napp = unblock_application(Application(routes))",
        "from main import app\nunblock_application(app)",
    ],
)
def test_tests(
    scanned: Scanned,
    code_base: WriteFiles,
    capsys: pytest.CaptureFixture[str],
    text: str,
) -> None:
    """What tests unblock is not unblocked elsewhere; nor does it keep `fix` off."""
    assert moved(scanned(HANDLERS + TESTED + text)) == set()
    assert main([str(code_base(HANDLERS + TESTED + text))]) == 1
    assert "+app = unblock_application(Application(routes))" in capsys.readouterr().out


def test_fix_by_application(
    code_base: WriteFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is unblocked keeps `fix` off no other one of its file."""
    folder = code_base(HANDLERS + ONLY_B[0])
    assert main([str(folder)]) == 1
    out, err = capsys.readouterr()
    assert "+public = unblock_application(Application(" in out
    assert "not changed" not in err
