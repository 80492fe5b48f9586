"""What a log record of a body says of its hop: `HopFilter`.

# Threads: any; whichever logs.
"""

from __future__ import annotations

import logging

from tornado_unblock._offload.current import current_hop

NOWHERE = "-"
"""What stands there for a record that no body has logged."""


class HopFilter(logging.Filter):
    """Tells a record which endpoint, executor and hop it comes from.

        handler.addFilter(status.HopFilter())
        handler.setFormatter(logging.Formatter("%(endpoint)s %(hop_id)s %(message)s"))

    It lets every record pass, and adds ``endpoint`` and ``executor``, as statistics
    call them, and ``hop_id``, a number that the records of one body have in common.
    Outside of a body all three are ``"-"``. What a record has already stays.

    Put it on a handler, so that it sees the records of every logger; where there is a
    `logging.handlers.QueueHandler`, on that: what follows it runs in another thread.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add what is known; implements `logging.Filter.filter`, any thread."""
        hop = current_hop()
        found = (
            (NOWHERE, NOWHERE, NOWHERE)
            if hop is None
            else (hop.endpoint, hop.executor, hop.id)
        )
        for name, value in zip(("endpoint", "executor", "hop_id"), found):
            if not hasattr(record, name):
                setattr(record, name, value)
        return True
