"""What the client sees, and what is logged, does not depend on where bodies run."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tornado

from tests.differential import (
    cases_connections,
    cases_context,
    cases_error_pages,
    cases_errors,
    cases_handlers,
    cases_loop,
    cases_misuse,
    cases_negotiation,
    cases_output,
    cases_overrides,
    cases_requests,
    cases_templates,
    cases_uploads,
)
from tests.differential.by_design import BY_DESIGN
from tests.differential.harness import run
from tests.differential.modes import MODES
from tests.differential.table import Case, Method
from tests.patience import PROGRAM

# All of it is compared; none of it is unexpected.
pytestmark = pytest.mark.allow_log("", "")

TABLES = [
    cases_connections.table,
    cases_context.table,
    cases_error_pages.table,
    cases_errors.table,
    cases_handlers.table,
    cases_loop.table,
    cases_misuse.table,
    cases_negotiation.table,
    cases_output.table,
    cases_overrides.table,
    cases_requests.table,
    cases_templates.table,
    cases_uploads.table,
]
CASES = [
    case
    for table in TABLES
    for case in table.cases
    if tornado.version_info[:3] >= case.since
]


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "inline"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_unblocked_is_as_inline(case: Case, mode: str) -> None:
    """Byte for byte, and record for record."""
    expected, inline = run(case, "inline")
    found, moved = run(case, mode)
    assert not inline.on_workers()
    assert moved.on_workers() or not case.moves
    if case.name in BY_DESIGN:
        assert found != expected, "no longer an exception"
        return
    assert found.client == expected.client
    assert found.logs == expected.logs


def test_cases() -> None:
    """There are enough; each has a name of its own, and each exception is a case."""
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)) >= 280
    assert set(BY_DESIGN) <= set(names)


NAIVE = """
import sys
from tests.differential import modes, test_differential
from tests.differential.harness import run

(case,) = (c for c in test_differential.CASES if c.name == sys.argv[1])
modes.unblock = test_differential.on_some_thread
assert run(case, "inline")[0] != run(case, "verbs")[0]
"""


@pytest.mark.parametrize("name", ["output-redirect", "output-flush_then_more"])
def test_faults_are_found(name: str, child_env: dict[str, str], tmp_path: Path) -> None:
    """A body merely put on some thread does not pass; nothing is guarded there."""
    command = [sys.executable, "-c", NAIVE, name]
    done = subprocess.run(
        command,
        env=child_env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PROGRAM,
    )
    assert done.returncode == 0, done.stderr


def on_some_thread(fn: Method) -> Method:
    def call(*args: Any, **kwargs: Any) -> Any:
        body = functools.partial(fn, *args, **kwargs)
        return asyncio.get_running_loop().run_in_executor(None, body)

    return call
