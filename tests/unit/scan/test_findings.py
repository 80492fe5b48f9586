"""Findings: what they are sorted by, and what they are known by."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tornado_unblock._scan.findings import Finding

PLAIN = Finding(
    endpoint="A.get",
    handlers=("A",),
    routes=("/a",),
    path="app/a.py",
    line=3,
    column=1,
    kind="network",
    what="requests.get",
    rule="requests.get",
    source="requests.get('x')",
    confidence="seen",
    steps=(),
)


@pytest.mark.parametrize(
    "worse",
    [
        {"total": 0.1, "kind": "lock", "confidence": "unknown"},
        {"line": 2},
        {"routes": ("/A",)},
    ],
)
def test_rank(worse: dict[str, object]) -> None:
    """Time counts more than severity, that more than certainty, then the place."""
    assert replace(PLAIN, **worse).rank < PLAIN.rank


@pytest.mark.parametrize(
    "better", [{"kind": "file"}, {"confidence": "likely"}, {"routes": ()}]
)
def test_rank_of_less(better: dict[str, object]) -> None:
    """What is less severe, less sure, or has no route comes later."""
    assert replace(PLAIN, **better).rank > PLAIN.rank


def test_fingerprint() -> None:
    """Lines and what stands around may change; method, file and text may not."""
    assert replace(PLAIN, line=9, routes=()).fingerprint == PLAIN.fingerprint
    assert replace(PLAIN, path="app\\a.py").fingerprint == PLAIN.fingerprint
    for change in ({"endpoint": "B.get"}, {"source": "x"}, {"path": "b.py"}):
        assert replace(PLAIN, **change).fingerprint != PLAIN.fingerprint


def test_blocks() -> None:
    """What is unblocked does not block the loop."""
    assert PLAIN.blocks
    assert not replace(PLAIN, unblocked="method").blocks
