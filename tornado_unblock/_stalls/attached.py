"""The other side of ``python -m tornado_unblock watch PID``, in the watched process.

# Threads: the main thread, wherever it is at that moment: the locks taken here are
# those that one thread may take twice.
"""

from __future__ import annotations

import logging
import os
from typing import Optional

from tornado_unblock._stalls import watching
from tornado_unblock._stalls.reports import logger

# By log: the handler, and the watch if it was begun for it.
_attached: dict[str, tuple[logging.Handler, Optional[watching.Watch]]] = {}


def begin(threshold: float, write: Optional[str], log: str) -> None:
    """Watch, unless that is done already, and report to ``log`` too.

    Raises:
        ConfigurationError: ``threshold`` makes no sense.
    """
    kept = watching.current_watch()
    begun = None if kept is not None else watching.watch(threshold, write=write)
    handler = logging.FileHandler(log)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    _attached[log] = (handler, begun)


def end(log: str) -> None:
    """Undo `begin`, and remove ``log``."""
    handler, begun = _attached.pop(log)
    logger.removeHandler(handler)
    handler.close()
    if begun is not None:
        begun.stop()
    os.remove(log)
