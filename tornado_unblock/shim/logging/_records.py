"""A log record that can be written later, by another thread.

Its text must be what it was when it was logged, although the objects it is made of may
change. Structured handlers, on the other hand, want those objects. So ``args`` and
``msg`` are kept where they are plain values, and containers of plain values are
copied; whatever else there is is made a text at once, as the standard library's
QueueHandler does with everything. ``exc_info`` is kept as it is: a traceback does not
change, and handlers look into its frames.
"""

from __future__ import annotations

import copy
import datetime
import decimal
import logging
import uuid
from typing import Any

_PLAIN = {
    *(type(None), bool, int, float, complex, str, bytes),
    *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta),
    *(decimal.Decimal, uuid.UUID),
}
# How deep containers are copied; deeper ones are made text.
_DEPTH = 4


class _Unsettled(Exception):
    """A value that may change."""


def settled(record: logging.LogRecord) -> logging.LogRecord:
    """Return a copy of ``record`` that no later change reaches; any thread.

    What its message raises, for arguments that do not fit, is raised.
    """
    record = copy.copy(record)
    try:
        record.msg = _copy(record.msg, _DEPTH)
        record.args = _copy(record.args, _DEPTH)
    except _Unsettled:
        record.msg = record.getMessage()
        record.args = None
    return record


def _copy(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if depth:
        if kind in (tuple, list):
            return kind([_copy(item, depth - 1) for item in value])
        if kind is dict:
            return {
                _copy(key, depth - 1): _copy(item, depth - 1)
                for key, item in value.items()
            }
    raise _Unsettled
