"""Whether a verb finishes its response on each of its paths."""

from __future__ import annotations

import ast
from typing import Any, Callable, Optional

_ENDS = {"finish", "render", "redirect", "send_error", "write_error"}


def always_finishes(function: Any, is_return: Callable[[Any], bool]) -> bool:
    """Tell whether each way through a verb ends in `finish`, or what calls it.

    What is not sure to run counts as not run. An exception is an end of its own: it
    becomes an error page.

    Args:
        function: The verb.
        is_return: Tells whether what is raised is `gen.Return`.
    """
    paths = _Paths(is_return)
    return paths.after(function.body, False) is not False and not paths.open


class _Paths:
    """Follows statements: done is whether the response is surely finished."""

    def __init__(self, is_return: Callable[[Any], bool]) -> None:
        self._is_return = is_return
        #: Whether a path ends without it.
        self.open = False
        self._caught = False

    def after(self, body: list[Any], done: bool) -> Optional[bool]:
        """Return whether it is done behind statements; None if nothing gets there."""
        state: Optional[bool] = done
        for node in body:
            if state is not None:
                state = self._one(node, state)
        return state

    def _one(self, node: Any, done: bool) -> Optional[bool]:
        if isinstance(node, (ast.Return, ast.Raise)):
            if isinstance(node, ast.Return):
                self.open = self.open or not done
            elif self._is_return(node.exc):  # an exception still: it may be caught
                self.open = self.open or not done or self._caught
            return None
        if isinstance(node, (ast.Break, ast.Continue)):
            return None
        if isinstance(node, ast.If):
            ends = self.after(node.body, done), self.after(node.orelse, done)
            return _joined(*ends)
        if isinstance(node, (ast.For, ast.AsyncFor, ast.While)):
            return self._loop(node, done)
        if hasattr(node, "handlers"):  # try, and try with except*
            return self._try(node, done)
        if isinstance(node, (ast.With, ast.AsyncWith)):
            self.after(node.body, done)
            return done  # its manager may swallow what is raised before the end
        for case in getattr(node, "cases", ()):
            self.after(case.body, done)
        return done or _finishes(node)

    def _loop(self, node: Any, done: bool) -> Optional[bool]:
        self.after(node.body, done)
        end = self.after(node.orelse, done)
        if any(isinstance(inner, ast.Break) for inner in ast.walk(node)):
            return done
        test = getattr(node, "test", None)
        return None if isinstance(test, ast.Constant) and test.value else end

    def _try(self, node: Any, done: bool) -> Optional[bool]:
        was_open, self.open = self.open, False
        last = self.after(node.finalbody, False)
        if last and not self.open:
            done = True  # whatever leaves the rest comes by there
        self.open = self.open or was_open
        was_caught, self._caught = self._caught, bool(self._caught or node.handlers)
        body = self.after(node.body, done)
        self._caught = was_caught
        end = None if body is None else self.after(node.orelse, body)
        for handler in node.handlers:
            end = _joined(end, self.after(handler.body, done))
        if end is None or not node.finalbody:
            return end
        return self.after(node.finalbody, end)


def _joined(one: Optional[bool], other: Optional[bool]) -> Optional[bool]:
    if one is None or other is None:
        return other if one is None else one
    return one and other


def _finishes(node: Any) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    if isinstance(value, (ast.Await, ast.Yield)):
        value = value.value
    func = value.func if isinstance(value, ast.Call) else None
    if not isinstance(func, ast.Attribute) or func.attr not in _ENDS:
        return False
    return isinstance(func.value, ast.Name) and func.value.id == "self"
