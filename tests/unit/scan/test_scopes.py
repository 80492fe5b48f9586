"""Scopes: what names are bound to, and what the code does, without scopes inside."""

from __future__ import annotations

import ast

import pytest

from tornado_unblock._scan.scopes import Scope, scope_of

NAMES = {
    "a = b = 1": {"a", "b"},
    "a, (b, c) = x": {"a"},
    "a, *b = x": {"a"},
    "a: int = 1": {"a"},
    "a += 1": {"a"},
    "(a := 1)": {"a"},
    "for a in x: b = 1": {"a", "b"},
    "[a for a in x]": {"a"},
    "with x as a, y: b = 1": {"a", "b"},
    "import a, b.c, d.e as f": {"a", "b", "f"},
    "from m import a, b as c": {"a", "c"},
    "from m import *": set(),
    "def a(b): c = 1": {"a"},
    "class a: b = 1": {"a"},
    "lambda a: (b := 1)": set(),
    "if x: a = 1\nelse: b = 1": {"a", "b"},
    "try: a = 1\nexcept E: b = 1\nfinally: c = 1": {"a", "b", "c"},
    "a.b = a[0] = 1": set(),
}


@pytest.mark.parametrize("text", NAMES)
def test_names(text: str) -> None:
    """Whatever binds a name is seen; what a scope inside binds is not."""
    assert set(Scope(ast.parse(text)).bindings) == NAMES[text]


def test_what_it_does() -> None:
    """Calls, attributes, loops, blocks, returns and yields are kept apart."""
    text = """
def f(self):
    global g
    self.a = self.b[0] = call(self.c)
    for x in items: pass
    with block as y: pass
    yield other(inner())
    raise Return(value)
    return done
"""
    scope = Scope(ast.parse(text).body[0])
    names = [ast.unparse(call.func) for call in scope.calls]
    assert sorted(names) == ["Return", "call", "inner", "other"]
    assert {load.attr for load in scope.loads} == {"b", "c"}
    assert [ast.unparse(store.target) for store in scope.attributes] == ["self.a"]
    assert [ast.unparse(store.target) for store in scope.items] == ["self.b[0]"]
    assert [ast.unparse(node) for node in scope.iterated] == ["items"]
    assert [ast.unparse(node) for node in scope.withs] == ["block"]
    assert sorted(ast.unparse(node) for node in scope.returns) == ["done", "value"]
    assert len(scope.yields) == 1
    assert scope.globals == {"g"}
    awaited = [c for c in scope.calls if id(c) in scope.awaited]
    assert sorted(ast.unparse(c.func) for c in awaited) == ["inner", "other"]


def test_read_once() -> None:
    """A scope is read when it is first asked for, and kept."""
    tree = ast.parse("a = 1")
    assert scope_of(tree) is scope_of(tree)


def test_deep() -> None:
    """Depth is no matter."""
    assert len(Scope(ast.parse("f()" + "()" * 90)).calls) == 91
