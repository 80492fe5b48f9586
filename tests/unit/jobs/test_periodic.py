"""When periodic jobs are due."""

from __future__ import annotations

import datetime
import sys
import zoneinfo

import pytest

from tornado_unblock import ConfigurationError
from tornado_unblock.jobs.periodic import parse

BERLIN = "Europe/Berlin"
SPRING = ["03-29 03:30+0200", "03-30 02:30+0200"]
AUTUMN = ["10-25 02:30+0200", "10-26 02:30+0100"]


def times(line, tz, start, count):
    """Return when the line is due from ``start`` on, in its own time zone."""
    when, zone, found = parse(line, tz), zoneinfo.ZoneInfo(tz), []
    now = datetime.datetime.fromisoformat(start).replace(tzinfo=zone).timestamp()
    for _ in range(count):
        now = when.next_after(now)
        local = datetime.datetime.fromtimestamp(now, zone)
        found.append(local.strftime("%m-%d %H:%M%z"))
    return found


@pytest.mark.parametrize(
    ("line", "tz", "start", "due"),
    [
        ("0 3 * * *", "UTC", "2026-01-01T03:00", ["01-02 03:00+0000"]),
        ("*/20 9 * * *", "UTC", "2026-01-01T09:25", ["01-01 09:40+0000"]),
        ("*/20 9 * * *", "UTC", "2026-01-01T09:45", ["01-02 09:00+0000"]),
        ("0 0 1 * *", "UTC", "2026-01-15T00:00", ["02-01 00:00+0000"]),
        # Saturday the 14th, Friday the 20th, ...: the 15th and each Friday.
        ("0 6 15 * 5", "UTC", "2026-02-13T07:00", ["02-15 06:00+0000"]),
        ("0 6 15 * 5", "UTC", "2026-02-15T07:00", ["02-20 06:00+0000"]),
        ("0 6 * * 0", "UTC", "2026-02-13T07:00", ["02-15 06:00+0000"]),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00", ["02-29 00:00+0000"]),
        ("0 3 * * *", BERLIN, "2026-03-28T12:00", ["03-29 03:00+0200"]),
        # 02:30 does not exist on the 29th, and is there twice on 25 October.
        ("30 2 * * *", BERLIN, "2026-03-28T12:00", SPRING),
        ("30 2 * * *", BERLIN, "2026-10-24T12:00", AUTUMN),
    ],
)  # fmt: skip
def test_crontab(line, tz, start, due):
    """The line is read in its time zone, and as cron reads it."""
    assert times(line, tz, start, len(due)) == due


@pytest.mark.parametrize("every", [90, 90.0, datetime.timedelta(minutes=1.5)])
def test_intervals(every):
    """Seconds or a timedelta between two; that it is late moves nothing."""
    when = parse(every, "UTC")
    assert when.next_after(1000.0) == 1080.0
    assert when.next_after(1080.0) == when.next_after(1081.0) == 1170.0
    assert when.spec == "every 90 s"


@pytest.mark.parametrize("seconds", [1, 1.1, 3.3, 7.000001, 1e-3 + 1])
def test_an_interval_goes_on(seconds):
    """Each time comes after the one before, whatever the fractions are."""
    when, now = parse(seconds, "UTC"), 1.7e9
    for _ in range(1000):
        before, now = now, when.next_after(now)
        assert before < now <= before + seconds + 1e-6


def test_spec_names_the_time_zone():
    """The text by which a change is noticed says all of it."""
    assert parse("0 3 * * *", BERLIN).spec == "0 3 * * * (Europe/Berlin)"


@pytest.mark.parametrize(
    ("every", "tz", "text"),
    [
        ("0 3 * *", "UTC", "five fields"),
        ("61 3 * * *", "UTC", "61"),
        ("x 3 * * *", "UTC", "x"),
        ("0 0 30 2 *", "UTC", "never due"),
        ("0 3 * * *", "Europe/Atlantis", "Atlantis"),
        ("0 3 * * *", None, "None"),
        ("0 3 * * *", "../etc", "etc"),
        (0, "UTC", "from 1"),
        (True, "UTC", "from 1"),
        (None, "UTC", "from 1"),
        (datetime.timedelta(0), "UTC", "from 1"),
    ],
)
def test_nonsense_is_refused(every, tz, text):
    """What would never come, or is no time, is an error where it is written."""
    with pytest.raises(ConfigurationError, match=text):
        parse(every, tz)


def test_without_huey(monkeypatch):
    """It says which extra is missing."""
    monkeypatch.setitem(sys.modules, "huey", None)
    with pytest.raises(ConfigurationError, match=r"tornado-unblock\[jobs\]"):
        parse("0 3 * * *", "UTC")
