"""The code base: its modules by name, its classes, and where an import leads."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Optional

from tornado_unblock._scan.frames import Frame
from tornado_unblock._scan.scopes import Scope, scope_of
from tornado_unblock._scan.source import Problem, Source
from tornado_unblock._scan.values import FunctionNode


class Module:
    """One file as a module.

    Attributes:
        name: Dotted, from the folder that has no `__init__.py`.
        source: Its file.
        is_package: Whether it is an `__init__.py`.
    """

    def __init__(self, name: str, source: Source, is_package: bool) -> None:
        self.name = name
        self.source = source
        self.is_package = is_package
        self.path = str(source.path)
        self._frame: Optional[Frame] = None

    @property
    def frame(self) -> Frame:
        """The module's own names."""
        if self._frame is None:
            tree = self.source.tree or ast.Module([], [])
            self._frame = Frame(scope_of(tree), self)
            if "global " in self.source.text:
                self._read_globals(self._frame.scope)
        return self._frame

    def _read_globals(self, scope: Scope) -> None:
        """Add what functions assign to names that they declare `global`."""
        todo: list[tuple[Any, Any]] = [(scope.node, None)]
        functions: dict[Any, None] = {}
        while todo:
            node, function = todo.pop()
            if isinstance(node, ast.Global):
                functions[function] = None
            around = node if isinstance(node, FunctionNode) else function
            if not isinstance(node, ast.expr):
                todo.extend((child, around) for child in ast.iter_child_nodes(node))
        for function in filter(None, functions):
            inner = scope_of(function)
            for name in inner.globals:
                found = inner.bindings.get(name, [])
                scope.bindings.setdefault(name, []).extend(found)

    def line(self, number: int) -> str:
        """Return a line of its text, stripped."""
        lines = self.source.text.split("\n", number)
        return lines[number - 1].strip() if 0 < number <= len(lines) else ""


class Class:
    """A class of the code base. `Interpreter.mro` knows its bases."""

    def __init__(self, node: ast.ClassDef, parent: Frame) -> None:
        self.node = node
        self.name = node.name
        self.module = parent.module
        self.parent = parent
        self.frame = Frame(scope_of(node), parent.module, parent, self)
        self.mro: Optional[list[Any]] = None
        self._stored: Optional[dict[str, list[tuple[Any, Any]]]] = None

    @property
    def methods(self) -> dict[str, Any]:
        """Its own functions by name; the last one if there are several."""
        return {node.name: node for node in self.frame.scope.functions}

    def stored(self) -> dict[str, list[tuple[Any, Any]]]:
        """Return what its methods assign to attributes of their first argument.

        By name; each is the method and the binding.
        """
        if self._stored is None:
            self._stored = {}
            for method in self.frame.scope.functions:
                args = method.args.posonlyargs + method.args.args
                if not args:
                    continue
                for target, binding in scope_of(method).attributes:
                    base = target.value
                    if isinstance(base, ast.Name) and base.id == args[0].arg:
                        found = self._stored.setdefault(target.attr, [])
                        found.append((method, binding))
        return self._stored


class Project:
    """All files of a code base, each read once."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.roots = [path if path.is_dir() else path.parent for path in paths]
        self.modules: list[Module] = []
        self.problems: list[Problem] = []
        self._names: dict[str, Module] = {}
        self._endings: dict[str, list[Module]] = {}
        self._found: dict[tuple[str, str, bool], Optional[Module]] = {}
        self._packages: dict[str, bool] = {}

    def load(self, sources: Iterable[Source]) -> None:
        """Add files that have been read, as far as they could be."""
        for source in sources:
            if source.problem is not None:
                self.problems.append(source.problem)
            if source.tree is not None:
                self.add(source)

    def add(self, source: Source) -> Module:
        """Add a file that has been read."""
        parts = self._dotted(source.path)
        is_package = source.path.name == "__init__.py"
        module = Module(".".join(parts), source, is_package)
        self.modules.append(module)
        self._names.setdefault(module.name, module)
        for start in range(len(parts)):
            ending = ".".join(parts[start:])
            self._endings.setdefault(ending, []).append(module)
        return module

    def _dotted(self, path: Path) -> list[str]:
        """Return a module's name: as many folders as there are, below the roots."""
        parts = [] if path.name == "__init__.py" else [path.stem]
        folder = Path(os.path.abspath(path)).parent
        roots = {os.path.abspath(root) for root in self.roots}
        while True:
            inside = self._is_package(folder)
            if not inside and str(folder) in roots:
                break
            if not folder.name or (
                not inside
                and not any(
                    os.path.commonpath([root, folder]) == root for root in roots
                )
            ):
                break
            parts.insert(0, folder.name)
            folder = folder.parent
        return parts or [folder.name or "__init__"]

    def _is_package(self, folder: Path) -> bool:
        key = str(folder)
        known = self._packages.get(key)
        if known is None:
            known = self._packages[key] = (folder / "__init__.py").exists()
        return known

    def find(
        self, name: str, importer: Module, foreign: bool = False
    ) -> Optional[Module]:
        """Return the module of a dotted name, as another module would find it.

        Args:
            name: Absolute.
            importer: Who imports.
            foreign: It is a name that others are known to have, such as `redis`:
                only an exact place will do.
        """
        key = (name, importer.path, foreign)
        if key not in self._found:
            self._found[key] = self._find(name, importer, foreign)
        return self._found[key]

    def _find(self, name: str, importer: Module, foreign: bool) -> Optional[Module]:
        exact = self._names.get(name)
        package = importer.name.rpartition(".")[0]
        beside = self._names.get(f"{package}.{name}") if package else None
        if exact is not None or (beside is not None and beside is not importer):
            # Beside: a script's folder, or an implicit relative import of Python 2.
            return exact if exact is not None and exact is not importer else beside
        if foreign:
            return None
        others = [m for m in self._endings.get(name, ()) if m is not importer]
        return max(others, key=lambda m: _shared(m, importer), default=None)

    def named(self, name: str) -> Optional[Module]:
        """Return the module of exactly this name."""
        return self._names.get(name)

    @staticmethod
    def absolute(module: Module, level: int, name: Optional[str]) -> str:
        """Return the absolute name of a relative import."""
        if not level:
            return name or ""
        parts = module.name.split(".")
        parts = parts[: len(parts) - level + (1 if module.is_package else 0)]
        return ".".join([*parts, *([name] if name else [])])


def _shared(module: Module, other: Module) -> int:
    parts, others = Path(module.path).parts, Path(other.path).parts
    same = 0
    while same < min(len(parts), len(others)) and parts[same] == others[same]:
        same += 1
    return same
