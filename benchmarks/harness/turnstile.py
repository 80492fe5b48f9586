"""Turn away every tenth call: which is decided the same way in every run."""

from __future__ import annotations

TURN_AWAY_EVERY = 10


class Turnstile:
    """Decide which calls are turned away; never the same one twice in a row."""

    def __init__(self) -> None:
        self._calls = 0
        self._owed: set[str] = set()  # turned away: their next call is let in

    def admits(self, call: str) -> bool:
        """Count a call and tell whether it is answered."""
        if call in self._owed:
            self._owed.remove(call)
            return True
        self._calls += 1
        if self._calls % TURN_AWAY_EVERY:
            return True
        self._owed.add(call)
        return False
