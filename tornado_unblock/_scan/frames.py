"""A scope at work: its names with the values that one call gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from tornado_unblock._scan.scopes import Scope
from tornado_unblock._scan.values import Value, depth_of

if TYPE_CHECKING:
    from tornado_unblock._scan.project import Class, Module
    from tornado_unblock._scan.reach import Edges


class Frame:
    """One scope with one set of parameters; made once for each set.

    Attributes:
        scope: What it runs.
        module: Where that stands.
        parent: The frame around it, for names that are not its own.
        cls: The class whose method it is, or whose body.
        params: What is passed.
        depth: How deep what is passed, or around it, is nested.
        known: What its expressions were found to be, by id.
        edges: What it calls, once somebody has asked.
    """

    __slots__ = (
        "cls",
        "depth",
        "edges",
        "known",
        "module",
        "params",
        "parent",
        "result",
        "scope",
    )

    def __init__(
        self,
        scope: Scope,
        module: Module,
        parent: Optional[Frame] = None,
        cls: Optional[Class] = None,
        params: Optional[dict[str, Value]] = None,
    ) -> None:
        self.scope = scope
        self.module = module
        self.parent = parent
        self.cls = cls
        self.params = params or {}
        self.depth = depth_of(*self.params.values())
        if parent is not None:
            self.depth = max(self.depth + 1, parent.depth)
        self.known: dict[Any, Value] = {}
        self.result: Optional[Value] = None
        self.edges: Optional[Edges] = None

    @property
    def node(self) -> Any:
        """The syntax tree of its scope."""
        return self.scope.node

    @property
    def name(self) -> str:
        """What a reader calls it: `Orders.get`, `load_order`."""
        name = getattr(self.node, "name", "<lambda>")
        return f"{self.cls.name}.{name}" if self.cls is not None else name
