"""Where hooks run once their class is unblocked: as `decide` of the library says."""

from __future__ import annotations

from typing import Callable

import pytest

from tests.unit.scan.conftest import WriteFiles
from tornado_unblock._scan.findings import Report
from tornado_unblock._scan.fix_cli import main

Scanned = Callable[..., Report]

PAGE = """
import time
import tornado.gen
import tornado.web
import tornado.websocket
from tornado_unblock import unblock
{unblocked}
class Page({base}):
    {verb}
    def {hook}(self, *args):
        time.sleep(1)
"""
SYNC = "def get(self): pass"
ASYNC = "async def get(self): pass"
COROUTINE = "@tornado.gen.coroutine\n    def get(self): yield"
LATER = f"{SYNC}\n    async def post(self): pass"
ASKS = "@tornado.web.authenticated\n    async def get(self): pass"
WEB = "tornado.web.RequestHandler"
SOCKET = "tornado.websocket.WebSocketHandler"
WAITS = "async def prepare(self): pass"

ON_WORKERS = [
    (WEB, SYNC, "prepare"),
    (WEB, SYNC, "on_finish"),
    (WEB, SYNC, "write_error"),
    (WEB, SYNC, "compute_etag"),
    (WEB, f"{SYNC}\n    {WAITS}", "on_finish"),
    (WEB, ASKS, "prepare"),
    (WEB, ASKS, "get_login_url"),
    (SOCKET, "", "on_message"),
    (SOCKET, "", "check_origin"),
    (SOCKET, ASYNC, "on_close"),
    (SOCKET, WAITS, "on_message"),
    ("tornado.web.StaticFileHandler", "", "set_extra_headers"),
]
ON_THE_LOOP = [
    *((WEB, verb, "prepare") for verb in (ASYNC, COROUTINE, LATER)),
    (WEB, ASYNC, "on_finish"),
    (WEB, ASYNC, "write_error"),
    (WEB, COROUTINE, "log_exception"),
    (WEB, COROUTINE, "compute_etag"),
    (WEB, ASKS, "on_finish"),
    (WEB, SYNC, "initialize"),
    (WEB, SYNC, "__init__"),
    (WEB, SYNC, "set_default_headers"),
    (WEB, SYNC, "on_connection_close"),
    (WEB, SYNC, "check_xsrf_cookie"),
    (SOCKET, "", "get_compression_options"),
    (SOCKET, WAITS, "check_origin"),
    ("tornado.web.FallbackHandler", "", "prepare"),
]


@pytest.mark.parametrize(("base", "verb", "hook"), ON_WORKERS)
def test_on_workers(scanned: Scanned, base: str, verb: str, hook: str) -> None:
    """What hops with its class is unblocked by it."""
    text = PAGE.format(base=base, verb=verb, hook=hook, unblocked="@unblock")
    (finding,) = scanned(text).findings
    assert (finding.endpoint, finding.unblocked) == (f"Page.{hook}", "class")


@pytest.mark.parametrize(("base", "verb", "hook"), ON_THE_LOOP)
def test_on_the_loop(scanned: Scanned, base: str, verb: str, hook: str) -> None:
    """What stays on the loop blocks it, whatever its class says."""
    text = PAGE.format(base=base, verb=verb, hook=hook, unblocked="@unblock")
    (finding,) = scanned(text).findings
    assert (finding.endpoint, finding.unblocked) == (f"Page.{hook}", "")


def test_a_hook_that_is_decorated(scanned: Scanned) -> None:
    """`@unblock` on the hook itself moves it, also beside a coroutine."""
    hook = f"{ASYNC}\n    @unblock"
    text = PAGE.format(base=WEB, verb=hook, hook="prepare", unblocked="")
    assert [f.unblocked for f in scanned(text).findings] == ["method"]


def test_fix_counts_them(
    code_base: WriteFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    """What no rule can move is told by `fix`, and decorates no class."""
    text = PAGE.format(base=WEB, verb=ASYNC, hook="prepare", unblocked="")
    folder = code_base(text)
    assert main([str(folder), "--rule", "class"]) == 0
    assert "1 method of handlers will still block" in capsys.readouterr().err
