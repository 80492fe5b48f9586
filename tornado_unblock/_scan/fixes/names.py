"""Names of a text: what they are bound to, where, and whether that is sure."""

from __future__ import annotations

import ast
from typing import Any, NamedTuple, Optional

_SUBMODULES = ("tornado_unblock.shim", "tornado.gen")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class _Bound(NamedTuple):
    """One place that binds a name; `path` is "" for what is no absolute import."""

    path: str
    line: int
    sure: bool


class Scope:
    """The names that a module, a class body or a function binds.

    Args:
        is_class: Functions inside do not see its names.
    """

    def __init__(self, is_class: bool) -> None:
        self.is_class = is_class
        self.names: dict[str, list[_Bound]] = {}

    def bind(self, name: str, path: str, line: int, sure: bool) -> None:
        """Add a place that binds a name."""
        self.names.setdefault(name, []).append(_Bound(path, line, sure))


class Names:
    """What the names of a text are: imports, and other definitions."""

    def __init__(self, tree: ast.Module) -> None:
        self._module = Scope(False)
        self._scopes = [self._module]
        #: Modules that are imported with all that is around them, and where.
        self._modules: dict[str, int] = {}
        #: By node, the scopes that it sees, the innermost first.
        self._seen: dict[int, tuple[Scope, ...]] = {}
        self._sure = {id(node) for node in tree.body}
        self._read(tree)

    def _read(self, tree: ast.Module) -> None:
        todo: list[tuple[Any, tuple[Scope, ...]]] = [(tree, (self._module,))]
        while todo:
            node, scopes = todo.pop()
            self._seen[id(node)] = scopes
            self._bind(node, scopes[0])
            outer, inner = _parts(node)
            todo.extend((child, scopes) for child in reversed(outer))
            if inner:
                scope = Scope(isinstance(node, ast.ClassDef))
                self._scopes.append(scope)
                around = (scope, *(s for s in scopes if not s.is_class))
                todo.extend((child, around) for child in reversed(inner))

    def _bind(self, node: Any, scope: Scope) -> None:
        line = getattr(node, "lineno", 0)
        sure = id(node) in self._sure
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                path = alias.name if alias.asname else top
                scope.bind(alias.asname or top, path, line, sure)
                if sure:
                    self._modules.setdefault(alias.name, line)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                path = "" if node.level else f"{node.module}.{alias.name}"
                scope.bind(alias.asname or alias.name, path, line, sure)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            scope.bind(node.id, "", line, sure)
        elif isinstance(node, ast.arg):
            scope.bind(node.arg, "", line, sure)
        elif isinstance(node, ast.Global):
            for name in node.names:
                self._module.bind(name, "", line, sure)
        else:  # definitions, exceptions, patterns
            for field in ("name", "rest"):
                found = getattr(node, field, None)
                if isinstance(found, str):
                    scope.bind(found, "", line, sure)

    def scope(self, node: Any) -> Scope:
        """Return the scope that a node stands in."""
        return self._seen.get(id(node), (self._module,))[0]

    def dotted(self, node: Any) -> str:
        """Return what an expression names, from the import on; "" if nothing."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        path = self._path(node) if isinstance(node, ast.Name) else ""
        return ".".join([path, *parts]) if path else ""

    def _path(self, node: ast.Name) -> str:
        for scope in self._seen.get(id(node), (self._module,)):
            bound = scope.names.get(node.id)
            if bound and scope is not self._module:
                paths = {each.path for each in bound}
                return paths.pop() if len(paths) == 1 else ""
        bound = self._module.names.get(node.id, [])
        # One that is defined where its import fails, too, is that import.
        return next((each.path for each in reversed(bound) if each.path), "")

    def taken(self, name: str, path: str) -> bool:
        """Tell whether a name is anything else than `path`, anywhere in the text."""
        return any(
            bound.path != path
            for scope in self._scopes
            for bound in scope.names.get(name, ())
        )

    def imported_as(self, path: str, node: Any) -> Optional[str]:
        """Return the name that surely is `path` where a node stands, None without."""
        seen = self._seen.get(id(node), (self._module,))
        for name, bound in self._module.names.items():
            if any(each.path != path for each in bound):
                continue
            before = [each for each in bound if each.sure and each.line < node.lineno]
            hidden = any(name in scope.names for scope in seen if scope != self._module)
            if before and not hidden:
                return name
        return None

    def alias_of(self, path: str, node: Any) -> Optional[str]:
        """Return what a dotted name is called where a node stands, None if unsure."""
        name = self.imported_as(path, node)
        if name is not None or (path in _SUBMODULES and not self._has(path, node)):
            return name  # its package does not import it
        module = path.rpartition(".")[0]
        targets = [module]
        if self._has(module, node) or self._has(path, node):
            targets.append(module.partition(".")[0])
        for target in targets:
            name = self.imported_as(target, node)
            if name is not None:
                return name + path[len(target) :]
        return None

    def _has(self, module: str, node: Any) -> bool:
        line = self._modules.get(module)
        return line is not None and line < int(node.lineno)


def _parts(node: Any) -> tuple[list[Any], list[Any]]:
    """Return a node's children: those of its own scope, and those of a new one."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [], []
    children = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.ClassDef):
        inner: list[Any] = list(node.body)
    elif isinstance(node, _FUNCTIONS):
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        args = node.args
        children += [each for each in args.defaults + args.kw_defaults if each]
        inner = [a for a in ast.iter_child_nodes(args) if isinstance(a, ast.arg)] + body
        children.remove(args)
    else:
        return children, []
    new = set(map(id, inner))
    return [child for child in children if id(child) not in new], inner
