"""`shim-imports`: the shim's facades in the place of what they stand for.

    import requests                from tornado_unblock.shim import requests
    from time import sleep         from tornado_unblock.shim.time import sleep

What a facade does not have of its own it passes through, so only imports change. On
the loop thread a facade refuses to block: files whose calls are reached there are left
alone until their handlers are unblocked.
"""

from __future__ import annotations

import ast
from typing import Optional

from tornado_unblock._scan.fixes.edits import Facts, Fixed, Text
from tornado_unblock._scan.fixes.imports import alias_of, shares_its_line

FACADES = ("redis", "requests", "smtplib", "subprocess", "time")
_SHIM = "tornado_unblock.shim"


def fix(source: str, facts: Facts) -> Fixed:
    """Change imports.

    Args:
        source: The text of a file.
        facts: Its `on_loop` and `on_workers` are used.
    """
    text = Text(source)
    for node in ast.walk(text.tree):
        if isinstance(node, ast.Import):
            _import(text, node, facts)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            _from(text, node, facts)
    return text.fixed()


def _import(text: Text, node: ast.Import, facts: Facts) -> None:
    chosen = []
    for alias in node.names:
        top = alias.name.partition(".")[0]
        if top not in FACADES:
            continue
        if alias.name != top:
            text.leave(node, f"import {alias.name}: a module inside {top}")
        elif _may(text, node, top, facts):
            again = None if alias.asname else _again(text, node, top)
            if again is None:
                chosen.append(alias)
            else:
                text.leave(node, f"{again} gives its name to the package again")
    if not chosen:
        return
    if shares_its_line(text, node):
        text.leave(node, "more than one statement on the line")
        return
    indent = text.indent(node.lineno)
    kept = [alias for alias in node.names if alias not in chosen]
    lines = [f"import {', '.join(map(alias_of, kept))}"] if kept else []
    lines += [f"from {_SHIM} import {alias_of(alias)}" for alias in chosen]
    text.replace_node(node, f"{text.newline}{indent}".join(lines))


def _from(text: Text, node: ast.ImportFrom, facts: Facts) -> None:
    module = node.module or ""
    top = module.partition(".")[0]
    if top not in FACADES:
        return
    names = [alias.name for alias in node.names]
    if module != top or names == ["*"]:
        text.leave(
            node, f"from {module} import {', '.join(names)}: not only names of {top}"
        )
    elif _may(text, node, top, facts):
        start, end = text.span(node)
        written = text.text[start:end]
        before, after = written.split(module, 1)
        text.replace(start, end, f"{before}{_SHIM}.{module}{after}")


def _may(text: Text, node: ast.stmt, top: str, facts: Facts) -> bool:
    if top in facts.on_loop:
        text.leave(node, f"{top} is called on the loop thread: unblock that first")
        return False
    return facts.on_workers is None or top in facts.on_workers


def _again(text: Text, node: ast.Import, top: str) -> Optional[str]:
    """Return the import below that stays, and gives the name to the package again.

    One of a module inside, above, does no harm: the facade passes on what it loaded.
    """
    scope = text.names.scope(node)
    for other in ast.walk(text.tree):
        if not isinstance(other, ast.Import) or text.names.scope(other) is not scope:
            continue
        for alias in other.names:
            shared = other is not node and shares_its_line(text, other)
            is_it = alias.name.partition(".")[0] == top and not alias.asname
            stays = shared or alias.name != top
            if is_it and stays and other.lineno >= node.lineno:
                return f"import {alias.name} in line {other.lineno}"
    return None
