"""Places in text, and imports that a change needs."""

from __future__ import annotations

import ast

import pytest

from tornado_unblock._scan.fixes.edits import NameTaken, Text

IMPORTS = {
    '"""Doc."""\nx = f()\n': '"""Doc."""\nfrom m import n\nx = n\n',
    "x = f()\n": "from m import n\nx = n\n",
    "x = f()": "from m import n\nx = n",
    "@d\ndef g(): pass\nf()\n": "from m import n\n@d\ndef g(): pass\nn\n",
    "from __future__ import annotations\n\nf()\n": (
        "from __future__ import annotations\nfrom m import n\n\nn\n"
    ),
    "import a\nx = 1\nimport b\nf()\n": (
        "import a\nfrom m import n\nx = 1\nimport b\nn\n"
    ),
}


@pytest.mark.parametrize("text", IMPORTS)
def test_import(text: str) -> None:
    """An import goes below those at the top; where it cannot, nothing changes."""
    edited = Text(text)
    (call,) = (n for n in ast.walk(edited.tree) if isinstance(n, ast.Call))
    edited.replace_node(call, edited.need("m", "n"))
    fixed = edited.fixed()
    assert fixed.text == IMPORTS[text]


def test_import_on_a_shared_line() -> None:
    """Where there is no place for an import, nothing changes, and that is told."""
    edited = Text("import a; f()")
    edited.need("m", "n")
    edited.replace(10, 11, "n")
    fixed = edited.fixed()
    assert fixed.text == "import a; f()"
    assert fixed.left[0].why == "the result would be broken"


def test_broken_result() -> None:
    """What would be no Python any more is not changed."""
    text = Text("x = 1\n")
    text.replace(0, 1, "(")
    fixed = text.fixed()
    assert fixed.text == "x = 1\n"
    assert fixed.left[0].why == "the result would be broken"


def test_taken() -> None:
    """A name that is used for something else is not imported; twice is once."""
    text = Text("def f(n): from .x import k\n")
    with pytest.raises(NameTaken):
        text.need("m", "n")
    with pytest.raises(NameTaken):
        text.need("m", "k")
    assert text.need("m", "z") == text.need("m", "z") == "z"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("from m import n as k\n", "k"),
        ("import m\n", "m.n"),
        ("import m as k\n", "k.n"),
        ("import m.o\n", "m.n"),
        ("from tornado_unblock import shim\n", "n"),
    ],
)
def test_known(text: str, name: str) -> None:
    """What is imported already is used as it is called there."""
    assert Text(text).need("m", "n") == name


def test_submodules() -> None:
    """A package does not import all of its modules."""
    assert Text("import tornado_unblock\n").need("tornado_unblock", "shim") == "shim"
    assert Text("import tornado_unblock.shim\n").need("tornado_unblock", "shim") == (
        "tornado_unblock.shim"
    )
