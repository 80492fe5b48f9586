"""Tornado's own tests pass with the bodies of their handlers on workers."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

import pytest
import tornado

from tests.conformance.runner import Report, run_in_child

WEB_TEST = "tornado.test.web_test"
LATEST = tornado.version_info >= (6, 6)
#: Test -> why it cannot pass under asyncio's debug mode. Inline they all pass.
FAIL_IN_DEBUG_MODE: dict[str, str] = {
    f"{WEB_TEST}.StreamingRequestBodyTest.test_streaming_body": (
        "its body completes a Future of the loop's by itself, and asyncio in debug "
        "mode forbids that to any thread but the loop's"
    ),
}
#: Module -> bodies that it moves at least, in the oldest Tornado that has it.
OTHERS = {
    "auth_test": 20,
    "circlerefs_test": 3,
    "httpclient_test": 80,
    "httpserver_test": 65,
    "routing_test": 10,
    "security_corpus_test": 100,
    "simple_httpclient_test": 150,
    "websocket_test": 2,
}
INSTALLED = [
    pytest.param(f"tornado.test.{name}", bodies, id=name)
    for name, bodies in OTHERS.items()
    if importlib.util.find_spec(f"tornado.test.{name}") is not None
]


def run(module: str, mode: str, env: Mapping[str, str]) -> Report:
    report = run_in_child(module, mode, env)
    print(report)
    return report


def only_unblocked(
    unblocked: Report, env: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return what failed, and what was logged, unblocked but not inline."""
    if not unblocked.failed() and not unblocked.logs:
        return {}, {}
    inline = run(unblocked.module, "inline", env)
    failed = {t: e for t, e in unblocked.failed().items() if t in inline.passed()}
    logged = {t: m for t, m in unblocked.logs.items() if t in inline.passed()}
    return failed, logged


@pytest.fixture(scope="module", params=["0", "1"], ids=["plain", "debug"])
def env(request: pytest.FixtureRequest, child_env: dict[str, str]) -> dict[str, str]:
    return {
        **child_env,
        "PYTHONASYNCIODEBUG": request.param if request.param == "1" else "",
    }


@pytest.fixture(scope="module")
def unblocked(env: dict[str, str]) -> Report:
    return run(WEB_TEST, "method", env)


@pytest.fixture(scope="module")
def exceptions(env: dict[str, str]) -> set[str]:
    return set(FAIL_IN_DEBUG_MODE) if env["PYTHONASYNCIODEBUG"] else set()


def test_what_passes_inline_passes_unblocked(
    unblocked: Report, exceptions: set[str], env: dict[str, str]
) -> None:
    """Each test of Tornado's web_test, and nothing is logged that it does not expect.

    The exceptions are exact: one that passes is out of date.
    """
    failed, logged = only_unblocked(unblocked, env)
    assert {t: text for t, text in failed.items() if t not in exceptions} == {}
    assert {t: text for t, text in logged.items() if t not in exceptions} == {}
    assert exceptions <= set(failed)
    assert unblocked.outcomes.keys() >= failed.keys()
    assert len(unblocked.passed()) >= (265 if LATEST else 180)


def test_bodies_ran_on_workers(unblocked: Report, env: dict[str, str]) -> None:
    """Every sync verb method of the tests' handlers ran on a worker, none inline."""
    assert unblocked.on_loop == 0
    assert unblocked.on_worker >= (200 if LATEST else 170)


def test_the_same_bodies_run_inline(unblocked: Report, env: dict[str, str]) -> None:
    """Where they run does not change how many run."""
    inline = run(WEB_TEST, "inline", env)
    assert inline.on_worker == 0
    assert inline.on_loop == unblocked.on_worker


def test_prepare_and_data_received_pass_too(
    exceptions: set[str], env: dict[str, str]
) -> None:
    """Other methods that Tornado awaits may be unblocked as verbs may."""
    hooks = run(WEB_TEST, "hooks", env)
    failed, logged = only_unblocked(hooks, env)
    assert set(failed) == exceptions
    assert set(logged) <= exceptions
    assert hooks.on_loop == 0
    assert hooks.on_worker > (220 if LATEST else 190)


@pytest.mark.parametrize(("module", "bodies"), INSTALLED)
def test_other_modules(module: str, bodies: int, child_env: dict[str, str]) -> None:
    """The other test modules with sync handlers pass as they do inline."""
    unblocked = run(module, "method", child_env)
    assert only_unblocked(unblocked, child_env) == ({}, {})
    assert unblocked.on_loop == 0
    assert unblocked.on_worker >= bodies


def test_faults_are_found(child_env: dict[str, str]) -> None:
    """The naive way to move a body, to an executor and no more, does not pass."""
    naive = run(WEB_TEST, "naive", child_env)
    assert naive.on_worker > 150
    assert len(naive.failed()) > 10


def test_a_run_that_breaks_off_says_why(child_env: dict[str, str]) -> None:
    """What a child printed is shown if it could not report."""
    with pytest.raises(RuntimeError, match="No module named 'tornado.test.no_test'"):
        run_in_child("tornado.test.no_test", "inline", child_env)
