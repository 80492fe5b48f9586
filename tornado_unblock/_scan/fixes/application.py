"""`application`: the one line, around each `Application(...)`.

app = Application(routes)      app = unblock_application(Application(routes))
"""

from __future__ import annotations

import ast
from typing import Any

from tornado_unblock._scan.fixes.edits import Facts, Fixed, NameTaken, Text

_UNBLOCK = "tornado_unblock.unblock_application"


def fix(source: str, facts: Facts) -> Fixed:
    """Wrap what makes an application.

    Args:
        source: The text of a file.
        facts: Its `applications` and `unblocked` are used.
    """
    text = Text(source)
    classes = _application_classes(text, facts)
    given = _given(text)
    for node, parents in _calls(text.tree):
        if text.names.dotted(node.func) not in classes and not _is_own(node, classes):
            continue
        if _is_unblocked(text, node, parents, given):
            continue
        if facts.unblocked:
            text.leave(
                node, f"unblock_application is called for it in {facts.unblocked}"
            )
            continue
        try:
            name = text.need("tornado_unblock", "unblock_application", node)
        except NameTaken as taken:
            text.leave(node, f"{taken} is something else in this file")
            continue
        start, end = text.span(node)
        text.replace(start, start, f"{name}(")
        text.replace(end, end, ")")
    return text.fixed()


def _application_classes(text: Text, facts: Facts) -> set[str]:
    """Return dotted names of applications; a class of this file by its own name."""
    classes = {"tornado.web.Application", *facts.applications}
    for _ in range(3):  # subclasses of subclasses
        for node in ast.walk(text.tree):
            if isinstance(node, ast.ClassDef):
                for base in node.bases:
                    own = isinstance(base, ast.Name) and f":{base.id}" in classes
                    if own or text.names.dotted(base) in classes:
                        classes.add(f":{node.name}")
    return classes


def _is_own(node: ast.Call, classes: set[str]) -> bool:
    return isinstance(node.func, ast.Name) and f":{node.func.id}" in classes


def _calls(tree: ast.Module) -> list[tuple[ast.Call, list[Any]]]:
    """Return all calls, each with the nodes around it, the next first."""
    found: list[tuple[ast.Call, list[Any]]] = []
    todo: list[tuple[Any, list[Any]]] = [(tree, [])]
    while todo:
        node, parents = todo.pop()
        if isinstance(node, ast.Call):
            found.append((node, parents))
        inner = [node, *parents]
        todo.extend((child, inner) for child in ast.iter_child_nodes(node))
    return found


def _given(text: Text) -> set[str]:
    """Return the expressions that are passed to `unblock_application` already."""
    return {
        ast.unparse(node.args[0])
        for node, _ in _calls(text.tree)
        if node.args and text.names.dotted(node.func) == _UNBLOCK
    }


def _is_unblocked(
    text: Text, node: ast.Call, parents: list[Any], given: set[str]
) -> bool:
    parent = parents[0]
    if isinstance(parent, ast.Call) and text.names.dotted(parent.func) == _UNBLOCK:
        return True
    targets = parent.targets if isinstance(parent, ast.Assign) else []
    if isinstance(parent, (ast.AnnAssign, ast.NamedExpr)):
        targets = [parent.target]
    return any(ast.unparse(target) in given for target in targets)
