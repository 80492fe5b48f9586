"""Verbs that other code calls by itself."""

from __future__ import annotations

import ast

import pytest

from tornado_unblock._scan.fixes.calls import called

CALLED = [
    "class A(B):\n    def x(self): super().get()",
    "class A(B):\n    def get(self): super(A, self).get(1)",
    "class A(B):\n    def get(self): return base.B.get(self)",
    "class A(B):\n    def x(self): later(self.get)",
    "class A:\n    def x(self): later(super().get)",
    "def x(self): self.get()",
    "class A(dict, B):\n    def x(self): self.get()",
    "class A(object):\n    def x(self): self.get()",
]
OTHERS = [
    "class A(B):\n    def get(self): pass\n    def x(self): self.get()",
    "class A(dict):\n    def x(self): self.get(super().get(1))",
    "x.get(1)",
    "x.get()",
    "class A(B):\n    def x(self): self.y.get(1)",
    "class A(B):\n    def x(self): super().other()",
]


@pytest.mark.parametrize("text", CALLED)
def test_called(text: str) -> None:
    """The name is enough, and where it is first."""
    line = len(text.split("\n"))
    assert called([("a.py", ast.parse(text))] * 2) == (("get", f"a.py:{line}"),)


@pytest.mark.parametrize("text", OTHERS)
def test_others(text: str) -> None:
    """What is no handler's, or its class knows of, does not count."""
    assert called([("a.py", ast.parse(text))]) == ()
