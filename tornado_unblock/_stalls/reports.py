"""What is logged of stalls, and how often.

# Threads: the watcher's. Never the loop's, never a signal handler.
# Guarantees:
# - one place logs at most once in a while; how many lines that left out is said in the
#   next one;
# - the memory of places is bounded: the one longest unheard of goes first.
"""

from __future__ import annotations

import collections
import logging
import time

from tornado_unblock._stalls.counts import Key, key_of
from tornado_unblock._stalls.records import Place, Stall

logger = logging.getLogger("tornado_unblock.stalls")

_MOST_PLACES = 1000
# So much of the chain is shown; the rest is in `Stall.chain`.
_SHOWN_STEPS = 6
_SHOWN_SHARES = 4


class _Said:
    __slots__ = ("at", "left_out")

    def __init__(self, at: float) -> None:
        self.at = at
        self.left_out = 0


class Reporter:
    """Logs stalls.

    Args:
        every: Seconds between two reports of one place.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._said: collections.OrderedDict[Key, _Said] = collections.OrderedDict()

    def during(self, stall: Stall) -> bool:
        """Warn of a stall that goes on; whether that was due."""
        said = self._said.get(key_of(stall))
        if said is not None and time.monotonic() - said.at < self._every:
            return False
        logger.warning(
            "Event loop stalled for %.3f s by now: %s",
            *(stall.seconds, describe(stall)),
            extra={"stall": stall},
        )
        return True

    def after(self, stall: Stall, announced: bool) -> None:
        """Report a stall that is over.

        Args:
            stall: Which.
            announced: Whether a warning was given: then this is, too.
        """
        key, at = key_of(stall), time.monotonic()
        said = self._said.get(key)
        if said is not None and at - said.at < self._every and not announced:
            said.left_out += 1
            return
        left_out = said.left_out if said is not None else 0
        self._said[key] = _Said(at)
        self._said.move_to_end(key)
        while len(self._said) > _MOST_PLACES:
            self._said.popitem(last=False)
        more = f"\n  {left_out} more here since the last report" if left_out else ""
        logger.warning(
            "Event loop stalled for %.3f s: %s%s",
            *(stall.seconds, describe(stall), more),
            extra={"stall": stall},
        )


def describe(stall: Stall) -> str:
    """Return who stalls the loop, where, through what, and what to do."""
    lines = [_who(stall)]
    if stall.place is not None:
        lines.append(f"  at {stall.place}")
    elif stall.kind == "unknown":
        lines.append("  at a place that was left before it could be seen")
    if len(stall.chain) > 1:
        lines.append(f"  through {_chain(stall.chain)}")
    if len(stall.shares) > 1:
        shown = stall.shares[:_SHOWN_SHARES]
        parts = (f"{part:.0%} {place.file}:{place.line}" for place, part in shown)
        lines.append(f"  time went to {', '.join(parts)}")
    if stall.what:
        lines.append(f"  it was {stall.what}")
    if stall.advice:
        lines.append(f"  to do: {stall.advice}")
    return "\n".join(lines)


def _who(stall: Stall) -> str:
    about = []
    if stall.verb:
        about.append(f"{stall.verb} {stall.path}")
    if stall.route:
        about.append(f"route {stall.route}")
    if stall.request_id:
        about.append(f"request {stall.request_id}")
    by = {"task": "a task of ", "callback": "a callback of ", "coroutine": "coroutine "}
    prefix = by.get(stall.kind, "") if stall.verb or stall.kind == "coroutine" else ""
    name = prefix + stall.endpoint
    return f"{name} ({', '.join(about)})" if about else name


def _chain(chain: tuple[Place, ...]) -> str:
    steps = [f"{p.function} ({p.file}:{p.line})" for p in chain]
    if len(steps) > _SHOWN_STEPS:
        half = _SHOWN_STEPS // 2
        left_out = f"... {len(steps) - 2 * half} more ..."
        steps = [*steps[:half], left_out, *steps[-half:]]
    return " > ".join(steps)
