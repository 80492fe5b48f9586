"""The steps, in the order they are taken."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Step:
    """One version of the ticket desk.

    Attributes:
        name: The package beside this module.
        title: How a table names it.
    """

    name: str
    title: str

    @property
    def report(self) -> str:
        """The module of the nightly report, for `python -m`."""
        return f"{__package__}.{self.name}.report"

    @property
    def folder(self) -> Path:
        """Where its modules are."""
        return FOLDER / self.name

    def handlers(self) -> ModuleType:
        """Import the module that offers `ROUTES`."""
        return importlib.import_module(f"{__package__}.{self.name}.handlers")


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
