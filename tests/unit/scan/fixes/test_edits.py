"""Changes in text land where they belong, and nothing else moves."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from tornado_unblock._scan.fixes.edits import NameTaken, Text


def first(text: Text, kind: Any) -> Any:
    """Return the first node of a kind."""
    return next(node for node in ast.walk(text.tree) if isinstance(node, kind))


def one(text: Text) -> Any:
    """Return the constant 1."""
    constants = (n for n in ast.walk(text.tree) if isinstance(n, ast.Constant))
    return next(node for node in constants if node.value == 1)


def test_columns_are_counted_in_characters():
    """The tree counts bytes; what stands before a node may take more than one."""
    text = Text('x = "ä€" + call(1)\n')
    call = first(text, ast.Call)
    assert text.source(call) == "call(1)"
    text.replace_node(call, "other()")
    assert text.fixed().text == 'x = "ä€" + other()\n'


def test_changes_are_made_all_at_once():
    """Places are those of the text as it was, in whatever order they come."""
    text = Text("a = 1\nb = 2\nc = 3\n")
    numbers = [n for n in ast.walk(text.tree) if isinstance(n, ast.Constant)]
    for number in (numbers[2], numbers[0]):
        text.replace_node(number, "'long'")
    text.remove_lines(2, 2)
    assert text.fixed().text == "a = 'long'\nc = 'long'\n"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines_end_as_they_did(newline):
    """What is put in ends its lines as the rest does."""
    text = Text(newline.join(["def f():", "    return 1", ""]))
    text.insert_line(2, "x = 2", text.indent(2))
    wanted = ["def f():", "    x = 2", "    return 1", ""]
    assert text.fixed().text == newline.join(wanted)


def test_last_line_without_an_end():
    """It can be taken away like any other."""
    text = Text("a = 1\nb = 2")
    text.remove_lines(2, 2)
    assert text.fixed().text == "a = 1\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import os\nx = 1\n", "import os\n{}x = 2\n"),
        ('"""Doc."""\nx = 1\n', '"""Doc."""\n{}x = 2\n'),
        ("x = 1\n", "{}x = 2\n"),
        ("@d\nclass A:\n    x = 1\n", "{}@d\nclass A:\n    x = 2\n"),
        ("import os\n\nx = 1\nimport sys\n", "import os\n{}\nx = 2\nimport sys\n"),
    ],
)
def test_imports_go_below_those_at_the_top(before, after):
    """Or below the docstring, or above all; once, however often they are needed."""
    text = Text(before)
    text.replace_node(one(text), "2")
    assert text.need("tornado_unblock", "unblock") == "unblock"
    assert text.need("tornado_unblock", "unblock") == "unblock"
    added = "from tornado_unblock import unblock\n"
    assert text.fixed().text == after.format(added)


def test_no_import_without_a_change():
    """What nothing uses is not imported."""
    text = Text("x = 1\n")
    text.need("tornado_unblock", "unblock")
    assert text.fixed().text == "x = 1\n"


@pytest.mark.parametrize(
    ("imports", "called"),
    [
        ("from tornado_unblock import unblock as u", "u"),
        ("import tornado_unblock", "tornado_unblock.unblock"),
        ("import tornado_unblock as tu", "tu.unblock"),
    ],
)
def test_what_is_imported_is_used_as_it_is_called(imports, called):
    """No second import."""
    assert Text(f"{imports}\n").need("tornado_unblock", "unblock") == called


def test_submodule_that_nothing_imports():
    """The package does not import its shim: an attribute of it is no way there."""
    text = Text("import tornado_unblock\n")
    assert text.need("tornado_unblock", "shim") == "shim"
    text = Text("import tornado_unblock.shim\n")
    assert text.need("tornado_unblock", "shim") == "tornado_unblock.shim"


@pytest.mark.parametrize(
    "taken",
    [
        "def unblock(): ...",
        "unblock = 1",
        "def f(unblock): ...",
        "from elsewhere import unblock",
        "from . import unblock",
    ],
)
def test_name_that_means_something_else(taken):
    """It is not taken over."""
    with pytest.raises(NameTaken, match="unblock"):
        Text(f"{taken}\n").need("tornado_unblock", "unblock")


def test_what_would_be_broken_is_left():
    """A change that makes no Python is not made, and said."""
    text = Text("x = 1\ny = 2\n")
    text.replace_node(first(text, ast.Constant), ")")
    fixed = text.fixed()
    assert fixed.text == "x = 1\ny = 2\n"
    assert [left.why for left in fixed.left] == ["the result would be broken"]


def test_what_is_left_is_said_in_order():
    """By line, whoever said it first."""
    text = Text("a = 1\nb = 2\n")
    for node in reversed(text.tree.body):
        text.leave(node, "not now")
    assert [left.line for left in text.fixed().left] == [1, 2]


def test_old_python_is_refused():
    """It has no tree, so nothing can be changed."""
    with pytest.raises(SyntaxError):
        Text("print 'old'\n")
