"""Who may import what: examples stand alone, and what they import is installed."""

from __future__ import annotations

import ast
import configparser
import re
import sys
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


# What of the library needs the extra of its own name.
WITH_EXTRA = {"jobs", "opentelemetry", "prometheus", "shim"}
NAMES = {"psycopg2": "psycopg2-binary"}


def installed(extra: str) -> tuple[set[str], set[str]]:
    """Return all extras that one brings, itself included, and the distributions."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    known = parser["options.extras_require"]
    names, found, left = {extra}, set(), [extra]
    while left:
        for line in known[left.pop()].split():
            name, _, own = line.rstrip("]").partition("[")
            if name == "tornado-unblock":
                left += set(own.split(",")) - names
                names |= set(own.split(","))
            else:
                found.add(re.split("[<>=;]", name)[0])
    return names, found


@pytest.mark.skipif(sys.version_info < (3, 10), reason="it does not list its modules")
def test_what_is_imported_is_installed() -> None:
    """By the extra `examples`: the stories run in the same environment."""
    names, found = installed("examples")
    folders = ("examples", "benchmarks/stories", "benchmarks/harness")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    wanted = {name for path in files for name in imported(path)}
    own = {"benchmarks", "examples", "tornado_unblock", "tornado"}
    others = {name.split(".")[0] for name in wanted} - own - sys.stdlib_module_names
    assert {NAMES.get(name, name) for name in others} - found == set()
    parts = {
        name.split(".")[1] for name in wanted if name.startswith("tornado_unblock.")
    }
    assert (parts & WITH_EXTRA) - names == set()
