"""What names are in a text, and whether that is sure."""

from __future__ import annotations

import ast

import pytest

from tornado_unblock._scan.fixes.edits import Text


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


def test_submodules() -> None:
    """A package does not import all of its modules."""
    assert needed("import tornado_unblock\n", "tornado_unblock", "shim") == "shim"
    assert needed("import tornado_unblock.shim\n", "tornado_unblock", "shim") == (
        "tornado_unblock.shim"
    )
