"""Places in text, and imports that a change needs."""

from __future__ import annotations

import ast
from typing import Any, cast

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
    "import a; f()\n": "from m import n\nimport a; n\n",
    "import a\nimport b; f()\n": "import a\nfrom m import n\nimport b; n\n",
    "import a; x = 1\nf()\n": "from m import n\nimport a; x = 1\nn\n",
    "x = f()\nimport a\n": "from m import n\nx = n\nimport a\n",
    "try: import a\nexcept I: raise\nx = f()\nimport b\n": (
        "from m import n\ntry: import a\nexcept I: raise\nx = n\nimport b\n"
    ),
    '"""Doc."""; x = 1\nf()\n': '"""Doc."""; x = 1\nfrom m import n\nn\n',
}


@pytest.mark.parametrize("text", IMPORTS)
def test_import(text: str) -> None:
    """An import goes below those at the top; where it cannot, nothing changes."""
    edited = Text(text)
    (call,) = (n for n in ast.walk(edited.tree) if isinstance(n, ast.Call))
    edited.replace_node(call, edited.need("m", "n", call))
    fixed = edited.fixed()
    assert fixed.text == IMPORTS[text]


def test_import_on_a_shared_line() -> None:
    """Where there is no place for an import, nothing changes, and that is told."""
    edited = Text("from __future__ import annotations; f()\nimport a\nx = 1\n")
    (call,) = (n for n in ast.walk(edited.tree) if isinstance(n, ast.Call))
    edited.replace_node(call, edited.need("m", "n", call))
    fixed = edited.fixed()
    assert fixed.text == edited.text
    assert fixed.left[0].why == "there is no line of its own for an import"


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
    node = text.tree.body[0]
    with pytest.raises(NameTaken):
        text.need("m", "n", node)
    with pytest.raises(NameTaken):
        text.need("m", "k", node)
    assert text.need("m", "z", node) == text.need("m", "z", node) == "z"


def test_imported_below() -> None:
    """What is imported only below its use is imported once more, above."""
    edited = Text("f()\nimport m\nfrom m import n\n")
    (call,) = (n for n in ast.walk(edited.tree) if isinstance(n, ast.Call))
    edited.replace_node(call, edited.need("m", "n", call))
    assert edited.fixed().text == "from m import n\nn\nimport m\nfrom m import n\n"


def test_attempts() -> None:
    """Changes that belong together are made all, or not at all, and that is told."""
    text = Text("x = f()\ny = g()\ntaken = 1\n")
    first, second, third = cast("list[Any]", text.tree.body)

    def broken() -> None:
        text.replace_node(first.value, text.need("m", "k", first))
        text.replace(0, 1, "(")

    def no_name() -> None:
        text.replace_node(second.value, "1")
        text.need("m", "taken", second)

    assert not text.attempt(first, broken)
    assert not text.attempt(second, no_name)
    assert text.attempt(third, lambda: text.replace_node(third, "z = 2"))
    fixed = text.fixed()
    assert fixed.text == "x = f()\ny = g()\nz = 2\n"
    assert [left.why for left in fixed.left] == [
        "the result would be broken",
        "taken is something else in this file",
    ]
