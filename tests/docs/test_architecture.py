"""docs/architecture.md: its files, names, rooms and states are those of the code."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator

import pytest

from tests.docs.pages import DOCS, ROOT
from tornado_unblock._offload.offload import Offload, State

PACKAGE = ROOT / "tornado_unblock"
STATE = "|".join(state.name for state in State)


def text() -> str:
    return (DOCS / "architecture.md").read_text(encoding="utf-8")


def defined() -> dict[str, set[str]]:
    """Return what each class and module of the core defines, by its name."""
    names: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names.setdefault("", set()).update(_names(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                names.setdefault(node.name, set()).update(_names(node))
    return names


def _names(scope: ast.Module | ast.ClassDef) -> Iterator[str]:
    for node in ast.walk(scope):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id


def test_files_exist() -> None:
    """Each file that it sends a reader to is there."""
    named = set(re.findall(r"`((?:shim/)?_\w+/[\w/]+\.py)`", text()))
    assert len(named) >= 25
    assert sorted(name for name in named if not (PACKAGE / name).is_file()) == []


def test_names_exist() -> None:
    """Each `Class.name` that it explains is in the code."""
    known = defined()
    named = set(re.findall(r"`([A-Z]\w+)\.(\w+)`", text()))
    assert len(named) >= 15
    assert [f"{c}.{n}" for c, n in named if n not in known.get(c, set())] == []


def test_rooms() -> None:
    """Its rooms are the layers that import-linter holds, in their order."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    layers = [
        {name.strip().rpartition(".")[2] for name in line.split("|")}
        for line in setup["importlinter:contract:rooms"]["layers"].split("\n")
        if line.strip()
    ]
    table = text().partition("| room | what is in it |")[2].strip().splitlines()[1:]
    rows = [row.split("|")[1] for row in table[: len(layers)]]
    written = [set(re.findall(r"`(\w+)`", row)) for row in rows]
    assert written == layers


@pytest.mark.parametrize("state", State, ids=lambda state: state.name)
def test_states(state: State) -> None:
    """Its table of states leads where the docstring of `Offload` leads."""
    rows = re.findall(rf"^\| ({STATE}) \| .* \| ({STATE}) \|$", text(), re.MULTILINE)
    pairs = {(source, target) for source, target in rows}
    found, source = set(), ""
    assert Offload.__doc__ is not None
    for line in Offload.__doc__.splitlines():
        begins = re.match(rf" +({STATE}) ", line)
        source = begins[1] if begins else source
        leads = re.search(rf"-> ({STATE})\b", line)
        if leads:
            found.add((source, leads[1]))
    assert {pair for pair in pairs if pair[0] == state.name} == {
        pair for pair in found if pair[0] == state.name
    }
    assert found
