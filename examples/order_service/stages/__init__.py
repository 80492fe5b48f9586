"""The stages of the order service, in the order they are measured.

A stage is a module that offers `ROUTES`, and `set_up` if something is to be done once
in its process. To add one, write the module and name it here.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stage:
    """One version of the service.

    Attributes:
        name: The module in this package.
        title: How a table names it.
    """

    name: str
    title: str

    def routes(self) -> list[tuple[str, Any]]:
        """Import the module and return its `ROUTES`."""
        module = importlib.import_module(f"{__name__}.{self.name}")
        routes: list[tuple[str, Any]] = module.ROUTES
        return routes

    def set_up(self) -> None:
        """Do what the module wants done once in its process, if anything."""
        module = importlib.import_module(f"{__name__}.{self.name}")
        getattr(module, "set_up", lambda: None)()


STAGES = (
    Stage("as_written", "as written"),
    Stage("unblocked", "one @unblock line"),
    Stage("dual_leaves", "dual leaves, two at once"),
    Stage("pooled", "pooled and cached"),
    Stage("no_hidden_blocking", "no hidden blocking"),
    Stage("native", "native async handler"),
)


def stage_named(name: str) -> Stage:
    """Return the stage called `name`.

    Raises:
        KeyError: There is none.
    """
    return {stage.name: stage for stage in STAGES}[name]
