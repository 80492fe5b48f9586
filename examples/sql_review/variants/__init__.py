"""The variants of the service, in the order they are measured.

A variant is a module that offers `ROUTES`, and in `PROCESSES` how many processes
serve them.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True)
class Variant:
    """One version of the service.

    Attributes:
        name: The module in this package.
        title: How a table names it.
    """

    name: str
    title: str

    def load(self) -> ModuleType:
        """Import the module."""
        return importlib.import_module(f"{__name__}.{self.name}")


INLINE = Variant("inline", "inline")
FORKED = Variant("forked", "8 forked processes")
UNBLOCKED = Variant("unblocked", "one @unblock line")
VARIANTS = (INLINE, FORKED, UNBLOCKED)


def variant_named(name: str) -> Variant:
    """Return the variant called `name`.

    Raises:
        KeyError: There is none.
    """
    return {variant.name: variant for variant in VARIANTS}[name]
