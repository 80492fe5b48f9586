"""Ctrl-C and its relatives, let through only where nothing can be left behind."""

# Threads: main thread only, as Python's signal handlers are.
#
# Guarantees:
# - The first signal becomes SystemExit(128 + number), so that `with` blocks unwind.
# - It is raised inside `allowed()` and nowhere else: a signal that arrives between
#   creating something and entering the `try` that removes it waits for the next
#   `allowed()`.
# - Later signals are ignored: they could only break the unwinding.

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # the last one is not everywhere
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))


class Interrupts:
    """Own the terminating signals for the duration of a `with` block."""

    def __init__(self) -> None:
        self._previous: dict[int, Any] = {}
        self._received: int | None = None
        self._raised = False
        self._allowed = False

    def __enter__(self) -> Interrupts:
        for number in SIGNALS:
            self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def allowed(self) -> Iterator[None]:
        """Let a signal end the block, or not even begin it."""
        before, self._allowed = self._allowed, True
        try:
            self._raise_if_due()
            yield
        finally:
            self._allowed = before

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self._received = number
        self._raise_if_due()

    def _raise_if_due(self) -> None:
        if self._received is None or self._raised or not self._allowed:
            return
        self._raised = True
        raise SystemExit(128 + self._received)
