"""Places in text, changes at them, and imports that a change needs."""

from __future__ import annotations

import ast
import io
import warnings
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Optional


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
    """

    applications: frozenset[str] = frozenset()
    classes: frozenset[int] = frozenset()
    unblocked: str = ""
    on_loop: frozenset[str] = frozenset()
    on_workers: Optional[frozenset[str]] = None
    leaves: tuple[tuple[int, bool], ...] = ()


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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.tree = ast.parse(text)
        self.left: list[Left] = []
        self._lines = [0]
        for line in lines_of(text):
            self._lines.append(self._lines[-1] + len(line))
        self._edits: list[tuple[int, int, str]] = []
        self._imports: list[tuple[str, str]] = []
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

    def need(self, module: str, name: str) -> str:
        """Import a name if it is not there; return what it is called here.

        Raises:
            NameTaken: The text uses the name for something else.
        """
        known = self.names.alias_of(f"{module}.{name}")
        if known is not None:
            return known
        if name in self.names.bound and (module, name) not in self._imports:
            raise NameTaken(name)
        if (module, name) not in self._imports:
            self._imports.append((module, name))
        return name

    def leave(self, node: Any, why: str) -> None:
        """Say that something is not changed."""
        self.left.append(Left(getattr(node, "lineno", 1), why))

    def fixed(self) -> Fixed:
        """Make all changes; what would be no Python any more is not changed at all."""
        text = self.text
        place = self._import_place() if self._imports and self._edits else None
        if place is not None:
            lines = [f"from {m} import {n}{self.newline}" for m, n in self._imports]
            self._edits.append((place, place, "".join(lines)))
        for start, end, new in sorted(self._edits, key=lambda e: e[:2], reverse=True):
            text = text[:start] + new + text[end:]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(text)
        except SyntaxError as error:
            line = error.lineno or 1
            return Fixed(
                self.text, [*self.left, Left(line, "the result would be broken")]
            )
        return Fixed(text, sorted(self.left))

    def _import_place(self) -> int:
        """Return where an import goes: below those that stand at the top."""
        last: Optional[ast.stmt] = None
        for at, node in enumerate(self.tree.body):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                last = node
            elif not (at == 0 and _is_docstring(node)) and last is not None:
                break
        if last is not None:
            return self._after(last)
        first = self.tree.body[0]
        if _is_docstring(first):
            return self._after(first)
        top = getattr(first, "decorator_list", None) or [first]
        return self.line_start(top[0].lineno)

    def _after(self, node: ast.stmt) -> int:
        line = node.end_lineno or node.lineno
        return self._lines[line] if line < len(self._lines) else len(self.text)


class NameTaken(Exception):
    """A name that a fix would import means something else already."""


_SUBMODULES = ("tornado_unblock.shim", "tornado.gen")


class Names:
    """What the names at the top of a text are: imports, and other definitions."""

    def __init__(self, tree: ast.Module) -> None:
        self.imported: dict[str, str] = {}
        #: Modules that are imported with all that is around them.
        self.modules: set[str] = set()
        self.bound: set[str] = set()
        for node in ast.walk(tree):
            self._read(node)

    def _read(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                self.modules.add(alias.name)
                self.imported[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                self.imported[alias.asname or alias.name] = (
                    f"{node.module}.{alias.name}"
                )
        elif isinstance(node, ast.ImportFrom):
            self.bound.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            self.bound.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            self.bound.add(node.id)
        elif isinstance(node, ast.arg):
            self.bound.add(node.arg)
        self.bound.update(self.imported)

    def dotted(self, node: Any) -> str:
        """Return what an expression names, from the import on; "" if nothing."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.imported:
            return ""
        return ".".join([self.imported[node.id], *parts])

    def alias_of(self, path: str) -> Optional[str]:
        """Return what a dotted name is called here, None if it is not imported."""
        module = path.rpartition(".")[0]
        for name, target in self.imported.items():
            if target == path:
                return name
        if path in _SUBMODULES and path not in self.modules:
            return None  # its package does not import it
        for name, target in self.imported.items():
            inside = target == module or (
                module in self.modules and module.startswith(f"{target}.")
            )
            if inside:
                return name + path[len(target) :]
        return None


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
