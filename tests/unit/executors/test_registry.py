"""Executors by name: made on first use, each with options of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import os
import subprocess
import sys
import threading
from typing import Any

import pytest
from tornado.web import Application, RequestHandler

from tests.patience import WAIT
from tornado_unblock import (
    ConfigurationError,
    configure,
    run_in_executor,
    testing,
    unblock,
    unblock_application,
)
from tornado_unblock._executors import registry as _executors
from tornado_unblock._executors.registry import (
    Options,
    executor_name,
    executors,
    get_executor,
    is_named,
    json_encoder,
    options_of,
    thread_count,
)
from tornado_unblock._executors.threads import WorkerExecutor


def options(name: str = "default") -> Options:
    return options_of(get_executor(name))


def test_configured_before_use():
    """Options are set one by one, in one call or in several."""
    configure(max_workers=7)
    configure(timeout=1.5, queue_timeout=None)
    configure("reports", max_waiting=0, max_endpoint_share=1)
    assert options() == Options(max_workers=7, timeout=1.5, queue_timeout=None)
    assert get_executor().max_workers == 7
    assert options("reports") == Options(max_waiting=0, max_endpoint_share=1)


def test_configured_after_use():
    """It comes too late, and says so; other executors are not affected."""
    get_executor()
    with pytest.raises(ConfigurationError, match="'default' is in use already"):
        configure(max_workers=7)
    configure("reports", max_workers=7)
    configure()
    assert get_executor("reports").max_workers == 7


def test_configured_before_the_first_request():
    """What configures an executor holds for what runs on it."""
    configure("reports", max_workers=1)

    async def main() -> set[int]:
        jobs = [
            run_in_executor(threading.get_ident, executor="reports") for _ in range(9)
        ]
        return {await job for job in jobs}

    assert len(asyncio.run(main())) == 1


def test_named_executors_are_separate():
    """Each has its own threads, named after it, and is made once."""
    reports, default = get_executor("reports"), get_executor()
    assert reports is get_executor("reports") is not default
    assert executors() == {"reports": reports, "default": default}
    for name, executor in executors().items():
        thread = executor.submit(threading.current_thread).result(WAIT)
        assert thread.name == f"unblock-{name}-1"


class SlowRegistry(dict):  # type: ignore[type-arg]
    """A registry in which eight threads look at the same moment, and then again."""

    def __init__(self) -> None:
        self.barrier, self.seen = threading.Barrier(8), set()

    def get(self, key: str) -> Any:
        value = super().get(key)
        if threading.get_ident() not in self.seen:
            self.seen.add(threading.get_ident())
            self.barrier.wait(WAIT)
        return value


def test_made_once_for_many_threads(monkeypatch):
    """The first use may be in several threads at once."""
    monkeypatch.setattr(_executors, "_executors", SlowRegistry())
    made: list[Any] = []
    threads = [
        threading.Thread(target=lambda: made.append(get_executor("shared")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert len(made) == 8
    assert len(set(made)) == 1


class NoPool(concurrent.futures.Executor):
    """An executor that says nothing about its size."""


def test_options_of_foreign_executors():
    """They have the defaults, and as many tokens as they say they have workers."""
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        assert options_of(pool) == Options(max_workers=3)
    assert options_of(NoPool()) == Options()
    assert options_of(WorkerExecutor(4, "unknown")) == Options(max_workers=4)


def test_names_and_threads():
    """What errors and statistics say of an executor, foreign ones included."""
    reports = get_executor("reports")
    assert (executor_name(reports), is_named(reports)) == ("reports", True)
    assert thread_count(reports) == 0
    assert reports.submit(thread_count, reports).result(WAIT) == 1
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        assert (executor_name(pool), is_named(pool)) == ("ThreadPoolExecutor", False)
        pool.submit(int).result(WAIT)
        assert thread_count(pool) == 1
    assert (executor_name(NoPool()), thread_count(NoPool())) == ("NoPool", None)
    assert not is_named(WorkerExecutor(1, "reports"))


def test_json_encoder():
    """One for the process, changed at any time."""
    get_executor()
    assert json_encoder()({"a": "</"}) == '{"a": "<\\/"}'
    configure(json_encoder=json.dumps)
    assert json_encoder() is json.dumps
    configure("reports", max_workers=2)
    assert json_encoder() is json.dumps
    with pytest.raises(ConfigurationError, match="must be callable, not 'json'"):
        configure(json_encoder="json")  # type: ignore[arg-type]
    assert json_encoder() is json.dumps


def test_configure_does_all_or_nothing():
    """What is refused has changed nothing, the encoder included."""
    before = json_encoder()
    with pytest.raises(ConfigurationError):
        configure(json_encoder=json.dumps, max_workers=0)
    assert json_encoder() is before


def test_reset():
    """It ends all threads, and all is as before the first use."""
    configure("reports", max_workers=7, json_encoder=json.dumps)
    executor = get_executor("reports")
    thread = executor.submit(threading.current_thread).result(WAIT)
    testing.reset()
    assert not thread.is_alive()
    assert executors() == {}
    assert json_encoder() is not json.dumps
    with pytest.raises(RuntimeError, match="'reports' is shut down"):
        executor.submit(int)
    configure("reports", timeout=1.0)
    assert options("reports") == Options(timeout=1.0)
    assert get_executor("reports") is not executor


FORK = """
import os
from tornado_unblock import configure
from tornado_unblock._executors import registry as _executors

configure(max_workers=3)
assert _executors.get_executor().submit(int).result(10) == 0
with _executors._lock:
    child = os.fork()
    if not child:
        configure("reports", max_workers=2)
        for name, workers in ("default", 3), ("reports", 2):
            executor = _executors.get_executor(name)
            assert executor.max_workers == workers
            assert executor.submit(int, "7").result(10) == 7
        os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork")
def test_fork(child_env, tmp_path):
    """A child has the same executors and options, whatever was held at the time."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK]
    subprocess.run(command, env=child_env, cwd=tmp_path, check=True, timeout=3 * WAIT)


def test_misspelt_name():
    """It is told with the one that was meant; others may be called as they like."""
    configure("reports", max_workers=2)
    configure("db1", max_workers=2)
    with pytest.warns(UserWarning, match="executor 'reprots'.*did you mean 'reports'"):
        get_executor("reprots")
    get_executor("reports")
    get_executor("db2")
    get_executor("mail")


def test_strict():
    """A name for which nothing is configured is an error then, wherever it is used."""
    configure("reports", max_workers=2)
    configure("mail")
    configure(strict=True)
    meant = r"'reprots'; did you mean 'reports'\? With configure\(strict=True\)"
    with pytest.raises(ConfigurationError, match=meant):
        get_executor("reprots")
    with pytest.raises(ConfigurationError, match=r"for executor 'x'\. With"):
        get_executor("x")
    with pytest.raises(ConfigurationError, match=meant):
        unblock(executor="reprots")
    for name in ("default", "reports", "mail"):
        unblock(executor=name)
        assert options(name) is not None
    configure(strict=False)
    assert options("other") == Options()
    unblock(executor="reprots")


def test_strict_about_what_was_decorated_before():
    """`unblock_application` looks at the classes and methods of its routes."""

    class Handler(RequestHandler):
        @unblock(executor="reprots")
        def get(self) -> None:
            """Serve."""

    @unblock(executor="reprots")
    class Other(RequestHandler):
        pass

    configure(strict=True)
    for cls in (Handler, Other):
        with pytest.raises(ConfigurationError, match=r"'reprots'\. With"):
            unblock_application(Application([("/", cls)]))
    configure("reprots", max_workers=2)
    unblock_application(Application([("/", Handler)]))


def test_name_that_the_environment_configures(monkeypatch):
    """It is meant."""
    configure("reports", max_workers=2)
    monkeypatch.setenv("TORNADO_UNBLOCK_REPORT_MAX_WORKERS", "3")
    configure(strict=True)
    unblock(executor="report")
    assert get_executor("report").max_workers == 3
