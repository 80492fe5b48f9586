"""What came of the requests to one server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness.figures import quantile
from benchmarks.harness.variant import Variant
from benchmarks.stories.load_client.client import (
    ERROR,
    SUCCESS,
    TIMEOUT,
    TURNED_AWAY,
    Outcome,
)
from benchmarks.stories.load_client.settings import Case


@dataclass(frozen=True)
class Tally:
    """One server in one case.

    Attributes:
        case: What the clients did.
        way: What served them.
        outcomes: Of every request.
        seconds: From the first request to the last outcome.
    """

    case: Case
    way: Variant
    outcomes: Sequence[Outcome]
    seconds: float

    def count(self, kind: str) -> int:
        """Say how many requests ended like that."""
        return sum(outcome.kind == kind for outcome in self.outcomes)

    @property
    def share(self) -> float:
        """The share of requests that succeeded, in percent."""
        return 100 * self.count(SUCCESS) / self.case.requests

    @property
    def lost(self) -> int:
        """Requests that nobody knows the end of."""
        return self.case.requests - len(self.outcomes)

    @property
    def longest(self) -> float:
        """The longest that a client was kept waiting."""
        return max((outcome.seconds for outcome in self.outcomes), default=0.0)

    def percentile(self, kind: str, percent: float) -> float | None:
        """Return the latency that so many of these requests did not exceed."""
        found = [o.seconds for o in self.outcomes if o.kind == kind]
        return quantile(found, percent / 100) if found else None

    def errors(self) -> list[str]:
        """Return the commonest errors."""
        found = Counter(o.detail for o in self.outcomes if o.kind == ERROR)
        return [f"{count} x {detail}" for detail, count in found.most_common(3)]

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers for a JSON file."""
        kinds = (SUCCESS, TURNED_AWAY, TIMEOUT, ERROR)
        return {
            "case": self.case.name,
            "way": self.way.name,
            "requests": self.case.requests,
            "clients": self.case.clients,
            "body": self.case.body,
            "patience": self.case.timeout,
            "seconds": self.seconds,
            **{kind: self.count(kind) for kind in kinds},
            "lost": self.lost,
            "latency": {
                f"{kind} p{percent}": self.percentile(kind, percent)
                for kind in (SUCCESS, TURNED_AWAY)
                for percent in (50, 99)
            },
        }


def sentence(tally: Tally) -> str:
    """Say what came of the requests to one server."""
    parts = [f"{tally.count(SUCCESS):,} of {tally.case.requests:,} succeeded"]
    for kind, words in (
        (TURNED_AWAY, "turned away with a 503"),
        (TIMEOUT, "timed out"),
        (ERROR, "failed otherwise"),
    ):
        if tally.count(kind):
            parts.append(f"{tally.count(kind):,} {words}")
    return f"{', '.join(parts)}; {tally.seconds:.1f} s"
