"""What ends a run with a message instead of a traceback."""

from __future__ import annotations


class DemoError(Exception):
    """The run cannot go on; the message says why and what to do.

    Attributes:
        exit_code: What the process returns.
    """

    exit_code = 1


class SetupError(DemoError):
    """Something the run needs is missing or wrong."""

    exit_code = 2
