"""Names taken out of an import, with its layout and comments kept."""

from __future__ import annotations

import ast
import io
import itertools
import tokenize
from typing import NamedTuple

from tornado_unblock._scan.fixes.edits import Text


class _Part(NamedTuple):
    """One name of an import, as places in the text; its comma is inside."""

    start: int
    end: int
    alias: ast.alias


def without(
    text: Text,
    node: ast.ImportFrom,
    moved: list[ast.alias],
    dropped: list[ast.alias],
    module: str,
) -> None:
    """Take names out of an import.

    Args:
        text: What it is in.
        node: The import.
        moved: Names that come from another module.
        dropped: Names that nobody uses.
        module: The other one.
    """
    stay = [each for each in node.names if each not in moved and each not in dropped]
    if not stay and not moved:
        if shares_its_line(text, node):
            text.replace_node(node, "pass")
        else:
            text.remove_lines(node.lineno, node.end_lineno or node.lineno)
        return
    source, comments = text.source(node), ""
    if "(" not in source:
        origin = node.module if stay else module
        names = ", ".join(map(alias_of, stay or moved))
        text.replace_node(node, f"from {origin} import {names}")
    else:
        parts = _parts(text, node)
        comments = _cut(text, parts, stay or moved, moved)
        if not stay:
            at = text.span(node)[0] + source.index(str(node.module), len("from"))
            text.replace(at, at + len(str(node.module)), module)
    if stay and moved:
        names = ", ".join(map(alias_of, moved))
        _add(text, node, f"from {module} import {names}", comments)


def shares_its_line(text: Text, node: ast.stmt) -> bool:
    """Tell whether another statement stands on the line of one."""
    start, end = text.span(node)
    before = text.text[text.line_start(node.lineno) : start]
    after = text.text[end:].split("\n", 1)[0].strip()
    return bool(before.strip()) or after.startswith(";")


def alias_of(alias: ast.alias) -> str:
    """Return a name of an import as it is written."""
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name


def _add(text: Text, node: ast.stmt, line: str, comments: str) -> None:
    start, end = text.span(node)
    if shares_its_line(text, node):
        text.replace(start, start, f"{line}; ")
        return
    rest = text.text[end:].split("\n", 1)[0]
    end += len(rest.rstrip("\r"))
    text.replace(end, end, f"{text.newline}{line}{comments}")


def _parts(text: Text, node: ast.ImportFrom) -> list[_Part]:
    """Return the names that stand in the parentheses of an import."""
    source, starts = text.source(node), [text.span(node)[0]]
    for line in source.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    found: list[_Part] = []
    start = end = 0
    inside = False
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        first, last = (starts[row - 1] + at for row, at in (token.start, token.end))
        if token.string == "(":
            inside = True
        elif inside and token.type == tokenize.NAME:
            start, end = start or first, last
        elif start and token.string in (",", ")"):
            end = last if token.string == "," else end
            found.append(_Part(start, end, node.names[len(found)]))
            start = 0
    return found


def _cut(
    text: Text, parts: list[_Part], stay: list[ast.alias], moved: list[ast.alias]
) -> str:
    """Take out what does not stay; return the comments on lines of what moved."""
    whole, comments = text.text, ""
    for begin, line in itertools.groupby(
        parts, lambda part: whole.rfind("\n", 0, part.start) + 1
    ):
        for stays, group in itertools.groupby(line, lambda part: part.alias in stay):
            if stays:
                continue
            run = list(group)
            start, end = run[0].start, run[-1].end
            rest = whole[end:].split("\n", 1)[0]
            is_last = not rest.strip() or rest.lstrip().startswith("#")
            if is_last and not whole[begin:start].strip():
                start, end = begin, end + len(rest) + 1
                if any(part.alias in moved for part in run):
                    comments += f"  {rest.strip()}" if rest.strip() else ""
            elif is_last:
                start = len(whole[:start].rstrip(" \t"))
            else:
                end += len(rest) - len(rest.lstrip(" \t"))
            text.replace(start, end, "")
    return comments
