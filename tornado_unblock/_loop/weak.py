"""Sets of what other threads may make, or drop, at any time.

# Threads: any.
# Guarantees: what is added while somebody looks breaks nothing.
"""

from __future__ import annotations

import weakref
from typing import Any, TypeVar

_T = TypeVar("_T")


def members(known: weakref.WeakSet[_T]) -> list[_T]:
    """Return what ``known`` holds now.

    Going through a `weakref.WeakSet` raises when somebody adds to it meanwhile. The
    plain set in it is copied at one go, with the interpreter lock and without.
    """
    inner: Any = known
    return [one for ref in tuple(inner.data) if (one := ref()) is not None]
