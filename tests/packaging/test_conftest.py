"""The watchdogs of tests/conftest.py, each shown at work on a test of its own.

The samples run in a child process under the real configuration. What one of them
leaves behind must be charged to it, and to none of the others.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PREAMBLE = """
import asyncio, gc, logging, socket, threading, unittest, warnings
import pytest
from tornado.testing import ExpectLog, AsyncHTTPTestCase
from tornado.web import Application, RequestHandler

log = logging.getLogger("tornado.general")
forever = threading.Event()

async def coroutine(awaitable=None):
    if awaitable:
        await awaitable
"""

# Each: a test function's body, its decorators and fixtures, and a piece of the
# complaint; "" where the test must pass.
SAMPLES = {
    "nothing": ("pass", "", "", ""),
    "log": ("log.warning('odd %d', 7)", "", "", "WARNING tornado.general: odd 7"),
    "log_root": ("logging.error('odd')", "", "", "ERROR root: odd"),
    "log_asyncio": ("logging.getLogger('asyncio').error('odd')", "", "", "ERROR async"),
    "log_traceback": (
        "try: 1 / 0\nexcept ZeroDivisionError: log.exception('odd')",
        "",
        "",
        "ZeroDivisionError: division by zero",
    ),
    "log_info": ("log.setLevel('INFO'); log.info('fine')", "", "", ""),
    "log_slow_callback": (
        "logging.getLogger('asyncio').warning("
        "'Executing %s took %.3f seconds', '<Handle f()>', 0.2)",
        "",
        "",
        "",
    ),
    "log_expected": (
        "expect_log('tornado.general', r'odd \\d'); log.warning('odd %d', 7)",
        "",
        "expect_log",
        "",
    ),
    "log_expected_above": (
        "expect_log('tornado', 'odd'); log.warning('odd')",
        "",
        "expect_log",
        "",
    ),
    "log_expected_anywhere": (
        "expect_log('', 'odd'); log.warning('odd')",
        "",
        "expect_log",
        "",
    ),
    "log_other_text": (
        "expect_log('tornado.general', 'even'); log.warning('odd')",
        "",
        "expect_log",
        "Unexpected log record: WARNING tornado.general: odd",
    ),
    "log_other_logger": (
        "expect_log('torn', 'odd'); log.warning('odd')",
        "",
        "expect_log",
        "Unexpected log record",
    ),
    "log_other_level": (
        "expect_log('', 'odd', level=logging.ERROR); log.warning('odd')",
        "",
        "expect_log",
        "Unexpected log record",
    ),
    "log_missing": (
        "expect_log('tornado.general', 'odd')",
        "",
        "expect_log",
        "Nothing was logged that matches tornado.general: 'odd'",
    ),
    "log_missing_in_block": (
        "with expect_log('tornado.general', 'odd'): pass",
        "",
        "expect_log",
        "Nothing was logged that matches",
    ),
    "log_block": (
        "with expect_log('', 'odd') as seen: log.warning('odd 1')\n"
        "assert seen.messages == ['odd 1']",
        "",
        "expect_log",
        "",
    ),
    "log_after_block": (
        "with expect_log('', 'odd'): log.warning('odd 1')\nlog.warning('odd 2')",
        "",
        "expect_log",
        "Unexpected log record: WARNING tornado.general: odd 2",
    ),
    "log_allowed_absent": ("allow_log('', 'odd')", "", "allow_log", ""),
    "log_allowed": ("allow_log('', 'o'); log.warning('odd')", "", "allow_log", ""),
    "log_marked": (
        "log.warning('odd')",
        "@pytest.mark.expect_log('tornado.general', 'odd')",
        "",
        "",
    ),
    "log_marked_allowed": (
        "log.warning('odd')",
        "@pytest.mark.allow_log('tornado.general', 'odd')",
        "",
        "",
    ),
    "log_marked_missing": (
        "pass",
        "@pytest.mark.expect_log('tornado.general', 'odd')",
        "",
        "Nothing was logged that matches",
    ),
    "log_tornado_way": (
        "with ExpectLog(log, 'odd'): log.warning('odd')",
        "",
        "",
        "",
    ),
    "log_at_collection": (
        # What only the garbage collector finds is charged to this test as well.
        "class Late:\n"
        "    def __del__(self): logging.getLogger('x').warning('late')\n"
        "late = Late(); late.me = late",
        "",
        "",
        "WARNING x: late",
    ),
    "thread": (
        "threading.Thread(target=forever.wait, name='stray', daemon=True).start()",
        "",
        "",
        "Thread 'stray' outlived its test",
    ),
    "thread_allowed": (
        "threading.Thread(target=forever.wait, name='stray', daemon=True).start()",
        "@pytest.mark.allow_threads('stray')",
        "",
        "",
    ),
    "thread_ending": (
        # Alive when the body ends, gone within the time of grace.
        "t = threading.Thread(target=threading.main_thread().join, args=(0.2,))\n"
        "t.start()",
        "",
        "",
        "",
    ),
    "thread_error": (
        "t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()",
        "",
        "",
        "PytestUnhandledThreadExceptionWarning",
    ),
    "coroutine": ("coroutine()", "", "", "was never awaited"),
    "coroutine_in_cycle": (
        "cycle = [coroutine()]; cycle.append(cycle)",
        "",
        "",
        "was never awaited",
    ),
    "socket": ("socket.socket()", "", "", "unclosed <socket"),
    "task": (
        "loop = asyncio.new_event_loop()\n"
        "loop.create_task(coroutine(loop.create_future()))\n"
        "loop.run_until_complete(coroutine()); loop.close()",
        "",
        "",
        "Task was destroyed but it is pending",
    ),
    "warning": ("warnings.warn('odd', UserWarning)", "", "", "UserWarning: odd"),
    "service_absent": ("assert 0", "", "mysql_url", "skipped: Nothing answers at 127"),
    "service_listening": ("assert redis_url", "", "redis_url", ""),
    "children": (
        "import subprocess, sys\n"
        "code = 'import examples, tests, tornado_unblock as t; print(t.__file__)'\n"
        "out = subprocess.check_output([sys.executable, '-c', code], env=child_env)\n"
        "import tornado_unblock\n"
        "assert out.decode().strip() == tornado_unblock.__file__",
        "",
        "child_env",
        "",
    ),
}

UNITTEST_SAMPLES = """
class TestClass(AsyncHTTPTestCase):
    def get_app(self):
        return Application([("/", RequestHandler)])

    def test_attribute(self):
        with self.expect_log("tornado.access", "405 GET"):
            self.fetch("/")

    def test_tornado_way(self):
        with ExpectLog("tornado.access", "405 GET"):
            self.fetch("/")

    @pytest.mark.expect_log("tornado.access", "405 GET")
    def test_marker(self):
        self.fetch("/")

    def test_unannounced(self):
        self.fetch("/")

    @pytest.mark.expect_log("tornado.access", "405 GET")
    def test_skipped(self):
        self.skipTest("owes no log record")
"""


def write_samples(directory: Path) -> None:
    """Lay out a project with the real conftest and configuration."""
    tests = directory / "tests"
    tests.mkdir()
    (directory / "examples").mkdir()
    for name in ("conftest.py", "loops.py"):
        shutil.copy(ROOT / "tests" / name, tests)
    shutil.copy(ROOT / "setup.cfg", directory)
    source = PREAMBLE
    for name, (body, decorators, fixtures, _) in SAMPLES.items():
        indented = textwrap.indent(body, "    ")
        source += f"\n{decorators}\ndef test_{name}({fixtures}):\n{indented}\n"
    (tests / "test_samples.py").write_text(source + UNITTEST_SAMPLES)


def run_samples(directory: Path, *arguments: str, **environment: str) -> dict[str, str]:
    """Run the samples and return each one's complaints by name."""
    report = directory / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={report}"]
    unset = {"CI", "PYTHONASYNCIODEBUG"}
    inherited = {k: v for k, v in os.environ.items() if k not in unset}
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "tests", *arguments],
        cwd=directory,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    complaints: dict[str, str] = {}
    for case in ET.parse(report).iter("testcase"):
        texts = [
            f"{item.tag}: {item.get('message')}\n{item.text}"
            for item in case
            if item.tag in ("failure", "error", "skipped")
        ]
        name = case.get("name", "").replace("test_", "", 1)
        complaints[name] = complaints.get(name, "") + "\n".join(texts)
    return complaints


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    directory = tmp_path_factory.mktemp("samples")
    write_samples(directory)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return run_samples(
            directory,
            TORNADO_UNBLOCK_TEST_MYSQL="mysql://127.0.0.1:1/test",
            TORNADO_UNBLOCK_TEST_REDIS=f"redis://127.0.0.1:{listening.getsockname()[1]}",
        )


@pytest.mark.parametrize("name", SAMPLES)
def test_sample(complaints: dict[str, str], name: str) -> None:
    """A sample is charged with what it did, and only with that."""
    *_, expected = SAMPLES[name]
    if expected:
        assert expected in complaints[name]
    else:
        assert complaints[name] == ""


@pytest.mark.parametrize("name", ["attribute", "tornado_way", "marker"])
def test_unittest_classes_announce_logs(complaints: dict[str, str], name: str) -> None:
    """Each of the three ways lets the record pass."""
    assert complaints[name] == ""


def test_unittest_classes_are_watched(complaints: dict[str, str]) -> None:
    """A record nobody announced fails a test in an AsyncHTTPTestCase too."""
    assert "WARNING tornado.access: 405 GET" in complaints["unannounced"]


def test_skipped_tests_owe_no_logs(complaints: dict[str, str]) -> None:
    """What a test would have logged is not missed when it was skipped."""
    assert complaints["skipped"].startswith("skipped: owes no log record")


def test_child_processes_can_be_interrupted(child_env: dict[str, str]) -> None:
    """Also when the tests run in the background of a shell, which ignores SIGINT."""
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "import tests.conftest, subprocess, sys\n"
        "code = 'import signal; print(signal.getsignal(signal.SIGINT))'\n"
        "subprocess.run([sys.executable, '-c', code], check=True)\n"
    )
    command = [sys.executable, "-c", code]
    said = subprocess.check_output(command, env=child_env, text=True)
    assert "default_int_handler" in said


def test_absent_services_fail_in_ci(tmp_path: Path) -> None:
    """Where CI=true a service that does not answer is a failure, not a skip."""
    write_samples(tmp_path)
    complaints = run_samples(
        tmp_path,
        "-k=service_absent",
        CI="true",
        TORNADO_UNBLOCK_TEST_MYSQL="mysql://127.0.0.1:1/test",
    )
    assert complaints["service_absent"].startswith("error: ")
    assert "Nothing answers at 127.0.0.1:1" in complaints["service_absent"]
