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
    edited = Text("from __future__ import annotations; f()")
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


def needed(above: str, module: str, name: str) -> str:
    """Return what a name is called in a line below some text."""
    text = Text(f"{above}f()\n")
    return text.need(module, name, text.tree.body[-1])


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
    assert needed(text, "m", "n") == name


@pytest.mark.parametrize(
    "text",
    [
        "def g():\n    from m import n\n",
        "def g():\n    from m import n as k\n",
        "if TYPE_CHECKING:\n    from m import n\n",
        "if TYPE_CHECKING:\n    import m\n",
        "try:\n    import m.o\nexcept ImportError:\n    m = None\n",
        "import m\ndef m(): pass\n",
        "import m\ndel m\n",
        "import m\ndef g():\n    global m\n    m = 1\n",
        "import m\ntry: pass\nexcept E as m: pass\n",
        "from m import x as m\n",
    ],
)
def test_not_sure(text: str) -> None:
    """What is imported somewhere else, or in some cases, or replaced, is no help."""
    assert needed(text, "m", "n") == "n"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("def g(m): f()\n", "n"),
        ("def g(*m): f()\n", "n"),
        ("def g():\n    m = 1\n    return lambda: f()\n", "n"),
        ("g = lambda m: f()\n", "n"),
        ("class A:\n    m = 1\n    f()\n", "n"),
        ("class A:\n    m = 1\n    def g(self): f()\n", "m.n"),
        ("class A:\n    def m(self, x=f()): pass\n", "n"),
        ("def g(x=f(), *, m): pass\n", "m.n"),
        ("def g(m): pass\nf()\n", "m.n"),
    ],
)
def test_hidden(text: str, name: str) -> None:
    """Where a parameter or a local has its name, an import is another thing."""
    edited = Text("import m\n" + text)
    (call,) = (n for n in ast.walk(edited.tree) if isinstance(n, ast.Call))
    assert edited.need("m", "n", call) == name


def test_imported_below() -> None:
    """What is imported only below its use is imported once more, above."""
    edited = Text("f()\nimport m\nfrom m import n\n")
    (call,) = (n for n in ast.walk(edited.tree) if isinstance(n, ast.Call))
    edited.replace_node(call, edited.need("m", "n", call))
    assert edited.fixed().text == "from m import n\nn\nimport m\nfrom m import n\n"


def test_what_a_name_is() -> None:
    """Where a function or a class binds a name, it is that, and nowhere else."""
    text = Text(
        "from m import n\n"
        "def f(n): n\n"
        "def g():\n    from k import n\n    n\n"
        "def h():\n    if x: from k import n\n    else: n = 1\n    n\n"
        "class A:\n    n = 1\n    def i(self): n\n"
        "from . import r\nr\n"
        "def j():\n    import z\nz\n"
    )
    names = [n for n in ast.walk(text.tree) if isinstance(n, ast.Expr)]
    found = {n.lineno: text.names.dotted(n.value) for n in names}
    assert found == {2: "", 5: "k.n", 9: "", 12: "m.n", 14: "", 17: ""}


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


def test_submodules() -> None:
    """A package does not import all of its modules."""
    assert needed("import tornado_unblock\n", "tornado_unblock", "shim") == "shim"
    assert needed("import tornado_unblock.shim\n", "tornado_unblock", "shim") == (
        "tornado_unblock.shim"
    )
