"""Names of one scope and what they are bound to; and what the scope's code does.

A scope is a module, a class body, a function or a lambda. It is read once, in one
pass without recursion, when somebody first asks for it.
"""

from __future__ import annotations

import ast
from typing import Any, NamedTuple, Optional

#: How a name gets its value from an expression.
VALUE, ITEM, ENTERED, ANNOTATION, DEFINITION, IMPORT, FROM = range(7)


#: They wait for the futures that they are given.
_GATHERING = {"gather", "multi", "multi_future", "wait", "wait_for", "with_timeout"}
_GATHERING |= {"shield", "convert_yielded"}


class Binding(NamedTuple):
    """One place where a name, or an attribute, gets a value."""

    how: int
    node: Any
    #: Which part of it, for `a, b = value`.
    at: Optional[int] = None
    #: The name in the other module, for FROM; the dotted name, for IMPORT.
    name: str = ""


class Store(NamedTuple):
    """`target.attribute = ...` or `target[...] = ...`."""

    target: Any
    binding: Binding


class Scope:
    """One scope, read."""

    __slots__ = (
        "_futures",
        "async_iterated",
        "async_withs",
        "attributes",
        "awaited",
        "bindings",
        "calls",
        "classes",
        "functions",
        "globals",
        "items",
        "iterated",
        "loads",
        "node",
        "returns",
        "stars",
        "subscripts",
        "withs",
        "yields",
    )

    def __init__(self, node: Any) -> None:
        self.node = node
        self.bindings: dict[str, list[Binding]] = {}
        self.calls: list[ast.Call] = []
        # What is awaited or yielded right away, or passed to what is, by id.
        self.awaited: set[int] = set()
        self._futures: list[str] = []
        self.loads: list[ast.Attribute] = []
        self.subscripts: list[ast.Subscript] = []
        self.iterated: list[ast.expr] = []
        self.withs: list[ast.expr] = []
        self.async_iterated: list[ast.expr] = []
        self.async_withs: list[ast.expr] = []
        self.returns: list[ast.expr] = []
        self.yields: list[ast.expr] = []
        self.attributes: list[Store] = []
        self.items: list[Store] = []
        self.globals: set[str] = set()
        self.stars: list[ast.ImportFrom] = []
        self.functions: list[Any] = []
        self.classes: list[ast.ClassDef] = []
        self._read()

    def _bind(self, name: str, binding: Binding) -> None:
        self.bindings.setdefault(name, []).append(binding)

    def _read(self) -> None:
        body = self.node.body
        todo: list[Any] = [body] if isinstance(body, ast.expr) else list(body[::-1])
        if isinstance(self.node, ast.Lambda):
            self.returns.append(body)
        while todo:
            node = todo.pop()
            reader = _READERS.get(type(node))
            if reader is None or reader(self, node):
                todo.extend(_children(node))
        for name in self._futures:
            for binding in self.bindings.get(name, ()):
                if binding.how == VALUE:
                    self.awaited.update(map(id, ast.walk(binding.node)))

    # Each returns whether the node's children are of this scope.

    def _definition(self, node: Any) -> bool:
        self._bind(node.name, Binding(DEFINITION, node))
        is_class = isinstance(node, ast.ClassDef)
        (self.classes if is_class else self.functions).append(node)
        return False

    def _nothing(self, node: Any) -> bool:
        return False

    def _call(self, node: ast.Call) -> bool:
        self.calls.append(node)
        func = node.func
        name = getattr(func, "attr", "") or getattr(func, "id", "")
        if name == "add_future" and node.args:
            self._await(node.args[0])
        elif name == "add_done_callback":
            self._await(func)
        if name == "Return" and node.args:  # raise gen.Return(value)
            self.returns.append(node.args[0])
        return True

    def _awaits(self, node: Any) -> bool:
        value = node.value
        if value is not None:
            self._await(value)
            if not isinstance(node, ast.Await):
                self.yields.append(value)
        return True

    def _await(self, value: ast.expr) -> None:
        self.awaited.update(map(id, ast.walk(value)))
        todo = [value]
        while todo:
            node = todo.pop()
            if isinstance(node, ast.Name):
                self._futures.append(node.id)
            elif isinstance(node, (ast.List, ast.Tuple)):
                todo += node.elts
            elif isinstance(node, (ast.Starred, ast.Attribute)):
                todo.append(node.value)
            elif isinstance(node, ast.Call):
                func = node.func
                name = getattr(func, "attr", "") or getattr(func, "id", "")
                todo += node.args if name in _GATHERING else ()

    def _return(self, node: ast.Return) -> bool:
        if node.value is not None:
            self.returns.append(node.value)
        return True

    def _attribute(self, node: ast.Attribute) -> bool:
        if isinstance(node.ctx, ast.Load):
            self.loads.append(node)
        return True

    def _subscript(self, node: ast.Subscript) -> bool:
        if isinstance(node.ctx, ast.Load):
            self.subscripts.append(node)
        return True

    def _global(self, node: ast.Global) -> bool:
        self.globals.update(node.names)
        return False

    def _import(self, node: ast.Import) -> bool:
        for alias in node.names:
            if alias.asname:
                self._bind(alias.asname, Binding(IMPORT, node, None, alias.name))
            else:
                top = alias.name.partition(".")[0]
                self._bind(top, Binding(IMPORT, node, None, top))
        return False

    def _from(self, node: ast.ImportFrom) -> bool:
        for alias in node.names:
            if alias.name == "*":
                self.stars.append(node)
            else:
                name = alias.asname or alias.name
                self._bind(name, Binding(FROM, node, None, alias.name))
        return False

    def _assign(self, node: ast.Assign) -> bool:
        for target in node.targets:
            self._target(target, Binding(VALUE, node.value))
        return True

    def _annotated(self, node: ast.AnnAssign) -> bool:
        self._target(node.target, Binding(ANNOTATION, node.annotation))
        if node.value is not None:
            self._target(node.target, Binding(VALUE, node.value))
        return True

    def _augmented(self, node: ast.AugAssign) -> bool:
        if isinstance(node.target, (ast.Attribute, ast.Subscript)):
            self._target(node.target, Binding(VALUE, node.value))
        else:
            self._bind(node.target.id, Binding(VALUE, node.value))
        return True

    def _walrus(self, node: ast.NamedExpr) -> bool:
        self._target(node.target, Binding(VALUE, node.value))
        return True

    def _for(self, node: Any) -> bool:
        waits = isinstance(node, ast.AsyncFor) or getattr(node, "is_async", False)
        (self.async_iterated if waits else self.iterated).append(node.iter)
        self._target(node.target, Binding(ITEM, node.iter))
        return True

    def _starred(self, node: ast.Starred) -> bool:
        if isinstance(node.ctx, ast.Load):
            self.iterated.append(node.value)
        return True

    def _with(self, node: Any) -> bool:
        for item in node.items:
            plain = isinstance(node, ast.With)
            (self.withs if plain else self.async_withs).append(item.context_expr)
            if item.optional_vars is not None:
                self._target(item.optional_vars, Binding(ENTERED, item.context_expr))
        return True

    def _target(self, target: Any, binding: Binding) -> None:
        if isinstance(target, ast.Name):
            self._bind(target.id, binding)
        elif isinstance(target, ast.Attribute):
            self.attributes.append(Store(target, binding))
        elif isinstance(target, ast.Subscript):
            self.items.append(Store(target, binding))
        else:  # a tuple or a list
            for at, part in enumerate(target.elts):
                if binding.at is None and not isinstance(part, ast.Starred):
                    self._target(part, binding._replace(at=at))


def scope_of(node: Any) -> Scope:
    """Return the scope of a node, which is read once."""
    scope = getattr(node, "_scope", None)
    if scope is None:
        scope = node._scope = Scope(node)
    return scope


def _children(node: Any) -> list[Any]:
    found: list[Any] = []
    for name in node._fields:
        child = getattr(node, name, None)
        if isinstance(child, list):
            found.extend(part for part in child if isinstance(part, ast.AST))
        elif isinstance(child, ast.AST):
            found.append(child)
    return found[::-1]


_READERS: dict[type, Any] = {
    ast.FunctionDef: Scope._definition,
    ast.AsyncFunctionDef: Scope._definition,
    ast.ClassDef: Scope._definition,
    ast.Lambda: Scope._nothing,
    ast.Constant: Scope._nothing,
    ast.Name: Scope._nothing,
    ast.Call: Scope._call,
    ast.Await: Scope._awaits,
    ast.Yield: Scope._awaits,
    ast.YieldFrom: Scope._awaits,
    ast.Return: Scope._return,
    ast.Attribute: Scope._attribute,
    ast.Subscript: Scope._subscript,
    ast.Global: Scope._global,
    ast.Import: Scope._import,
    ast.ImportFrom: Scope._from,
    ast.Assign: Scope._assign,
    ast.AnnAssign: Scope._annotated,
    ast.AugAssign: Scope._augmented,
    ast.NamedExpr: Scope._walrus,
    ast.For: Scope._for,
    ast.AsyncFor: Scope._for,
    ast.comprehension: Scope._for,
    ast.Starred: Scope._starred,
    ast.With: Scope._with,
    ast.AsyncWith: Scope._with,
}
