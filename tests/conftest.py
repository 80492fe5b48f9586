"""What every test runs under, and the fixtures that all of them share.

A test fails, besides its own assertions, when it leaves behind
    - a log record of level WARNING or above that it did not announce
      (``expect_log``, ``allow_log``, or ``tornado.testing.ExpectLog``),
    - a thread that was not there before (``allow_threads``),
    - a coroutine nobody awaited, an unclosed socket or file, or any other warning or
      exception nobody handled: warnings are errors (setup.cfg), and the garbage is
      collected while the test still answers for it.

Services are reached by URLs from the environment; a test that needs one which does
not answer is skipped, or fails where CI=true.
"""

from __future__ import annotations

import gc
import logging
import os
import re
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

import hypothesis
import pytest
import tornado
from tornado.testing import AsyncTestCase

from tests.loops import set_policy
from tornado_unblock import testing
from tornado_unblock._handlers.one_context import share_contexts

# Before a test puts something of its own around Tornado's `_execute`, for a while.
share_contexts()

ROOT = Path(__file__).resolve().parents[1]
IN_CI = os.environ.get("CI", "").lower() == "true"
#: How long threads that are on their way out may take to get there.
THREAD_GRACE_SECONDS = 5.0
#: Never a test's fault: pytest-timeout's own thread, where it uses one.
ALLOWED_THREADS = (r"pytest_timeout ",)
#: asyncio's debug mode remarks on callbacks slower than 0.1 s: load, not behaviour.
SLOW_TURN = r"^Executing .* took \d+\.\d+ seconds$"
ALLOWED_LOGS = (("asyncio", SLOW_TURN),)

# Examples and helpers are imported from the tree, the library from where it was
# installed: hence the end of the path, not its start.
sys.path.append(str(ROOT))

# Time is not a property of the code on a shared machine, and a run must repeat.
hypothesis.settings.register_profile("tests", deadline=None, derandomize=IN_CI)
hypothesis.settings.load_profile("tests")

set_policy()

if tornado.version_info < (6, 4, 1):
    # To collect a unittest class, pytest makes an instance that has no test method;
    # older Tornado looks that method up.
    _tornado_init = AsyncTestCase.__init__

    def _init(self: AsyncTestCase, methodName: str = "runTest") -> None:
        if not hasattr(self, methodName):
            setattr(self, methodName, None)
        _tornado_init(self, methodName)

    AsyncTestCase.__init__ = _init

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a shell starts what runs in its background. Child processes of the tests are
    # sent the signal, and would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

_passed = pytest.StashKey[bool]()


def pytest_collection_finish() -> None:
    # What exists by now stays: leave it out of the collection after every test.
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[None]:
    report = yield
    if call.when == "call":
        item.stash[_passed] = report.passed
    # What a test prints or logs may be no UTF-8; reports of parallel runs have to be.
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode())
        for name, text in report.sections
    ]
    return report


# -- logging -----------------------------------------------------------------------


class Expectation:
    """Records that are announced; as a context manager, only until its end."""

    def __init__(self, logger: str, pattern: str, level: int | None, required: bool):
        self.logger = logger
        self.pattern = re.compile(pattern)
        self.level = level
        self.required = required
        self.active = True
        self.messages: list[str] = []

    def takes(self, record: logging.LogRecord, message: str) -> bool:
        """Tell whether the record is one of these, and keep its message if so."""
        if (
            not self.active
            or not self._covers(record.name)
            or self.level not in (None, record.levelno)
            or not self.pattern.search(message)
        ):
            return False
        self.messages.append(message)
        return True

    def _covers(self, name: str) -> bool:
        return self.logger in ("", name) or name.startswith(f"{self.logger}.")

    def __str__(self) -> str:
        return f"{self.logger or 'any logger'}: {self.pattern.pattern!r}"

    def __enter__(self) -> Expectation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.active = False
        if kind is None and self.required and not self.messages:
            raise AssertionError(f"Nothing was logged that matches {self}")


class LogWatch(logging.Handler):
    """Sorts the records of a test into announced and unexpected ones."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.expectations = [
            Expectation(*allowed, level=None, required=False)
            for allowed in ALLOWED_LOGS
        ]
        self.unexpected: list[str] = []

    def expect(
        self, logger: str, pattern: str, *, level: int | None = None
    ) -> Expectation:
        """Announce records that must come.

        Args:
            logger: The logger's name, or that of one above it; "" for any logger.
            pattern: A regular expression to find in the formatted message.
            level: The exact level; any from WARNING on if not given.

        Returns:
            The expectation, usable in a ``with`` statement. Without one it holds,
            and is owed, until the test ends.
        """
        return self._add(Expectation(logger, pattern, level, required=True))

    def allow(
        self, logger: str, pattern: str, *, level: int | None = None
    ) -> Expectation:
        """Announce records that may come. Arguments are those of ``expect``."""
        return self._add(Expectation(logger, pattern, level, required=False))

    def _add(self, expectation: Expectation) -> Expectation:
        self.expectations.append(expectation)
        return expectation

    def emit(self, record: logging.LogRecord) -> None:  # any thread; under its lock
        message = record.getMessage()
        if any(e.takes(record, message) for e in reversed(self.expectations)):
            return
        if record.exc_info:
            trace = "".join(traceback.format_exception(*record.exc_info))
            message = f"{message}\n{trace}"
        self.unexpected.append(f"{record.levelname} {record.name}: {message}")

    def complaints(self, owed: bool) -> list[str]:
        """Return what is wrong; missing records count only if they are owed."""
        found = [f"Unexpected log record: {text}" for text in self.unexpected]
        if owed:
            found += [
                f"Nothing was logged that matches {expectation}"
                for expectation in self.expectations
                if expectation.required
                and expectation.active
                and not expectation.messages
            ]
        return found


@pytest.fixture(autouse=True)
def log_watch(request: pytest.FixtureRequest) -> Iterator[LogWatch]:
    """Fail the test on log records nobody announced. First to start, last to end."""
    watch = LogWatch()
    for marker in request.node.iter_markers("expect_log"):
        watch.expect(*marker.args, **marker.kwargs)
    for marker in request.node.iter_markers("allow_log"):
        watch.allow(*marker.args, **marker.kwargs)
    root = logging.getLogger()
    root.addHandler(watch)
    yield watch
    root.removeHandler(watch)
    complaints = watch.complaints(owed=request.node.stash.get(_passed, False))
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)


@pytest.fixture
def expect_log(log_watch: LogWatch):
    """Announce log records from inside a test function; see ``LogWatch.expect``.

    In unittest classes use the ``expect_log`` marker, ``self.expect_log`` (every test
    has it) or ``tornado.testing.ExpectLog``.
    """
    return log_watch.expect


@pytest.fixture
def allow_log(log_watch: LogWatch):
    """Announce log records that may or may not come; see ``LogWatch.allow``."""
    return log_watch.allow


@pytest.fixture(autouse=True)
def _logs_in_unittest_classes(
    request: pytest.FixtureRequest, log_watch: LogWatch
) -> None:
    if request.cls is not None and request.instance is not None:
        request.instance.expect_log = log_watch.expect
        request.instance.allow_log = log_watch.allow


# -- what a test may leave behind --------------------------------------------------


@pytest.fixture(autouse=True)
def no_loose_ends(log_watch: LogWatch) -> Iterator[None]:
    """Collect the garbage, so that what was forgotten speaks up in its own test."""
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def no_leaked_threads(
    request: pytest.FixtureRequest, no_loose_ends: None
) -> Iterator[None]:
    """Let the library's workers go, then fail on any other thread that stayed."""
    before = set(threading.enumerate())
    yield
    testing.reset()
    patterns = list(ALLOWED_THREADS)
    for marker in request.node.iter_markers("allow_threads"):
        patterns += marker.args
    leaked = [
        thread
        for thread in threading.enumerate()
        if thread not in before
        and not any(re.match(pattern, thread.name) for pattern in patterns)
    ]
    deadline = time.monotonic() + THREAD_GRACE_SECONDS
    complaints = [_where(t) for t in leaked if not _ended(t, deadline)]
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)


def _ended(thread: threading.Thread, deadline: float) -> bool:
    if isinstance(thread, threading._DummyThread):
        return True  # not started by threading: nothing here can tell or wait
    thread.join(max(0.0, deadline - time.monotonic()))
    return not thread.is_alive()


def _where(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    stack = "".join(traceback.format_stack(frame)) if frame else ""
    return f"Thread {thread.name!r} outlived its test:\n{stack}"


# -- the world outside -------------------------------------------------------------


@pytest.fixture(scope="session")
def child_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment in which a child process imports what the tests import.

    The examples are found and the library is the installed one, provided that the
    child's working directory is not the tree.
    """
    directory = tmp_path_factory.mktemp("path")
    for name in ("benchmarks", "examples", "tests"):
        (directory / name).symlink_to(ROOT / name, target_is_directory=True)
    return {**os.environ, "PYTHONPATH": str(directory)}


@pytest.fixture(scope="session")
def mysql_url() -> str:
    return _service("MYSQL", "mysql://root@127.0.0.1:3306/test")


@pytest.fixture(scope="session")
def postgresql_url() -> str:
    return _service("POSTGRESQL", "postgresql://root@127.0.0.1:5432/test")


@pytest.fixture(scope="session")
def redis_url() -> str:
    return _service("REDIS", "redis://127.0.0.1:6379/0")


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    return _service("RABBITMQ", "amqp://guest:guest@127.0.0.1:5672")


def _service(kind: str, default: str) -> str:
    """Return the service's URL, or end the test if nothing listens there."""
    variable = f"TORNADO_UNBLOCK_TEST_{kind}"
    url = os.environ.get(variable, default)
    target = urlsplit(url)
    port = target.port or urlsplit(default).port
    try:
        socket.create_connection((target.hostname, port), timeout=3).close()
    except OSError as error:
        reason = (
            f"Nothing answers at {target.hostname}:{port} ({error}). Start {kind},"
            f" or set {variable} to the URL of one."
        )
        if IN_CI:
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return url
