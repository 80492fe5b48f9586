"""What the API and the stores tell each other."""

from __future__ import annotations

import pytest

from tornado_unblock.jobs import records
from tornado_unblock.jobs.records import State, Ticket


@pytest.mark.parametrize(
    ("name", "ended"),
    [
        ("queued", False),
        ("running", False),
        ("failed", False),
        ("done", True),
        ("dead", True),
        ("cancelled", True),
    ],
)
def test_states(name, ended):
    """A job has ended, or some worker is to run it, or one does."""
    assert State("a", "f", name).ended == ended
    assert ended + (name in records.WAITING) + (name == records.RUNNING) == 1


def test_tickets():
    """A ticket is new unless the store says otherwise."""
    assert Ticket("a") == ("a", True)
