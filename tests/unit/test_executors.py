"""Executors by name: made on first use, with options from the code and beyond."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import json
import math
import os
import subprocess
import sys
import threading
from typing import Any

import pytest

from tornado_unblock import ConfigurationError, configure, run_in_executor, testing
from tornado_unblock._executors import (
    Options,
    executors,
    get_executor,
    json_encoder,
    options_of,
)
from tornado_unblock._workers import WorkerExecutor

WAIT = 10.0


def options(name: str = "default") -> Options:
    return options_of(get_executor(name))


def test_defaults():
    """They are what the documentation of `configure` says."""
    assert dataclasses.asdict(options()) == {
        "max_workers": 50,
        "max_waiting": 1000,
        "queue_timeout": 30.0,
        "timeout": None,
        "timeout_status": 504,
        "max_route_share": 0.8,
    }
    assert get_executor().max_workers == 50


def test_configured_before_use():
    """Options are set one by one, in one call or in several."""
    configure(max_workers=7)
    configure(timeout=1.5, queue_timeout=None)
    configure("reports", max_waiting=0, max_route_share=1)
    assert options() == Options(max_workers=7, timeout=1.5, queue_timeout=None)
    assert get_executor().max_workers == 7
    assert options("reports") == Options(max_waiting=0, max_route_share=1)


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


@pytest.mark.parametrize(
    ("option", "values", "message"),
    [
        ("max_workers", [0, -1, 1.5, "7", None, True], "whole number from 1 on"),
        ("max_waiting", [-1, 0.5, "7", None, False], "whole number from 0 on"),
        ("timeout", [0, -1, "7", True, math.nan], "positive number of seconds or None"),
        ("queue_timeout", [0, -0.5, "7", [], math.nan], "seconds or None"),
        ("timeout_status", [399, 600, 504.0, "504", None], "from 400 to 599"),
        ("max_route_share", [0, -1, 1.01, "1", None, True, math.nan], "at most 1"),
    ],
)
def test_bad_values(option, values, message):
    """Each is refused with its name and what it must be, and changes nothing."""
    for value in values:
        with pytest.raises(ConfigurationError, match=f"^{option} must be .*{message}"):
            configure(**{option: value})
    assert options() == Options()


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("max_workers", [1, 5000]),
        ("max_waiting", [0, 10**6]),
        ("timeout", [None, 1, 0.001, math.inf]),
        ("queue_timeout", [None, 1, 0.001]),
        ("timeout_status", [400, 599, 503]),
        ("max_route_share", [0.001, 0.5, 1, 1.0]),
    ],
)
def test_good_values(option, values):
    """The bounds themselves are allowed."""
    for value in values:
        configure(**{option: value})
    assert getattr(options(), option) == values[-1]


def test_unknown_option():
    """A misspelt name is refused with those there are."""
    with pytest.raises(
        ConfigurationError,
        match=r"no option 'workers'; it takes json_encoder, max_workers, max_waiting, "
        "queue_timeout, timeout, timeout_status, max_route_share$",
    ):
        configure(workers=7, timeout=1.0)
    assert options() == Options()


def test_errors_are_value_errors():
    """Code that knows nothing of the library can catch them."""
    with pytest.raises(ValueError, match="max_workers"):
        configure(max_workers=0)


@pytest.mark.parametrize(
    ("executor", "variable", "text", "option", "value"),
    [
        ("default", "MAX_WORKERS", "80", "max_workers", 80),
        ("default", "MAX_WAITING", "0", "max_waiting", 0),
        ("default", "TIMEOUT", "1.5", "timeout", 1.5),
        ("default", "TIMEOUT", "None", "timeout", None),
        ("default", "QUEUE_TIMEOUT", "none", "queue_timeout", None),
        ("default", "TIMEOUT_STATUS", "503", "timeout_status", 503),
        ("default", "MAX_ROUTE_SHARE", "1", "max_route_share", 1.0),
        ("reports", "REPORTS_MAX_WORKERS", "4", "max_workers", 4),
        ("pdf-reports.2", "PDF_REPORTS_2_TIMEOUT", "4", "timeout", 4.0),
    ],
)
def test_environment(monkeypatch, executor, variable, text, option, value):
    """It overrides what the code says, for the executor that it names."""
    configure(executor, max_workers=3, timeout=9.0, queue_timeout=9.0)
    monkeypatch.setenv(f"TORNADO_UNBLOCK_{variable}", text)
    assert getattr(options(executor), option) == value
    assert options("another") == Options()


def test_environment_leaves_the_rest():
    """What it does not name stays as configured."""
    configure(max_waiting=7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORNADO_UNBLOCK_MAX_WORKERS", "80")
        assert options() == Options(max_workers=80, max_waiting=7)
    assert options().max_workers == 80


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("MAX_WORKERS", "many", "TORNADO_UNBLOCK_MAX_WORKERS='many' is not a number"),
        ("MAX_WORKERS", "1.5", "MAX_WORKERS='1.5' is not a number"),
        ("MAX_WORKERS", "none", "MAX_WORKERS='none' is not a number"),
        ("MAX_ROUTE_SHARE", "", "MAX_ROUTE_SHARE='' is not a number"),
        ("MAX_WORKERS", "0", "max_workers must be"),
        ("TIMEOUT", "-1", "timeout must be"),
        ("MAX_ROUTE_SHARE", "80", "max_route_share must be"),
    ],
)
def test_bad_environment(monkeypatch, variable, text, message):
    """It is refused on first use, and can be put right."""
    with monkeypatch.context() as patch:
        patch.setenv(f"TORNADO_UNBLOCK_{variable}", text)
        with pytest.raises(ConfigurationError, match=message):
            get_executor()
    assert executors() == {}
    assert options() == Options()


def test_named_executors_are_separate():
    """Each has its own threads, named after it, and is made once."""
    reports, default = get_executor("reports"), get_executor()
    assert reports is get_executor("reports") is not default
    assert executors() == {"reports": reports, "default": default}
    for name, executor in executors().items():
        thread = executor.submit(threading.current_thread).result(WAIT)
        assert thread.name == f"unblock-{name}-1"


def test_made_once_for_many_threads():
    """The first use may be in several threads at once."""
    barrier = threading.Barrier(8)
    made: list[Any] = []

    def use() -> None:
        barrier.wait(WAIT)
        made.append(get_executor("shared"))

    threads = [threading.Thread(target=use) for _ in range(8)]
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


@pytest.mark.xfail(reason="the encoder is set before the options are looked at")
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
from tornado_unblock import _executors, configure

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
