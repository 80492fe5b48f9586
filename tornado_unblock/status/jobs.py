"""How many jobs there are, without waiting for their store.

# Threads: the thread of the loop that serves the page; a thread of its own asks.
# Guarantees:
# - `JobCounts.get` does not wait, whatever the store does;
# - one thread at a time asks; what the store says of itself stays here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, Optional

from tornado.log import app_log

from tornado_unblock._errors import ConfigurationError, UnblockError
from tornado_unblock._executors.threads import start_thread
from tornado_unblock.status.snapshot import THREAD

# Seconds for which an answer will do.
_FRESH = 2.0
_PATIENCE = 5.0


class JobCounts:
    """The counts of `tornado_unblock.jobs`, as they were a moment ago."""

    def __init__(self) -> None:
        # Written by the thread that asks.
        self._known: Mapping[str, Any] = {}
        self._asked_at = float("-inf")
        self._thread: Optional[threading.Thread] = None

    def get(self, patience: float = 0.0) -> Optional[Mapping[str, Any]]:
        """Return the counts by name, and ask anew if they are old.

        Args:
            patience: For how long to wait for an answer, in seconds.

        Returns:
            None where jobs are not configured; nothing where the store has not
            answered.
        """
        jobs = sys.modules.get("tornado_unblock.jobs")
        default = getattr(jobs, "default", None)  # None while it is being imported
        try:
            store = None if default is None else default.engine.store
        except ConfigurationError:
            store = None
        if store is None:
            return None
        idle = self._thread is None or not self._thread.is_alive()
        if idle and time.monotonic() - self._asked_at >= _FRESH:
            self._asked_at = time.monotonic()
            with contextlib.suppress(RuntimeError):  # the program ends
                self._thread = start_thread(lambda: self._ask(store), f"{THREAD}-jobs")
                if patience:
                    self._thread.join(patience)
        return self._known

    def join(self) -> None:
        """Wait for the thread that asks, not for ever."""
        if self._thread is not None:
            self._thread.join(_PATIENCE)

    def _ask(self, store: Any) -> None:
        try:
            self._known = dataclasses.asdict(store.counts())
        except UnblockError:
            self._known = {}
        except Exception:
            self._known = {}
            app_log.error("The jobs could not be counted", exc_info=True)
