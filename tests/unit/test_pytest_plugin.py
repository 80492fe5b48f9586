"""The pytest plugin, in runs of pytest of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest
import tornado

import tornado_unblock_pytest
from tests.patience import PROGRAM

STALLS = """
import asyncio, threading
import pytest
from tornado.testing import AsyncHTTPTestCase
from tornado.web import Application, RequestHandler

class Orders(RequestHandler):
    def get(self):
        load()
        self.write("x")

def load():
    threading.Event().wait(0.3)

class OrdersTest(AsyncHTTPTestCase):
    def get_app(self):
        return Application([("/", Orders)])

    def test_orders(self):
        assert self.fetch("/").body == b"x"
"""
FUNCTIONS = (
    STALLS
    + """
def stall():
    async def main():
        load()
    asyncio.run(main())
"""
)
OLD_TORNADO = tuple(map(int, __import__("tornado").version.split(".")[:3])) < (6, 4, 1)


@pytest.fixture
def run(tmp_path: Path, child_env: dict[str, str]) -> Callable[..., str]:
    def run(text: str, *options: str, ini: str = "") -> str:
        (tmp_path / "test_it.py").write_text(text)
        (tmp_path / "pytest.ini").write_text(
            f"[pytest]\naddopts=--strict-markers\n{ini}"
        )
        (tmp_path / "plugin_path").mkdir(exist_ok=True)
        folder = os.path.dirname(tornado_unblock_pytest.__file__)
        path = os.pathsep.join([child_env.get("PYTHONPATH", ""), folder])
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        # Not found by its entry point where the library is not installed.
        command += ["-p", "tornado_unblock_pytest", *options, "test_it.py"]
        ended = subprocess.run(
            command,
            cwd=tmp_path,
            env={**child_env, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=PROGRAM,
        )
        return ended.stdout + ended.stderr

    return run


@pytest.mark.skipif(OLD_TORNADO, reason="pytest cannot collect its test cases")
def test_a_test_case(run: Callable[..., str]) -> None:
    """A test whose handler stalls the loop fails, and says where."""
    text = run(STALLS, "--no-stalls")
    assert "1 failed" in text
    assert "the event loop was stalled once" in text
    assert "Orders.get (GET /, route /)" in text
    assert "in load: threading.Event().wait(0.3)" in text
    assert "1 passed" in run(STALLS)


@pytest.mark.parametrize(
    ("option", "ini"),
    [
        ("--allow-stalls=test_it.py:load", ""),
        ("--no-stalls", "allow_stalls =\n    Other.get\n    Orders.get\n"),
        ("--no-stalls", "stall_threshold = 60"),
        ("--stall-threshold=60", ""),
    ],
)
@pytest.mark.skipif(OLD_TORNADO, reason="pytest cannot collect its test cases")
def test_what_is_allowed(run: Callable[..., str], option: str, ini: str) -> None:
    """By option, by ini file, or by a longer threshold."""
    assert "1 passed" in run(STALLS, "--no-stalls", option, ini=ini)


@pytest.mark.skipif(
    tornado.version_info < (6, 4, 1), reason="pytest cannot collect its test cases"
)
def test_markers_and_fixture(run: Callable[..., str]) -> None:
    """One test at a time, without the option."""
    text = run(
        FUNCTIONS.replace("class OrdersTest", "class _OrdersTest")
        + """
@pytest.mark.no_stalls
def test_marked():
    stall()

@pytest.mark.no_stalls(threshold=60)
def test_marked_with_threshold():
    stall()

@pytest.mark.no_stalls(allow=["test_it.py:load"])
def test_marked_with_allowance():
    stall()

@pytest.mark.no_stalls
@pytest.mark.allow_stalls("test_it.py:load")
def test_marked_and_allowed():
    stall()

@pytest.mark.no_stalls
@pytest.mark.allow_stalls
def test_marked_and_all_allowed():
    stall()

def test_with_fixture(no_stalls):
    stall()

def test_not_watched():
    stall()

@pytest.mark.no_stalls
def test_fails_anyway():
    stall()
    assert 1 == 2
"""
    )
    assert "3 failed, 6 passed" in text, text
    for name in ("test_marked", "test_with_fixture", "test_fails_anyway"):
        assert f"FAILED test_it.py::{name} " in text
    assert "assert 1 == 2" in text


@pytest.mark.parametrize(
    ("text", "options", "ini", "said"),
    [
        ("@pytest.mark.no_stalls(limit=1)", [], "", "no_stalls takes threshold="),
        ("@pytest.mark.no_stalls(allow='*.py')", [], "", "a list of patterns"),
        ("@pytest.mark.no_stalls(allow=None)", [], "", "a list of patterns"),
        ("@pytest.mark.no_stalls(threshold=0)", [], "", "more than 0"),
        ("", ["--no-stalls"], "stall_threshold = soon", "is a number of seconds"),
        ("", ["--no-stalls", "--stall-threshold=0"], "", "more than 0"),
    ],
)
def test_misuse(
    run: Callable[..., str], text: str, options: list[str], ini: str, said: str
) -> None:
    """What makes no sense is said, and the test does not pass."""
    output = run(f"import pytest\n{text}\ndef test(): pass", *options, ini=ini)
    assert said in output
    assert "1 passed" not in output


def test_off_costs_nothing(run: Callable[..., str]) -> None:
    """Without the option, the plugin does not import the library."""
    output = run(
        "import sys\ndef test(): assert 'tornado_unblock' not in sys.modules, 1"
    )
    assert "1 passed" in output, output
