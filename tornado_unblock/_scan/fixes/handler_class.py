"""`class`: `@unblock` on the handler classes that a scan names.

class Orders(BaseHandler):     @unblock
                               class Orders(BaseHandler):
"""

from __future__ import annotations

import ast

from tornado_unblock._scan.fixes.edits import Facts, Fixed, NameTaken, Text

_UNBLOCK = "tornado_unblock.unblock"


def fix(source: str, facts: Facts) -> Fixed:
    """Decorate classes.

    The decorator stands next to the class, below others: what registers the class for
    a route gets the class that is unblocked.

    Args:
        source: The text of a file.
        facts: Its `classes` are used.
    """
    text = Text(source)
    for node in ast.walk(text.tree):
        if isinstance(node, ast.ClassDef) and node.lineno in facts.classes:
            if not any(_is_unblock(text, each) for each in node.decorator_list):
                _decorate(text, node)
    return text.fixed()


def _is_unblock(text: Text, decorator: ast.expr) -> bool:
    if isinstance(decorator, ast.Call):
        decorator = decorator.func
    return text.names.dotted(decorator) == _UNBLOCK


def _decorate(text: Text, node: ast.ClassDef) -> None:
    start = text.line_start(node.lineno)
    indent = text.text[start : text.offset(node.lineno, node.col_offset)]
    try:
        name = text.need("tornado_unblock", "unblock", node)
    except NameTaken:
        text.leave(node, f"unblock is something else in this file: {node.name}")
        return
    text.insert_line(node.lineno, f"@{name}", indent)
