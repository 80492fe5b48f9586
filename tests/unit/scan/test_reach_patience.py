"""What would wait, and is told not to."""

from __future__ import annotations

from typing import Callable

import pytest

from tests.unit.scan.conftest import found
from tornado_unblock._scan.findings import Report

Scanned = Callable[..., Report]

PAGE = """
import concurrent.futures, fcntl, multiprocessing, os, queue, select, subprocess
import threading, time, signal
import tornado.web
from os import WNOHANG
lock, line = threading.Lock(), queue.Queue()
pool = concurrent.futures.ThreadPoolExecutor()
class A(tornado.web.RequestHandler):
    def get(self):
        {does}
"""
AT_ONCE = [
    "lock.acquire(False)",
    "lock.acquire(blocking=False)",
    "lock.acquire(timeout=0)",
    "lock.acquire(True, 0)",
    "line.get(False)",
    "line.get(block=False)",
    "line.get(True, 0)",
    "line.get(timeout=0.0)",
    "line.get_nowait()",
    "threading.Event().wait(0)",
    "threading.Event().wait(timeout=0)",
    "threading.Thread().join(0)",
    "pool.submit(len, '').result(0)",
    "pool.shutdown(wait=False)",
    "concurrent.futures.wait([], timeout=0)",
    "select.select([], [], [], 0)",
    "select.poll().poll(0)",
    "fcntl.flock(1, fcntl.LOCK_EX | fcntl.LOCK_NB)",
    "os.waitpid(-1, os.WNOHANG)",
    "subprocess.Popen('x').wait(timeout=0)",
    "time.sleep(0)",
]
WAITS = [
    "lock.acquire()",
    "lock.acquire(True)",
    "lock.acquire(timeout=1)",
    "line.get()",
    "line.get(timeout=None)",
    "line.get(True, 3)",
    "threading.Event().wait(0.5)",
    "threading.Event().wait(None)",
    "threading.Thread().join(self.time)",
    "pool.shutdown()",
    "select.select([], [], [], 1)",
    "fcntl.flock(1, fcntl.LOCK_EX)",
    "os.waitpid(1, 0)",
    "signal.pause()",
    "subprocess.call('x', timeout=0)",
    "time.sleep(1)",
]


@pytest.mark.parametrize("does", AT_ONCE)
def test_at_once(scanned: Scanned, does: str) -> None:
    """It does not block, so it is not told."""
    assert found(scanned(PAGE.format(does=does))) == []


@pytest.mark.parametrize("does", WAITS)
def test_waits(scanned: Scanned, does: str) -> None:
    """It may wait, so it is."""
    assert len(found(scanned(PAGE.format(does=does)))) == 1
