"""How long tests wait for what must happen.

Only a test that fails waits for so long: it is far more than a machine needs that is
busy with something else.
"""

WAIT = 60.0
"""Seconds for one thing; a whole test has four times as many (`setup.cfg`)."""

PROGRAM = 200.0
"""Seconds for a program of its own; less than a test has, so that what it printed is
shown."""
