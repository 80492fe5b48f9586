"""`dual-leaves`: functions that block become callable from both colours.

    def load_order(key):           @shim.dual
        return db.get(...)         def load_order(key):

Only where workers alone call them: on the loop thread a dual function refuses to block.
"""

from __future__ import annotations

import ast
from typing import Any, Optional

from tornado_unblock._scan.fixes.edits import Facts, Fixed, NameTaken, Text

_KEPT = {"property", "cached_property", "contextmanager", "overload", "abstractmethod"}


def fix(source: str, facts: Facts) -> Fixed:
    """Decorate functions.

    Args:
        source: The text of a file.
        facts: Its `leaves` are used.
    """
    text = Text(source)
    wanted = dict(facts.leaves)
    for node, inside in _functions(text.tree):
        if node.lineno in wanted and not _is_dual(text, node):
            why = _refusal(node, inside, wanted[node.lineno])
            if why:
                text.leave(node, f"{node.name}: {why}")
            else:
                _decorate(text, node)
    return text.fixed()


def _functions(tree: ast.Module) -> list[tuple[Any, Optional[Any]]]:
    """Return all functions, each with the function or class around it."""
    found: list[tuple[Any, Optional[Any]]] = []
    todo: list[tuple[Any, Optional[Any]]] = [(tree, None)]
    while todo:
        node, inside = todo.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.append((child, inside))
                todo.append((child, child))
            else:
                around = child if isinstance(child, ast.ClassDef) else inside
                todo.append((child, around))
    return sorted(found, key=lambda pair: pair[0].lineno)


def _is_dual(text: Text, node: Any) -> bool:
    return any(
        text.names.dotted(each).startswith("tornado_unblock.shim.")
        or text.names.dotted(each) == "tornado_unblock.shim"
        for each in (getattr(d, "func", d) for d in node.decorator_list)
    )


def _refusal(node: Any, inside: Optional[Any], on_workers: bool) -> str:
    if isinstance(node, ast.AsyncFunctionDef):
        return "it is a coroutine; give its blocking call to run_in_executor"
    if isinstance(inside, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return "it is made anew at each call of a function"
    if node.name.startswith("__") and node.name.endswith("__"):
        return "Python calls it, not your code"
    names = {_last_name(each) for each in node.decorator_list}
    kept = sorted(names & _KEPT)
    if kept:
        return f"it is a {kept[0]}"
    if not on_workers:
        return "it is called on the loop thread: unblock those handlers first"
    return ""


def _last_name(node: Any) -> str:
    node = getattr(node, "func", node)
    return getattr(node, "attr", "") or getattr(node, "id", "")


def _decorate(text: Text, node: Any) -> None:
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    indent = text.indent(node.lineno)
    try:
        name = text.need("tornado_unblock", "shim", node)
    except NameTaken:
        text.leave(node, f"shim is something else in this file: {node.name}")
        return
    text.insert_line(first, f"@{name}.dual", indent)
