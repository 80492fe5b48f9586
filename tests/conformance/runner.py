"""Run a test module of Tornado's with the bodies of its handlers moved to workers.

    python tests/conformance/runner.py --module tornado.test.web_test --mode method

The test modules of the installed Tornado are imported as they are. What a mode
changes, it changes in the handler classes the moment they come into being, nested
ones included, by way of ``RequestHandler.__init_subclass__``. That stays for the
life of the process, so each run needs a process of its own: `run_in_child`.

The exit status is 1 if a test failed. Environment variables say the rest, such as
``PYTHONASYNCIODEBUG=1``.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import functools
import importlib
import inspect
import json
import logging
import re
import subprocess
import sys
import threading
import unittest
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Optional, Union

import tornado
from tornado import gen
from tornado.httpclient import HTTPResponse
from tornado.testing import AsyncHTTPTestCase
from tornado.web import Application, RequestHandler

from tornado_unblock import testing, unblock, unblock_application

# It is run as a script.
sys.path.append(str(Path(__file__).resolve().parents[2]))

from tests.loops import on_uvloop, set_policy

VERBS = tuple(verb.lower() for verb in RequestHandler.SUPPORTED_METHODS)
#: How long a request may take to end once its client was let down.
PATIENCE_SECONDS = 1.0
#: What else Tornado awaits, so that it can be moved one method at a time.
AWAITED_HOOKS = ("prepare", "data_received", "open", "on_message")
#: What runs in a worker when the whole request does.
COUNTED = (
    *VERBS,
    *AWAITED_HOOKS,
    "get_current_user",
    "get_user_locale",
    "log_exception",
    "on_close",
    "on_finish",
    "write_error",
)

ExcInfo = Union[
    tuple[type[BaseException], BaseException, TracebackType], tuple[None, None, None]
]


@dataclasses.dataclass
class Report:
    """What came of one run."""

    module: str
    mode: str
    tornado: str = tornado.version
    #: Test -> "passed", "skipped", or the traceback of its failure.
    outcomes: dict[str, str] = dataclasses.field(default_factory=dict)
    #: Test -> what it logged, from WARNING on, and did not announce.
    logs: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    #: How many calls of the handlers' sync methods ran where.
    on_loop: int = 0
    on_worker: int = 0

    def failed(self) -> dict[str, str]:
        """Return the tests that failed, with their tracebacks."""
        fine = ("passed", "skipped")
        return {test: text for test, text in self.outcomes.items() if text not in fine}

    def passed(self) -> set[str]:
        """Return the tests that passed."""
        return {test for test, text in self.outcomes.items() if text == "passed"}

    def __str__(self) -> str:
        return (
            f"{self.module} of Tornado {self.tornado}, {self.mode}: "
            f"{len(self.outcomes)} tests, {len(self.passed())} passed, "
            f"{len(self.failed())} failed; {self.on_worker} bodies ran on workers, "
            f"{self.on_loop} on the loop thread"
        )


# --- modes --------------------------------------------------------------------


def runs_a_loop() -> bool:
    """Return whether this thread runs a loop; a body may only be shown that it does."""
    frame: Any = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name in ("run_forever", "run_until_complete"):
            return True
        frame = frame.f_back
    # uvloop's have no frames.
    if not on_uvloop() or threading.current_thread().name.startswith("unblock-"):
        return False
    return asyncio._get_running_loop() is not None


class Bodies:
    """Counts where bodies run."""

    def __init__(self) -> None:
        # One item a call, appended by any thread: whether it ran a loop.
        self._on_loop: list[bool] = []

    def on_loop(self) -> int:
        """Return how many ran where a loop runs."""
        return self._on_loop.count(True)

    def on_workers(self) -> int:
        """Return how many ran elsewhere."""
        return self._on_loop.count(False)

    def counted(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``fn`` with its calls counted."""

        @functools.wraps(fn)
        def body(*args: Any, **kwargs: Any) -> Any:
            self._on_loop.append(runs_a_loop())
            return fn(*args, **kwargs)

        return body


def sync_methods(
    cls: type[RequestHandler], names: Iterable[str]
) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the methods among ``names`` that ``cls`` itself, or a mixin, defines."""
    for name in names:
        for base in cls.__mro__:
            if base is not cls and issubclass(base, RequestHandler):
                break  # it has been here itself
            fn = vars(base).get(name)
            if inspect.isfunction(fn):
                if not (
                    inspect.iscoroutinefunction(fn) or gen.is_coroutine_function(fn)
                ):
                    yield name, fn
                break


def on_each_handler(change: Callable[[type[RequestHandler]], None]) -> None:
    """Have ``change`` called with each handler class of Tornado's tests, when made."""

    def __init_subclass__(cls: type[RequestHandler], **kwargs: Any) -> None:
        super(RequestHandler, cls).__init_subclass__(**kwargs)
        if cls.__module__.startswith("tornado.test."):
            change(cls)

    RequestHandler.__init_subclass__ = classmethod(  # type: ignore[assignment]
        __init_subclass__
    )


def patient_tests() -> None:
    """Have the requests end where a test relies on it that inline they have ended.

    The client shares the body's loop, so inline it sees the last byte, or the
    connection's end, when the body has ended: a fetch whose connection was closed
    waits for that, and so does a test before its loop is closed.
    """
    own = AsyncHTTPTestCase.fetch

    def fetch(self: AsyncHTTPTestCase, *args: Any, **kwargs: Any) -> HTTPResponse:
        closed = True
        try:
            response = own(self, *args, **kwargs)
            closed = response.code == 599
        finally:
            if closed:
                self.io_loop.run_sync(requests_end)
        return response

    end = AsyncHTTPTestCase.tearDown

    def tearDown(self: AsyncHTTPTestCase) -> None:
        self.io_loop.run_sync(requests_end)
        end(self)

    AsyncHTTPTestCase.fetch = fetch  # type: ignore[method-assign]
    AsyncHTTPTestCase.tearDown = tearDown  # type: ignore[method-assign]


async def requests_end(timeout: float = PATIENCE_SECONDS) -> None:
    """Wait for the requests that are worked on."""
    tasks = [
        task
        for task in asyncio.all_tasks()
        if getattr(task.get_coro(), "__name__", "") == RequestHandler._execute.__name__
    ]
    if tasks:
        await asyncio.wait(tasks, timeout=timeout)


def inline(bodies: Bodies) -> None:
    """Change nothing, and count."""

    def change(cls: type[RequestHandler]) -> None:
        for name, fn in sync_methods(cls, VERBS):
            setattr(cls, name, bodies.counted(fn))

    on_each_handler(change)


def by_method(names: Iterable[str], bodies: Bodies) -> None:
    """Put ``@unblock`` on each sync method among ``names``."""
    patient_tests()

    def change(cls: type[RequestHandler]) -> None:
        for name, fn in sync_methods(cls, names):
            setattr(cls, name, unblock(bodies.counted(fn)))

    on_each_handler(change)


def by_class(bodies: Bodies) -> None:
    """Put ``@unblock`` on each class."""
    patient_tests()

    def change(cls: type[RequestHandler]) -> None:
        for name, fn in sync_methods(cls, COUNTED):
            setattr(cls, name, bodies.counted(fn))
        unblock(cls)

    on_each_handler(change)


def by_application(bodies: Bodies) -> None:
    """Unblock each application as a whole, and no class."""
    patient_tests()
    own = Application.__init__

    @functools.wraps(own)
    def __init__(self: Application, *args: Any, **kwargs: Any) -> None:
        own(self, *args, **kwargs)
        unblock_application(self)

    def change(cls: type[RequestHandler]) -> None:
        for name, fn in sync_methods(cls, COUNTED):
            setattr(cls, name, bodies.counted(fn))

    Application.__init__ = __init__  # type: ignore[method-assign]
    on_each_handler(change)


def naive(bodies: Bodies) -> None:
    """Run verbs on an executor, and no more: what a run must find fault with."""

    def offloaded(fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def call(*args: Any, **kwargs: Any) -> Any:
            body = functools.partial(fn, *args, **kwargs)
            return asyncio.get_running_loop().run_in_executor(None, body)

        return call

    def change(cls: type[RequestHandler]) -> None:
        for name, fn in sync_methods(cls, VERBS):
            setattr(cls, name, offloaded(bodies.counted(fn)))

    on_each_handler(change)


MODES: dict[str, Callable[[Bodies], None]] = {
    "inline": inline,
    "method": functools.partial(by_method, VERBS),
    "hooks": functools.partial(by_method, VERBS + AWAITED_HOOKS),
    "class": by_class,
    "application": by_application,
    "naive": naive,
}


# --- running ------------------------------------------------------------------


class Result(unittest.TestResult):
    """Puts each test's outcome and unexpected log records into a report."""

    def __init__(self, report: Report, records: Records) -> None:
        super().__init__()
        self.report, self.records = report, records

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.records.messages = []

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        self.report.outcomes.setdefault(test.id(), "passed")
        if self.records.messages:
            self.report.logs[test.id()] = self.records.messages

    def addError(self, test: unittest.TestCase, err: ExcInfo) -> None:
        super().addError(test, err)
        self.report.outcomes[test.id()] = self.errors[-1][1]

    def addFailure(self, test: unittest.TestCase, err: ExcInfo) -> None:
        super().addFailure(test, err)
        self.report.outcomes[test.id()] = self.failures[-1][1]

    def addSubTest(
        self, test: unittest.TestCase, subtest: Any, err: Optional[ExcInfo]
    ) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.report.outcomes[test.id()] = (self.errors + self.failures)[-1][1]

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self.report.outcomes[test.id()] = "skipped"


class Records(logging.Handler):
    """Keeps what is logged from WARNING on."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = f"{record.levelname} {record.name}: {record.getMessage()}"
        self.messages.append(message)


def is_no_remark(record: logging.LogRecord) -> bool:
    """Tell whether a record is about more than how long something took."""
    message = record.getMessage()
    return re.fullmatch(r"Executing .* took \d+\.\d+ seconds", message) is None


def run(module: str, mode: str) -> Report:
    """Run the tests of ``module`` in this process, once in its life."""
    report, bodies, records = Report(module, mode), Bodies(), Records()
    MODES[mode](bodies)
    logging.getLogger().addHandler(records)
    # asyncio's debug mode remarks on slow callbacks: load, not behaviour.
    logging.getLogger("asyncio").addFilter(is_no_remark)
    # As Tornado's own runner has it.
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)
    warnings.filterwarnings("error")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=PendingDeprecationWarning)
    importlib.import_module(module)
    suite = unittest.defaultTestLoader.loadTestsFromName(module)
    suite.run(Result(report, records))
    testing.reset()
    report.on_loop = bodies.on_loop()
    report.on_worker = bodies.on_workers()
    return report


def run_in_child(module: str, mode: str, env: Mapping[str, str]) -> Report:
    """Run the tests of ``module`` in a process of their own."""
    command = [sys.executable, __file__, "--module", module, "--mode", mode, "--json"]
    done = subprocess.run(
        command,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    *_, last = done.stdout.splitlines() or [""]
    try:
        return Report(**json.loads(last))
    except (TypeError, ValueError):
        raise RuntimeError(
            f"{module}, {mode}: no report, exit status {done.returncode}\n{done.stdout}"
        ) from None


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--module", default="tornado.test.web_test")
    parser.add_argument("--mode", choices=sorted(MODES), default="method")
    parser.add_argument("--json", action="store_true", help="print the whole report")
    options = parser.parse_args()
    set_policy()
    report = run(options.module, options.mode)
    if options.json:
        print(json.dumps(dataclasses.asdict(report)))
    else:
        for test, text in {**report.failed(), **report.logs}.items():
            print(f"{test}\n{text}")
        print(report)
    return 1 if report.failed() else 0


if __name__ == "__main__":
    sys.exit(main())
