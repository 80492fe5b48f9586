"""When a periodic job is due: crontab lines and intervals, in a named time zone."""

from __future__ import annotations

import datetime
import zoneinfo
from typing import Any, Callable, Union

from tornado_unblock._errors import ConfigurationError
from tornado_unblock._executors.options import is_number

Every = Union[str, float, datetime.timedelta]

# From one leap day to the next but one, at most: 1896 and 1904 had none between.
_DAYS_AHEAD = 366 * 9
_MINUTES = tuple((hour, minute) for hour in range(24) for minute in range(60))


class Interval:
    """Every so many seconds.

    Args:
        seconds: How many.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @property
    def spec(self) -> str:
        """When it is due, as text."""
        return f"every {self._seconds:g} s"

    def next_after(self, now: float) -> float:
        """Return the first time after ``now`` that it is due."""
        # Not so long after ``now``, which is a little after the time before.
        due = (now // self._seconds + 1) * self._seconds
        return due if due > now else due + self._seconds


class Crontab:
    """What a line of a crontab says: minute, hour, day, month, day of the week.

    As in cron, one of day and day of the week is enough where both are given. A time
    that the clock skips in spring is due an hour later; one that it shows twice in
    autumn is due once.

    Args:
        line: Five fields of numbers, ranges, lists, steps and stars.
        tz: The name of a time zone.
    """

    def __init__(self, line: str, tz: str) -> None:
        self._line, self._tz = line, _zone(tz)
        fields = line.split()
        if len(fields) != 5:
            raise ConfigurationError(
                f"a crontab line has five fields (minute, hour, day, month, day of the "
                f"week), not {line!r}"
            )
        minute, hour, day, month, weekday = fields
        at = _matches(line, minute=minute, hour=hour)
        on_day = _matches(line, day=day, month=month)
        on_weekday = _matches(line, month=month, day_of_week=weekday)
        if day[0] == "*" or weekday[0] == "*":
            self._both: Callable[[tuple[bool, bool]], bool] = all
        else:
            self._both = any
        self._on_day, self._on_weekday = on_day, on_weekday
        self._times = [
            (hour, minute)
            for hour, minute in _MINUTES
            if at(datetime.datetime(2000, 1, 1, hour, minute))
        ]
        self.next_after(0.0)  # some never come: 30 February

    @property
    def spec(self) -> str:
        """When it is due, as text."""
        return f"{self._line} ({self._tz.key})"

    def next_after(self, now: float) -> float:
        """Return the first time after ``now`` that it is due."""
        today = datetime.datetime.fromtimestamp(now, self._tz).date()
        for ahead in range(-1, _DAYS_AHEAD):
            day = today + datetime.timedelta(days=ahead)
            midnight = datetime.datetime(day.year, day.month, day.day)
            if not self._both((self._on_day(midnight), self._on_weekday(midnight))):
                continue
            for hour, minute in self._times:
                wall = datetime.datetime(
                    day.year, day.month, day.day, hour, minute, tzinfo=self._tz
                )
                if wall.timestamp() > now:
                    return wall.timestamp()
        raise ConfigurationError(f"the crontab line {self._line!r} is never due")


def parse(every: object, tz: str) -> Union[Interval, Crontab]:
    """Return when it is due, of what `every` was given.

    Raises:
        ConfigurationError: It makes no sense.
    """
    if isinstance(every, str):
        return Crontab(every, tz)
    if isinstance(every, datetime.timedelta):
        every = every.total_seconds()
    if not is_number(every) or not every >= 1:  # type: ignore[operator]
        raise ConfigurationError(
            "every() takes a crontab line, a timedelta, or a number of seconds from 1 "
            f"on, not {every!r}"
        )
    return Interval(float(every))  # type: ignore[arg-type]


def _zone(name: object) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)  # type: ignore[arg-type]
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise ConfigurationError(
            f"there is no time zone {name!r}: write 'Europe/Berlin', say (where the "
            "system has no time zones, pip install tzdata)"
        ) from None


def _matches(line: str, **fields: Any) -> Callable[[datetime.datetime], bool]:
    try:
        from huey import crontab  # type: ignore[import-untyped]
    except ImportError:
        raise ConfigurationError(
            "crontab lines need huey: pip install 'tornado-unblock[jobs]'"
        ) from None
    try:
        return crontab(strict=True, **fields)  # type: ignore[no-any-return]
    except ValueError as error:
        raise ConfigurationError(f"the crontab line {line!r}: {error}") from None
