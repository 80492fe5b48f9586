"""The variants, in the order they are measured.

A variant is a module that offers `ROUTES`. It sets up the process it is imported in,
so it is imported in the service's process only.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Variant:
    """One version of the service.

    Attributes:
        name: The module in this package.
        title: How a table names it.
        package: What has to be installed for it; "" if nothing.
    """

    name: str
    title: str
    package: str = ""

    def routes(self) -> list[tuple[str, Any]]:
        """Import the module and return its `ROUTES`."""
        module = importlib.import_module(f"{__name__}.{self.name}")
        routes: list[tuple[str, Any]] = module.ROUTES
        return routes

    def installed(self) -> bool:
        """Tell whether what it needs is there."""
        try:
            return not self.package or bool(importlib.metadata.version(self.package))
        except importlib.metadata.PackageNotFoundError:
            return False


INLINE = Variant("inline", "inline")
THREADS = Variant("threads", "threads (@unblock)")
THREADS_EAGER = Variant("threads_eager", "threads, switch interval 0.5 ms")
ONE_WORKER = Variant("one_worker", "one worker, switch interval 0.5 ms")
PROCESSES = Variant("processes", "2 processes")
LOKY = Variant("loky_processes", "2 processes of loky", package="loky")
VARIANTS = (INLINE, THREADS, THREADS_EAGER, ONE_WORKER, PROCESSES, LOKY)


def variant_named(name: str) -> Variant:
    """Return the variant called `name`.

    Raises:
        KeyError: There is none.
    """
    return {variant.name: variant for variant in VARIANTS}[name]
