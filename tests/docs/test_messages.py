"""Every message of the core is explained in docs/troubleshooting.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tornado_unblock
from tests.docs.pages import DOCS, ROOT

PACKAGE = ROOT / "tornado_unblock"
#: The core: the modules beside the rooms, and the rooms that a body passes through.
ROOMS = ("_loop", "_executors", "_limits", "_connection", "_offload", "_handlers")
MODULES = sorted(
    path
    for folder in ("", *ROOMS, "_shutdown", "jobs")
    for path in (PACKAGE / folder).glob("*.py")
)
#: What is between names and numbers; the first pieces of formats such as %s.
_PLACE = re.compile(r"\x00|%[\d.]*[a-zA-Z]")
#: As long as this a piece of a message is worth looking for.
LEAST = 9


def messages(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield what a module raises and logs, as the pieces between what varies."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and node.args and _speaks(ast.unparse(node.func)):
            # `log` takes the level first.
            first = 1 if ast.unparse(node.func) == "log" else 0
            text = _text(node.args[first])
            pieces = [_plain(piece) for piece in _PLACE.split(text)]
            if any(pieces):
                yield node.lineno, [piece for piece in pieces if len(piece) >= LEAST]


def _speaks(name: str) -> bool:
    return bool(re.search(r"(?<!self\.)\b\w*Error$|(app|gen)_log\.\w+$|^log$", name))


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "\0"
            for part in node.values
        )
    return str(node.value) if isinstance(node, ast.Constant) else ""


def _plain(text: str) -> str:
    """Return a text as it is compared: without marks, on one line."""
    return " ".join(re.sub(r"[`>]|^ +", "", text).split()).strip(" .,:;'\"=()")


def page() -> str:
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    return " ".join(re.sub(r"[`>]", "", text).split())


@pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix()
)
def test_messages_are_explained(path: Path) -> None:
    """Whoever searches for a text finds it, and what to do."""
    text = page()
    unknown = {
        f"{path.name}:{line}": pieces
        for line, pieces in messages(path)
        if not all(piece in text for piece in pieces)
    }
    assert unknown == {}


def test_advice_is_explained() -> None:
    """So are the texts with which asyncio's own errors are completed."""
    from tornado_unblock import _errors

    for said, advice in _errors._ADVICE.items():
        assert said.strip(".").lower() in page().lower()
        assert _plain(advice) in page()


def test_exceptions_are_explained() -> None:
    """Each public exception is there by its name."""
    names = [name for name in tornado_unblock.__all__ if name.endswith("Error")]
    text = page()
    assert [n for n in names if n not in text and n != "UnblockError"] == []
