"""Tornado's own tests pass with the bodies of their handlers on workers."""

from __future__ import annotations

import importlib.util
from typing import Callable

import pytest
import tornado

from tests.conformance.runner import Report, run_in_child

WEB_TEST = "tornado.test.web_test"
LATEST = tornado.version_info >= (6, 6)
#: Mode -> how many bodies of web_test it moves at least, latest and lowest Tornado.
BODIES = {
    "method": (200, 170),
    "hooks": (230, 190),
    "class": (240, 200),
    "application": (240, 200),
}
#: Module -> bodies that it moves at least, in the oldest Tornado that has it.
OTHERS = {
    "auth_test": 20,
    "circlerefs_test": 3,
    "httpclient_test": 80,
    "httpserver_test": 65,
    "routing_test": 4,
    "security_corpus_test": 30,
    "simple_httpclient_test": 150,
    "websocket_test": 2,
}
#: These take their time, or are not ready for it: by method only.
BY_METHOD_ONLY = {"httpclient_test", "simple_httpclient_test", "websocket_test"}
INSTALLED = [
    pytest.param(f"tornado.test.{name}", mode, bodies, id=f"{name}-{mode}")
    for name, bodies in OTHERS.items()
    for mode in ("method", "class", "application")
    if importlib.util.find_spec(f"tornado.test.{name}") is not None
    and (mode == "method" or name not in BY_METHOD_ONLY)
]

Run = Callable[[str, str], Report]


def runs_with(env: dict[str, str]) -> Run:
    """Return what runs a module in a mode, once."""
    reports: dict[tuple[str, str], Report] = {}

    def run(module: str, mode: str) -> Report:
        if (module, mode) not in reports:
            report = reports[module, mode] = run_in_child(module, mode, env)
            print(report)
        return reports[module, mode]

    return run


@pytest.fixture(scope="module", params=["", "1"], ids=["plain", "debug"])
def run(request: pytest.FixtureRequest, child_env: dict[str, str]) -> Run:
    return runs_with({**child_env, "PYTHONASYNCIODEBUG": request.param})


@pytest.fixture(scope="module")
def run_as_we_are(child_env: dict[str, str]) -> Run:
    return runs_with(child_env)


def only_unblocked(
    unblocked: Report, run: Run
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return what failed, and what was logged, unblocked but not inline."""
    if not unblocked.failed() and not unblocked.logs:
        return {}, {}
    passed = run(unblocked.module, "inline").passed()
    failed = {test: text for test, text in unblocked.failed().items() if test in passed}
    logged = {test: said for test, said in unblocked.logs.items() if test in passed}
    return failed, logged


@pytest.mark.parametrize("mode", BODIES)
def test_what_passes_inline_passes_unblocked(mode: str, run: Run) -> None:
    """Each test of web_test without exception, and nothing more is logged."""
    unblocked = run(WEB_TEST, mode)
    assert only_unblocked(unblocked, run) == ({}, {})
    assert len(unblocked.passed()) >= (265 if LATEST else 180)


@pytest.mark.parametrize("mode", BODIES)
def test_bodies_ran_on_workers(mode: str, run: Run) -> None:
    """The sync methods of the tests' handlers ran on workers, and none inline."""
    unblocked = run(WEB_TEST, mode)
    latest, lowest = BODIES[mode]
    assert unblocked.on_loop == 0
    assert unblocked.on_worker >= (latest if LATEST else lowest)


def test_the_same_bodies_run_inline(run: Run) -> None:
    """Where they run does not change how many run."""
    inline = run(WEB_TEST, "inline")
    assert inline.on_worker == 0
    assert inline.on_loop == run(WEB_TEST, "method").on_worker


@pytest.mark.parametrize(("module", "mode", "bodies"), INSTALLED)
def test_other_modules(module: str, mode: str, bodies: int, run_as_we_are: Run) -> None:
    """The other test modules with sync handlers pass as they do inline."""
    unblocked = run_as_we_are(module, mode)
    assert only_unblocked(unblocked, run_as_we_are) == ({}, {})
    assert unblocked.on_worker >= bodies


def test_faults_are_found(run_as_we_are: Run) -> None:
    """The naive way to move a body, to an executor and no more, does not pass."""
    naive = run_as_we_are(WEB_TEST, "naive")
    assert naive.on_worker > 150
    assert len(naive.failed()) > 10


def test_a_run_that_breaks_off_says_why(child_env: dict[str, str]) -> None:
    """What a child printed is shown if it could not report."""
    with pytest.raises(RuntimeError, match=r"No module named 'tornado.test.none'"):
        run_in_child("tornado.test.none", "inline", child_env)
