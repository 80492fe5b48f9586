"""Whether a verb finishes on each of its paths."""

from __future__ import annotations

import ast
import sys
import textwrap
from typing import Any

import pytest

from tornado_unblock._scan.fixes.paths import always_finishes

DONE = [
    "self.finish()",
    "yield self.render('x')",
    "await self.finish()",
    "raise HTTPError(405)",
    "self.finish()\nreturn",
    "if x: self.finish()\nelse: self.redirect('/')",
    "if x:\n    self.finish()\n    raise Return\nself.render('x')",
    "if x: raise HTTPError(400)\nself.finish()",
    "for x in y: pass\nself.finish()",
    "for x in y:\n    if x: raise HTTPError(404)\nelse: self.finish()",
    "while True:\n    if x:\n        self.finish()\n        return",
    "try: x\nfinally: self.finish()",
    "try:\n    if x: return\nfinally: self.finish()",
    "try:\n    x\n    self.finish()\nexcept E: self.send_error(500)",
    "try: x\nexcept E:\n    self.send_error()\n    return\nelse: self.finish()",
    "try: self.finish()\nfinally: x",
    "self.finish()\ntry: x\nexcept E: raise Return",
    "try: return self.y\nfinally: self.finish()",
    "with x: y\nself.finish()",
]
OPEN = [
    "pass",
    "if x: self.finish()",
    "if x: self.finish()\nelse: later(self.finish)",
    "if x: return\nself.finish()",
    "if x: raise Return\nself.finish()",
    "x and self.finish()",
    "x = lambda: self.finish()",
    "def f(): self.finish()",
    "other.finish()",
    "for x in y: self.finish()",
    "while x: self.finish()",
    "while True:\n    if x: break\n    self.finish()",
    "for x in y:\n    if x: break\nelse: self.finish()",
    "for x in y:\n    if x: continue\n    self.finish()",
    "while True:\n    if x: return\nself.finish()",
    "self.finish()\ntry: raise Return\nexcept E: pass",
    "with x: self.finish()",
    "with x:\n    if y: return\nself.finish()",
    "try: self.finish()\nexcept E: pass",
    "try: x\nexcept E: self.finish()",
    "try:\n    self.finish()\n    x\nexcept E: return",
    "try: x\nfinally:\n    if y: self.finish()",
    "try: self.finish()\nfinally:\n    if y: return",
]


def finishes(body: str) -> bool:
    tree = ast.parse("async def get(self):\n" + textwrap.indent(body, "    "))

    def is_return(raised: Any) -> bool:
        return isinstance(raised, ast.Name)

    return always_finishes(tree.body[0], is_return)


@pytest.mark.parametrize("body", DONE)
def test_done(body: str) -> None:
    """Each way to the end comes by a call that finishes, or raises."""
    assert finishes(body)


@pytest.mark.skipif(sys.version_info < (3, 10), reason="match is Python 3.10's")
def test_cases() -> None:
    """Whether one of them is always taken is not asked."""
    cases = "match x:\n    case 1: {}\n    case _: self.finish()"
    assert not finishes(cases.format("self.finish()"))
    assert finishes(cases.format("pass") + "\nself.finish()")
    assert not finishes(cases.format("return") + "\nself.finish()")


@pytest.mark.parametrize("body", OPEN)
def test_open(body: str) -> None:
    """Some way does not, or may not: what is not sure to run has not run."""
    assert not finishes(body)
