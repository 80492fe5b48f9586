"""Who may import whom: examples stand alone, and the harness knows none of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/__init__.py"))
HARNESS = sorted((ROOT / "benchmarks" / "harness").glob("*.py"))
# An example may start the story about it; the benchmark app is thin over the harness.
ALLOWED = {"bench_app": "benchmarks.harness"}
START = "benchmarks.harness.entry"


def imported(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports by their full names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.name))
def test_examples_stand_alone(example: Path) -> None:
    """None imports another, nor what measures it, but to start that."""
    own = f"examples.{example.name}."
    allowed = (own, ALLOWED.get(example.name, START))
    found = {
        name
        for path in example.rglob("*.py")
        for name in imported(path)
        if name.split(".")[0] in ("examples", "benchmarks", "tests")
    }
    strange = [name for name in found if not f"{name}.".startswith(allowed)]
    assert strange == []


def test_a_step_imports_the_one_before_and_no_other() -> None:
    """The migration's steps are a line, so that each is the one before and more."""
    steps = sorted((ROOT / "examples" / "migration").glob("step*"))
    names = [f"examples.migration.{step.name}" for step in steps]
    for before, step in zip([None, *names], steps):
        found = {
            name
            for path in step.glob("*.py")
            for name in imported(path)
            if name.startswith("examples.")
        }
        assert found == ({before} if before else set())


@pytest.mark.parametrize("path", HARNESS, ids=lambda path: str(path.stem))
def test_the_harness_knows_nobody(path: Path) -> None:
    """It imports neither examples nor stories nor contenders nor scenarios."""
    own = ("benchmarks.harness.", "benchmarks.harness")
    ours = [name for name in imported(path) if name.startswith(("examples", "bench"))]
    assert [name for name in ours if not name.startswith(own)] == []
