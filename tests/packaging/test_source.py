"""House rules that no linter knows, held over the text of the tree."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = sorted((ROOT / "tornado_unblock").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
#: What the scan is to find, blocking calls, is the data of its tests.
SAMPLES = ROOT / "tests" / "unit" / "scan"
MAX_FUNCTION_LINES = 40
#: A sleep of any length but 0; in the text, so that scripts in strings count too.
#: Attributes of other modules that are named alike, such as a facade's, do not.
SLEEP = re.compile(
    r"(?<![\w.])(?:time|asyncio|gen|tornado\.gen)\.sleep\((?!0[,)])"
    r"|from (?:time|asyncio|tornado\.gen) import [^#\n]*\bsleep\b"
)
PRAGMA = re.compile(r"#\s*pragma:")
REASONED_PRAGMA = re.compile(r"# pragma: no (cover|branch) - \w+")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def hits(pattern: re.Pattern[str], text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if pattern.search(line)]


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_tests_do_not_sleep(path: Path) -> None:
    """Tests wait for events: a sleep is too short on a bad day and too long else."""
    if SAMPLES not in path.parents:
        assert hits(SLEEP, path.read_text()) == []


@pytest.mark.parametrize("module", ["time", "asyncio", "gen", "tornado.gen"])
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{}.sl{}(1)", True),
        ("await {}.sl{}(0.5)", True),
        ("{}.sl{}(0)", False),
        ("shim.{}.sl{}(1)", False),
        ("from {} import sl{}", "module != gen"),
    ],
)
def test_the_search_for_sleeps(text: str, module: str, found: bool | str) -> None:
    """The pattern finds the calls and the imports, and leaves namesakes alone."""
    wanted = module != "gen" if found == "module != gen" else bool(found)
    assert bool(hits(SLEEP, text.format(module, "eep"))) == wanted


def comments(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.string


@pytest.mark.parametrize("path", LIBRARY, ids=relative)
def test_uncovered_code_says_why(path: Path) -> None:
    """Whatever the coverage gate leaves out is left out for a stated reason."""
    pragmas = [text for text in comments(path) if PRAGMA.search(text)]
    assert [text for text in pragmas if not REASONED_PRAGMA.search(text)] == []


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return a function's length without its docstring and decorators."""
    docstring = ast.get_docstring(node, clean=False)
    documented = docstring.count("\n") + 1 if docstring is not None else 0
    return (node.end_lineno or node.lineno) - node.lineno + 1 - documented


@pytest.mark.parametrize("path", LIBRARY, ids=relative)
def test_sizes(path: Path) -> None:
    """Functions stay short enough to be read in one go."""
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    sizes = {node.name: function_lines(node) for node in functions}
    assert {n: s for n, s in sizes.items() if s > MAX_FUNCTION_LINES} == {}
