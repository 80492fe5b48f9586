"""What the loop is given to call: from handlers, and from elsewhere."""

from __future__ import annotations

from typing import Callable

import pytest

from tests.unit.scan.conftest import WriteFiles, found
from tornado_unblock._scan.findings import Report
from tornado_unblock._scan.fix_cli import main

Scanned = Callable[..., Report]


def test_periodic_callbacks(scanned: Scanned) -> None:
    """What a handler lets be called again and again runs on the loop."""
    report = scanned(
        """
        import time
        from tornado.ioloop import PeriodicCallback
        from tornado.web import RequestHandler
        class A(RequestHandler):
            def get(self): PeriodicCallback(self.tick, 100).start()
            def post(self): PeriodicCallback(callback=self.tick, callback_time=1)
            def tick(self): time.sleep(1)
        """
    )
    assert found(report) == ["A.get time.sleep seen", "A.post time.sleep seen"]


APP = """
#: file shared.py
import time
def refresh():
    time.sleep(0.01)
#: file app.py
import asyncio, signal
from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.web import RequestHandler
from tornado_unblock import unblock
from shared import refresh
@unblock
class B(RequestHandler):
    def get(self): refresh()
"""
ON_THE_LOOP = [
    "PeriodicCallback(refresh, 100).start()",
    "def main():\n    IOLoop.current().call_later(1, refresh)",
    "async def main():\n    PeriodicCallback(lambda: refresh(), 100).start()",
    "async def main():\n    refresh()",
    "loop = IOLoop.current()\nloop.add_callback(callback=refresh)",
    "class Job:\n    def start(self): self.loop.add_timeout(1, self.run)\n"
    "    def run(self): refresh()",
]


@pytest.mark.parametrize("text", ["", *ON_THE_LOOP])
def test_fix(
    code_base: WriteFiles, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """It is called on the loop then, so no rule makes it refuse that."""
    folder = code_base(APP + text)
    main([str(folder), "--rule", "shim-imports", "--rule", "dual-leaves"])
    out, err = capsys.readouterr()
    assert ("+from tornado_unblock.shim import time" in out) is (not text)
    assert ("time is called on the loop thread" in err) is bool(text)


@pytest.mark.parametrize("text", ["", *ON_THE_LOOP])
def test_leaves(
    code_base: WriteFiles, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """Nor is it made dual."""
    main([str(code_base(APP + text)), "--rule", "dual-leaves"])
    out, err = capsys.readouterr()
    assert ("+@shim.dual" in out) is (not text)
    assert ("refresh: it is called on the loop thread" in err) is bool(text)
