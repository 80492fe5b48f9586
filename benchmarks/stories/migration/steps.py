"""The steps, in the order they are taken."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

PACKAGE = "examples.migration"


@dataclass(frozen=True)
class Step:
    """One version of the ticket desk.

    Attributes:
        name: Its package in `examples.migration`.
        title: How a table names it.
    """

    name: str
    title: str

    @property
    def report(self) -> str:
        """The module of the nightly report, for `python -m`."""
        return f"{PACKAGE}.{self.name}.report"

    def file(self, module: str) -> Path:
        """Return the file of one of its modules, of an earlier step if unchanged."""
        parts = importlib.import_module(f"{PACKAGE}.{self.name}").__path__
        found = (Path(folder) / f"{module}.py" for folder in parts)
        return next(path for path in found if path.exists())

    def handlers(self) -> ModuleType:
        """Import the module that offers `ROUTES`."""
        return importlib.import_module(f"{PACKAGE}.{self.name}.handlers")


INLINE = Step("step1_inline", "1 inline")
UNBLOCKED = Step("step2_unblocked", "2 one @unblock line")
DUAL = Step("step3_dual_leaves", "3 dual leaves")
ASYNC = Step("step4_async_leaves", "4 async leaves")
NATIVE = Step("step5_native", "5 native async handlers")
STEPS = (INLINE, UNBLOCKED, DUAL, ASYNC, NATIVE)


def step_named(name: str) -> Step:
    """Return the step called `name`.

    Raises:
        KeyError: There is none.
    """
    return {step.name: step for step in STEPS}[name]
