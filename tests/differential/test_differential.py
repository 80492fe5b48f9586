"""What the client sees, and what is logged, does not depend on where bodies run."""

from __future__ import annotations

import pytest

from tests.differential import (
    cases_connections,
    cases_errors,
    cases_handlers,
    cases_loop,
    cases_misuse,
    cases_negotiation,
    cases_output,
    cases_requests,
    cases_templates,
)
from tests.differential.by_design import BY_DESIGN
from tests.differential.harness import MODES, Case, run

# All of it is compared; none of it is unexpected.
pytestmark = pytest.mark.allow_log("", "")

TABLES = [
    cases_connections.table,
    cases_errors.table,
    cases_handlers.table,
    cases_loop.table,
    cases_misuse.table,
    cases_negotiation.table,
    cases_output.table,
    cases_requests.table,
    cases_templates.table,
]
CASES = [case for table in TABLES for case in table.cases]


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "inline"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_unblocked_is_as_inline(case: Case, mode: str) -> None:
    expected, inline = run(case, "inline")
    found, moved = run(case, mode)
    assert not inline.on_workers()
    assert moved.on_workers() or not case.moves
    if case.name in BY_DESIGN:
        assert found != expected, "no longer an exception"
        return
    assert found.client == expected.client
    assert found.logs == expected.logs


def test_enough_cases() -> None:
    """Each has a name of its own, and each exception is one of them."""
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)) >= 80
    assert set(BY_DESIGN) <= set(names)
