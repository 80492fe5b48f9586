"""What can be said of jobs, and what is refused."""

from __future__ import annotations

import datetime
import time

import pytest

from tornado_unblock import ConfigurationError
from tornado_unblock.jobs.options import JobOptions, LaterOptions

UTC = datetime.timezone.utc


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"retries": -1}, "retries"),
        ({"retries": True}, "retries"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"timeout": 0}, "timeout"),
        ({"backoff": -1}, "backoff"),
        ({"backoff": "1"}, "backoff"),
        ({"backoff": float("nan")}, "backoff"),
        ({"priority": None}, "priority"),
        ({"priority": float("nan")}, "priority"),
        ({"priority": float("-inf")}, "priority"),
        ({"retry_on": "ValueError"}, "retry_on"),
        ({"give_up_on": (ValueError, int)}, "give_up_on"),
    ],
)
def test_job_options_are_checked(options, text):
    """What makes no sense is refused where the job is defined."""
    with pytest.raises(ConfigurationError, match=text):
        JobOptions(**options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"delay": 1, "at": datetime.datetime.now(UTC)}, "not with both"),
        ({"delay": -1}, "delay"),
        ({"delay": False}, "delay"),
        ({"at": datetime.datetime(2030, 1, 1)}, "time zone"),
        ({"at": 5}, "time zone"),
        ({"key": 7}, "key"),
        ({"key": "a\0"}, "key"),
        ({"key": "\ud800"}, "key"),
        ({"delay": float("inf")}, "delay"),
        ({"once": True}, "once"),
        ({"priority": "high"}, "priority"),
        ({"within": 1, "on_commit": 2}, "not both"),
    ],
)
def test_later_options_are_checked(options, text):
    """What makes no sense is refused where the job is asked for."""
    with pytest.raises(ConfigurationError, match=text):
        LaterOptions(**options)


def test_when():
    """Now, after a delay, or at a time."""
    assert LaterOptions().run_at == LaterOptions(delay=0).run_at == 0
    assert LaterOptions(delay=100).run_at > time.time() + 50
    at = datetime.datetime(2030, 1, 1, tzinfo=UTC)
    assert LaterOptions(at=at).run_at == at.timestamp()


def test_pauses_double_and_differ():
    """Each pause is half to all of twice the one before, and an hour at most."""
    options = JobOptions(retries=2000, backoff=2.0, max_attempts=2001)
    for failures, longest in [(1, 2), (2, 4), (5, 32), (1000, 3600)]:
        pauses = [options.pause(failures, ValueError()) for _ in range(50)]
        assert longest / 2 <= min(pauses) <= max(pauses) <= longest
        assert len(set(pauses)) > 1


@pytest.mark.parametrize(
    ("options", "failures", "error", "again"),
    [
        ({"retries": 1}, 1, ValueError(), True),
        ({"retries": 1}, 2, ValueError(), False),
        ({}, 1, ValueError(), False),
        ({"retries": 9, "retry_on": OSError}, 1, ValueError(), False),
        ({"retries": 9, "retry_on": OSError}, 1, ConnectionError(), True),
        ({"retries": 9, "give_up_on": (KeyError,)}, 1, KeyError(), False),
        ({"retries": 9, "max_attempts": 3}, 3, ValueError(), False),
    ],
)
def test_what_is_tried_again(options, failures, error, again):
    """Retries, kinds of errors and max_attempts each put an end to it."""
    assert (JobOptions(**options).pause(failures, error) is not None) == again


def test_attempts():
    """The death of a worker is forgiven a few times, whatever the retries."""
    assert JobOptions(retries=3).attempts == 8
    assert JobOptions(retries=3, max_attempts=2).attempts == 2
