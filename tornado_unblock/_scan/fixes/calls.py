"""Verbs that other code calls by itself: as coroutines, nobody would await them."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from typing import Any, Optional

VERBS = {"get", "post", "put", "delete", "patch", "head", "options"}


def called(trees: Iterable[tuple[str, ast.Module]]) -> tuple[tuple[str, str], ...]:
    """Return the verbs that some code of a code base calls, or passes on, and where.

    Which class's verb it is nobody asks: the name is enough.

    Args:
        trees: Files, each by its path.
    """
    found: dict[str, str] = {}
    for path, tree in trees:
        for node in _uses(tree):
            found.setdefault(node.attr, f"{path}:{node.lineno}".lstrip(":"))
    return tuple(found.items())


def _uses(tree: ast.Module) -> Iterator[ast.Attribute]:
    todo: list[tuple[Any, Optional[ast.ClassDef]]] = [(tree, None)]
    while todo:
        node, cls = todo.pop()
        if isinstance(node, ast.Attribute) and node.attr in VERBS:
            if _is_super(node.value) or (_is_self(node.value) and _inherits(cls, node)):
                yield node
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in VERBS and node.args and _is_self(node.args[0]):
                yield node.func
        if isinstance(node, ast.ClassDef):
            if _is_builtin(node):
                continue
            cls = node
        todo.extend((child, cls) for child in ast.iter_child_nodes(node))


def _is_super(node: ast.expr) -> bool:
    func = node.func if isinstance(node, ast.Call) else None
    return isinstance(func, ast.Name) and func.id == "super"


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _inherits(cls: Optional[ast.ClassDef], node: ast.Attribute) -> bool:
    """Tell whether `self.get` is another class's; of its own verbs a class knows."""
    return cls is None or all(
        getattr(each, "name", "") != node.attr for each in cls.body
    )


def _is_builtin(cls: ast.ClassDef) -> bool:
    """Tell whether a class is a `dict`, say, and so no handler."""
    return bool(cls.bases) and all(
        isinstance(base, ast.Name)
        and base.id != "object"
        and hasattr(builtins, base.id)
        for base in cls.bases
    )
