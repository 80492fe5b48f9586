"""`logging`, and `unblock_logging`, after which a log record holds up nobody.

    from tornado_unblock.shim import logging       # instead of: import logging

    logging.basicConfig(...)                   # as ever
    logging.unblock_logging()                  # handlers write in their own thread

All else is the standard library's.
"""

from __future__ import annotations

import logging as _logging
import logging.handlers  # so that logging.handlers is there
from typing import Any

from tornado_unblock.shim.logging._tree import unblock_logging
from tornado_unblock.shim.logging._unblocked import LoggingStatistics, UnblockedLogging

__all__ = ["LoggingStatistics", "UnblockedLogging", "unblock_logging"]


def __getattr__(name: str) -> Any:
    return getattr(_logging, name)
