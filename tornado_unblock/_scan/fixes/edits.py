"""Places in text, changes at them, and imports that a change needs."""

from __future__ import annotations

import ast
import io
import warnings
from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple, Optional

from tornado_unblock._scan.fixes.names import Names

_BROKEN = "the result would be broken"


class Left(NamedTuple):
    """Something that a rule is for and did not change."""

    line: int
    why: str


@dataclass
class Fixed:
    """What a rule made of a text.

    Attributes:
        text: The text, changed or not.
        left: What it is for and did not change.
    """

    text: str
    left: list[Left] = field(default_factory=list)


@dataclass(frozen=True)
class Facts:
    """What a rule cannot know from one file. All of it is about the file at hand.

    Attributes:
        applications: Dotted names of classes that are applications.
        classes: Lines of the handler classes to unblock.
        unblocked: Where `unblock_application` is called for what the file makes, "" if
            nowhere.
        on_loop: Modules, such as "requests", whose calls in this file are reached on
            the loop thread.
        on_workers: Those whose calls are reached on workers; None if nobody looked.
        leaves: Lines of functions that block, and whether only workers call them.
        called: Verbs that code calls by itself, as `super().get()`, and where.
    """

    applications: frozenset[str] = frozenset()
    classes: frozenset[int] = frozenset()
    unblocked: str = ""
    on_loop: frozenset[str] = frozenset()
    on_workers: Optional[frozenset[str]] = None
    leaves: tuple[tuple[int, bool], ...] = ()
    called: tuple[tuple[str, str], ...] = ()


def lines_of(text: str) -> list[str]:
    """Return the lines that Python counts: a form feed, for one, ends none."""
    return io.StringIO(text, newline="").readlines()


class Text:
    """A text with its tree; collects changes and makes them all at once.

    Raises:
        SyntaxError: It is no Python, or none of today's.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = _parse(text)
        self.left: list[Left] = []
        self._lines = [0]
        for line in lines_of(text):
            self._lines.append(self._lines[-1] + len(line))
        self._edits: list[tuple[int, int, str]] = []
        self._imports: list[tuple[str, str]] = []
        #: The first line that needs one of them.
        self._needed = 0
        self.names = Names(self.tree)

    # --- places --------------------------------------------------------------------

    def offset(self, line: int, column: int) -> int:
        """Return the place of a line, from 1, and a column in bytes, as in `ast`."""
        start = self._lines[line - 1]
        end = self._lines[line] if line < len(self._lines) else len(self.text)
        encoded = self.text[start:end].encode("utf-8")
        return start + len(encoded[:column].decode("utf-8"))

    def span(self, node: Any) -> tuple[int, int]:
        """Return where a node begins and ends."""
        return (
            self.offset(node.lineno, node.col_offset),
            self.offset(node.end_lineno, node.end_col_offset),
        )

    def source(self, node: Any) -> str:
        """Return a node as it is written."""
        start, end = self.span(node)
        return self.text[start:end]

    def line_start(self, line: int) -> int:
        """Return where a line begins."""
        return self._lines[line - 1]

    def indent(self, line: int) -> str:
        """Return what stands before the first character of a line."""
        text = self.text[self._lines[line - 1] :]
        return text[: len(text) - len(text.lstrip(" \t"))]

    @property
    def newline(self) -> str:
        """How its lines end."""
        return "\r\n" if "\r\n" in self.text else "\n"

    # --- changes -------------------------------------------------------------------

    def replace(self, start: int, end: int, text: str) -> None:
        """Put `text` in the place of what is there."""
        self._edits.append((start, end, text))

    def replace_node(self, node: Any, text: str) -> None:
        """Put `text` in the place of a node."""
        self.replace(*self.span(node), text)

    def insert_line(self, line: int, text: str, indent: str) -> None:
        """Put a line of its own above another."""
        start = self.line_start(line)
        self.replace(start, start, f"{indent}{text}{self.newline}")

    def remove_lines(self, first: int, last: int) -> None:
        """Take whole lines away."""
        end = self._lines[last] if last < len(self._lines) else len(self.text)
        self.replace(self.line_start(first), end, "")

    def need(self, module: str, name: str, node: Any) -> str:
        """Import a name if it is not there; return what it is called at a node.

        Raises:
            NameTaken: The text uses the name for something else.
        """
        known = self.names.alias_of(f"{module}.{name}", node)
        if known is not None:
            return known
        if self.names.taken(name, f"{module}.{name}"):
            raise NameTaken(name)
        if (module, name) not in self._imports:
            self._imports.append((module, name))
        line = _first_line(node)
        self._needed = min(self._needed or line, line)
        return name

    def leave(self, node: Any, why: str) -> None:
        """Say that something is not changed."""
        self.left.append(Left(getattr(node, "lineno", 1), why))

    def attempt(self, node: Any, change: Callable[[], None]) -> bool:
        """Make all the changes that belong together, or say why none is made."""
        edits, imports, needed = len(self._edits), len(self._imports), self._needed
        try:
            change()
            _parse(self._changed(self._edits[edits:]))
        except NameTaken as taken:
            self.leave(node, f"{taken} is something else in this file")
        except SyntaxError:
            self.leave(node, _BROKEN)
        else:
            return True
        del self._edits[edits:], self._imports[imports:]
        self._needed = needed
        return False

    def fixed(self) -> Fixed:
        """Make all changes; what would be no Python any more is not changed at all."""
        place = None
        if self._imports and self._edits:
            place = self._import_place()
            if place is None:
                why = "there is no line of its own for an import"
                return self._unchanged(self._needed, why)
            lines = [f"from {m} import {n}{self.newline}" for m, n in self._imports]
            self._edits.append((place, place, "".join(lines)))
        text = self._changed(self._edits)
        try:
            _parse(text)
        except SyntaxError as error:
            return self._unchanged(error.lineno or 1, _BROKEN)
        return Fixed(text, sorted(self.left))

    def _changed(self, edits: list[tuple[int, int, str]]) -> str:
        text = self.text
        for start, end, new in sorted(edits, key=lambda e: e[:2], reverse=True):
            text = text[:start] + new + text[end:]
        return text

    def _unchanged(self, line: int, why: str) -> Fixed:
        return Fixed(self.text, sorted([*self.left, Left(line, why)]))

    def _import_place(self) -> Optional[int]:
        """Return where an import goes: below those at the top, above its first use."""
        body = self.tree.body
        top = 1 if _is_docstring(body[0]) else 0
        while top < len(body) and _is_future(body[top]):
            top += 1
        last = top
        for at in range(top, len(body)):
            is_import = isinstance(body[at], (ast.Import, ast.ImportFrom))
            if is_import and body[at].lineno < self._needed:
                last = at + 1
            elif last and isinstance(body[last - 1], (ast.Import, ast.ImportFrom)):
                break
        for at in (*range(last, top - 1, -1), *range(last + 1, len(body))):
            below = _first_line(body[at])
            if below > self._needed:
                break
            if at == 0:
                return self.line_start(below)
            if (body[at - 1].end_lineno or 0) < below:
                return self._after(body[at - 1])
        return None

    def _after(self, node: ast.stmt) -> int:
        line = node.end_lineno or node.lineno
        return self._lines[line] if line < len(self._lines) else len(self.text)


class NameTaken(Exception):
    """A name that a fix would import means something else already."""


def _parse(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def _first_line(node: Any) -> int:
    first = (getattr(node, "decorator_list", None) or [node])[0]
    return int(first.lineno)


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def is_alone(text: Text, decorator: ast.expr) -> bool:
    """Tell whether nothing but the decorator is on its lines: no comment either."""
    start, end = text.span(decorator)
    before = text.text[text.line_start(decorator.lineno) : start]
    rest = text.text[end:].split("\n", 1)[0]
    return before.strip() == "@" and not rest.strip()
