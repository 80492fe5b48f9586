"""`legacy`: what Tornado 6 removed, as it is written today.

    @asynchronous                          async def get(self):
    @gen.engine                                await gen.sleep(1)
    def get(self):                             self.finish("done")
        yield gen.Task(loop.add_timeout, time.time() + 1)
        self.finish("done")

What has no equal today, such as a verb that ends in a callback, is imported from
`tornado_unblock.shim.legacy`, where it works as it did; and it is said, for that is
where to write `async def` by hand. `gen.coroutine` is no old form, and stays.
"""

from __future__ import annotations

import ast
from typing import Any, Optional

from tornado_unblock._scan.fixes.calls import VERBS, called
from tornado_unblock._scan.fixes.edits import Facts, Fixed, NameTaken, Text, is_alone
from tornado_unblock._scan.fixes.imports import without
from tornado_unblock._scan.fixes.paths import always_finishes

_SHIM = "tornado_unblock.shim.legacy"
#: What is gone, and has its name in the shim.
_GONE = {
    "tornado.web.asynchronous": "asynchronous",
    "tornado.gen.engine": "engine",
    "tornado.gen.Task": "Task",
    "tornado.concurrent.return_future": "return_future",
}
#: What is gone and is not taken apart here.
_HARD = (
    "tornado.gen.Callback",
    "tornado.gen.Wait",
    "tornado.gen.YieldPoint",
    "tornado.gen.Multi",
    "tornado.stack_context",
)
_CLIENT = "tornado.httpclient.AsyncHTTPClient"
_INSTANCE = "tornado.ioloop.IOLoop.instance"
_AWAITABLE = {"tornado.gen.Task", "tornado.gen.sleep", "tornado.gen.multi"}
_AWAITABLE |= {"tornado.gen.with_timeout", "tornado.gen.maybe_future"}


def fix(source: str, facts: Facts) -> Fixed:
    """Rewrite old forms.

    Args:
        source: The text of a file.
        facts: Its `called` is used.
    """
    text = Text(source)
    hard = _hard(text)
    if hard is not None:
        text.leave(hard, f"{ast.unparse(hard)}: too old a form; docs/legacy.md has it")
        return text.fixed()
    return _Legacy(text, dict(called([("", text.tree)]) + facts.called)).fix()


def _hard(text: Text) -> Optional[Any]:
    for node in ast.walk(text.tree):
        if isinstance(node, ast.Attribute) and text.names.dotted(node).startswith(
            _HARD
        ):
            return node
        if isinstance(node, ast.ImportFrom) and node.module:
            if f"{node.module}.".startswith("tornado.stack_context."):
                return node
            if any(f"{node.module}.{a.name}" in _HARD for a in node.names):
                return node
    return None


class _Legacy:
    """Rewrites one text."""

    def __init__(self, text: Text, called: dict[str, str]) -> None:
        self.text = text
        self.called = called
        self.names = text.names
        #: Nodes that are gone, or rewritten as part of others, by id.
        self.done: set[int] = set()
        #: Names of the shim that stay in use.
        self.kept: set[str] = set()

    def fix(self) -> Fixed:
        """Rewrite all of it."""
        for node in ast.walk(self.text.tree):
            if isinstance(node, ast.ClassDef):
                for method in node.body:
                    if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)):
                        self._method(method, node)
        self._clients()
        for node in ast.walk(self.text.tree):
            if isinstance(node, ast.Call):
                self._instance(node)
        self._rest()
        for node in ast.walk(self.text.tree):
            if isinstance(node, ast.ImportFrom):
                self._import(node)
        return self.text.fixed()

    # --- verbs ---------------------------------------------------------------------

    def _decorators(self, node: Any) -> dict[str, ast.expr]:
        found = {}
        for each in node.decorator_list:
            dotted = self.names.dotted(getattr(each, "func", each))
            if dotted:
                found[dotted] = each
        return found

    def _method(self, node: Any, cls: ast.ClassDef) -> None:
        decorators = self._decorators(node)
        old = decorators.get("tornado.web.asynchronous")
        engine = decorators.get("tornado.gen.engine")
        coroutine = decorators.get("tornado.gen.coroutine")
        if engine is not None and self._may_be_async(node, cls, old):
            done = set(self.done)
            if not self.text.attempt(node, lambda: self._to_async(node)):
                self.done = done
        elif old is not None and engine is None:
            if coroutine is not None or isinstance(node, ast.AsyncFunctionDef):
                self._remove(old)
            else:
                self.text.leave(
                    node, f"{node.name} ends in a callback: async def is better"
                )
        executor = decorators.get("tornado.concurrent.run_on_executor")
        if executor is not None and node.name in VERBS:
            self._unblock(node, executor, len(node.decorator_list))

    def _may_be_async(self, node: Any, cls: ast.ClassDef, old: Optional[Any]) -> bool:
        """Tell whether an engine can be a coroutine: a verb that finishes, no more."""
        if node.name not in VERBS or old is None:
            if node.name in VERBS:
                self.text.leave(node, f"{node.name}: gen.engine without asynchronous")
            else:
                self.text.leave(node, f"{node.name} gives its result to a callback")
            return False
        own = list(_own_nodes(node))
        calls = [n for n in own if isinstance(n, ast.Call)]
        raised = any(
            self._is_return(call) and (call.args or call.keywords) for call in calls
        )
        if raised or any(isinstance(n, ast.Return) and n.value for n in own):
            self.text.leave(node, f"{node.name} returns a value")
            return False
        if not always_finishes(node, self._is_return):
            self.text.leave(node, f"{node.name} does not finish here on every path")
            return False
        for each in own:
            if isinstance(each, ast.Yield) and not self._is_understood(each.value, cls):
                what = ast.unparse(each.value) if each.value else ""
                self.text.leave(each, f"{node.name} yields {what}: is it awaitable?")
                return False
        if self._is_called(node, cls):
            return False
        alone = all(is_alone(self.text, each) for each in node.decorator_list)
        if not alone or len(node.decorator_list) > 2:
            self.text.leave(
                node, f"{node.name} has other decorators, or comments there"
            )
            return False
        return True

    def _is_called(self, node: Any, cls: ast.ClassDef) -> bool:
        names = {node.name, *_other_names(cls, node.name)}
        where = next((w for name, w in self.called.items() if name in names), None)
        if any(_called_bare(cls, name) for name in names):
            self.text.leave(node, f"{node.name} is called by other methods")
        elif where is not None:
            where = f"in {where}" if ":" in where else f"in line {where}"
            self.text.leave(node, f"{node.name}: one of this name is called {where}")
        else:
            return False
        return True

    def _to_async(self, node: Any) -> None:
        for decorator in node.decorator_list:  # these two, as was made sure
            self._remove(decorator)
        start = self.text.offset(node.lineno, node.col_offset)
        self.text.replace(start, start, "async ")
        for each in _own_nodes(node):
            if isinstance(each, ast.Yield):
                self._await(each)
            elif isinstance(each, ast.Raise):
                self._return(each)

    def _return(self, node: ast.Raise) -> None:
        if self._is_return(node.exc):
            self.text.replace_node(node, "return")

    def _is_return(self, raised: Any) -> bool:
        func = getattr(raised, "func", raised)
        return self.names.dotted(func) == "tornado.gen.Return"

    def _await(self, node: ast.Yield) -> None:
        """Turn `yield x` into `await x`; x is understood."""
        value = node.value
        start, _ = self.text.span(node)
        if _is_nothing(value) or self.names.dotted(value) == "tornado.gen.moment":
            self.text.replace_node(node, f"await {self._gen('sleep', node)}(0)")
            return
        assert value is not None
        seconds = self._sleep(value)
        if seconds is not None:
            self.text.replace_node(node, f"await {self._gen('sleep', node)}({seconds})")
            for each in ast.walk(value):
                self.done.add(id(each))
            return
        begins, ends = self.text.span(value)
        behind = start + len("yield")
        if isinstance(value, (ast.List, ast.Dict)):
            space = " " if begins == behind else ""
            self.text.replace(begins, begins, f"{space}{self._gen('multi', node)}(")
            self.text.replace(ends, ends, ")")
        self.text.replace(start, behind, "await")

    def _is_understood(self, value: Any, cls: ast.ClassDef) -> bool:
        """Tell whether what is yielded can be awaited, or is made so."""
        if _is_nothing(value) or isinstance(value, (ast.List, ast.Dict)):
            return True
        if self.names.dotted(value) == "tornado.gen.moment":
            return True
        if not isinstance(value, ast.Call):
            return False
        dotted = self.names.dotted(value.func)
        if dotted in _AWAITABLE or dotted.startswith("asyncio."):
            return True
        name = _method_of_self(value)
        return any(
            isinstance(node, ast.AsyncFunctionDef)
            or "tornado.gen.coroutine" in self._decorators(node)
            for node in cls.body
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            and node.name == name
        )

    def _sleep(self, value: ast.expr) -> Optional[str]:
        """Return the seconds of `gen.Task(loop.add_timeout, time.time() + seconds)`."""
        if not (isinstance(value, ast.Call) and len(value.args) == 2):
            return None
        if self.names.dotted(value.func) != "tornado.gen.Task" or value.keywords:
            return None
        if "#" in self.text.source(value):
            return None  # a comment, maybe
        function, deadline = value.args
        if not (isinstance(function, ast.Attribute) and function.attr == "add_timeout"):
            return None
        if isinstance(deadline, ast.BinOp) and isinstance(deadline.op, ast.Add):
            if ast.unparse(deadline.left) == "time.time()":
                return self.text.source(deadline.right)
        return None

    def _gen(self, name: str, node: Any) -> str:
        known = self.names.alias_of("tornado.gen", node)
        return f"{known}.{name}" if known else self.text.need("tornado.gen", name, node)

    def _unblock(self, node: Any, executor: ast.expr, count: int) -> None:
        returns = [n for n in _own_nodes(node) if isinstance(n, ast.Return)]
        if count > 1:
            self.text.leave(node, f"{node.name} has other decorators")
        elif any(each.value is not None for each in returns):
            self.text.leave(node, f"{node.name} returns a value, which was ignored")
        else:
            try:
                name = self.text.need("tornado_unblock", "unblock", node)
            except NameTaken:
                self.text.leave(node, f"unblock is something else: {node.name}")
                return
            self.text.replace_node(executor, name)

    def _remove(self, decorator: ast.expr) -> None:
        for each in ast.walk(decorator):
            self.done.add(id(each))
        first, last = decorator.lineno, decorator.end_lineno or decorator.lineno
        self.text.remove_lines(first, last)

    # --- callbacks -----------------------------------------------------------------

    def _clients(self) -> None:
        """Import the client of the shim where a callback is passed to `fetch`."""
        tree = self.text.tree
        if not any(self._has_callback(node) for node in ast.walk(tree)):
            return
        for node in ast.walk(tree):
            is_name = isinstance(node, (ast.Name, ast.Attribute))
            if is_name and self.names.dotted(node) == _CLIENT:
                self._from_shim(node, _CLIENT, "AsyncHTTPClient")

    def _has_callback(self, node: Any) -> bool:
        if not isinstance(node, ast.Call):
            return False
        if isinstance(node.func, ast.Attribute) and node.func.attr == "fetch":
            named = any(keyword.arg == "callback" for keyword in node.keywords)
            return named or len(node.args) > 1
        if self.names.dotted(node.func) == "tornado.gen.Task" and node.args:
            function = node.args[0]
            return isinstance(function, ast.Attribute) and function.attr == "fetch"
        return False

    def _instance(self, node: ast.Call) -> None:
        func = node.func
        if not isinstance(func, ast.Attribute):
            return
        inner = func.value
        if func.attr == "add_callback" and isinstance(inner, ast.Call):
            if self.names.dotted(inner.func) == _INSTANCE:
                # What other threads may call; there `current` is another one.
                self.done.add(id(inner.func))
                self.text.leave(
                    node,
                    f"{ast.unparse(func)}: on another thread it is another loop today; "
                    f"IOLoop of {_SHIM} finds the one that runs",
                )
        elif self.names.dotted(func) == _INSTANCE and id(func) not in self.done:
            _, end = self.text.span(func)
            self.text.replace(end - len("instance"), end, "current")

    # --- what stays, by way of the shim --------------------------------------------

    def _rest(self) -> None:
        for node in ast.walk(self.text.tree):
            if id(node) in self.done or not isinstance(node, (ast.Name, ast.Attribute)):
                continue
            dotted = self.names.dotted(node)
            if dotted in _GONE:
                self._from_shim(node, dotted, _GONE[dotted])

    def _from_shim(self, node: Any, dotted: str, name: str) -> None:
        """Have a name, or `module.name`, be the shim's."""
        known = None
        if isinstance(node, ast.Attribute):
            known = self.names.imported_as(dotted, node)
            if known is None:
                self._need(node, name)
                return
            self.text.replace_node(node, known)
        self.kept.add(dotted)

    def _need(self, node: Any, name: str) -> None:
        try:
            self.text.replace_node(node, self.text.need(_SHIM, name, node))
        except NameTaken as taken:
            self.text.leave(node, f"{taken} is something else in this file")

    def _import(self, node: ast.ImportFrom) -> None:
        """Take away what Tornado has no longer; what stays in use is the shim's."""
        paths = {alias: f"{node.module}.{alias.name}" for alias in node.names}
        moved = [a for a, p in paths.items() if p in self.kept]
        dropped = [a for a, p in paths.items() if p in _GONE and p not in self.kept]
        if node.level or not (moved or dropped):
            return
        if node not in self.text.tree.body:
            names = ", ".join(alias.name for alias in moved + dropped)
            why = f"imported in a function, or on a condition; {_SHIM} has it"
            self.text.leave(node, f"{names} of {node.module}: {why}")
            return
        without(self.text, node, moved, dropped, _SHIM)


def _own_nodes(function: Any) -> list[Any]:
    """Return the nodes of a function without those of functions inside it."""
    found: list[Any] = []
    todo = list(function.body)
    while todo:
        node = todo.pop()
        found.append(node)
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            todo.extend(ast.iter_child_nodes(node))
    return found


def _is_nothing(node: Any) -> bool:
    return node is None or (isinstance(node, ast.Constant) and node.value is None)


def _method_of_self(call: ast.Call) -> str:
    func = call.func
    if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name):
        return func.attr if func.value.id == "self" else ""
    return ""


def _called_bare(cls: ast.ClassDef, name: str) -> bool:
    """Tell whether a class uses its own method by name, called or not."""
    return any(
        isinstance(node, ast.Attribute)
        and node.attr == name
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
        for node in ast.walk(cls)
    )


def _other_names(cls: ast.ClassDef, name: str) -> set[str]:
    """Return what else a class calls its method: `head = get`."""
    return {
        target.id
        for node in cls.body
        if isinstance(node, ast.Assign)
        and any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(node.value))
        for target in node.targets
        if isinstance(target, ast.Name)
    }
