"""What can be asked of a watch."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Optional

from tornado_unblock._errors import ConfigurationError

# Seconds between two looks, at most.
_LOOK = 0.025
# That many in the shortest stall that is told of.
_LOOKS_IN_STALL = 4


class Settings(NamedTuple):
    """What was asked of `watch`."""

    threshold: float
    log_every: float
    faulthandler: bool
    write: Optional[str]

    @property
    def look(self) -> float:
        """Seconds between two looks."""
        return min(_LOOK, self.threshold / _LOOKS_IN_STALL)


def check_seconds(where: str, name: str, value: Any, *, zero: bool = False) -> float:
    """Return ``value`` as a number of seconds.

    Args:
        where: Who asks.
        name: What for.
        value: What was given.
        zero: Whether it may be 0.

    Raises:
        ConfigurationError: It is none, or too small.
    """
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good or not math.isfinite(value) or value < 0 or not (value or zero):
        least = "0 or more" if zero else "more than 0"
        raise ConfigurationError(
            f"{where}: {name} is a number of seconds, {least}, not {value!r}"
        )
    return float(value)
