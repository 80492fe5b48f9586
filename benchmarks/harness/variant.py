"""One of the ways to do the same thing that a story measures side by side."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True)
class Variant:
    """One version of a service.

    Attributes:
        name: How options, files and server processes name it.
        title: How tables name it.
        package: Where the module of its name is; "" if it has none.
        needs: What has to be installed for it; "" if nothing.
    """

    name: str
    title: str
    package: str = ""
    needs: str = ""

    def load(self) -> ModuleType:
        """Import its module, which may set up the process that does so."""
        return importlib.import_module(f"{self.package}.{self.name}")

    def installed(self) -> bool:
        """Tell whether what it needs is there."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None


def named(variants: Iterable[Variant], name: str) -> Variant:
    """Return the variant called `name`.

    Raises:
        KeyError: There is none.
    """
    return {variant.name: variant for variant in variants}[name]
