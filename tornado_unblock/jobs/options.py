"""What can be said of a job where it is defined, and where it is asked for."""

from __future__ import annotations

import dataclasses
import datetime
import random
import time
from typing import Any, Optional, Union

from tornado_unblock._errors import ConfigurationError
from tornado_unblock._executors.options import check_seconds, is_number
from tornado_unblock.jobs.values import plain_text

_Errors = Union[type[BaseException], tuple[type[BaseException], ...]]

# How often the death of its worker is forgiven to a job that has no max_attempts.
_CRASHES = 5
# No pause between two attempts is longer, in seconds.
_LONGEST_PAUSE = 3600.0
# More attempts than a store can count, its own few included.
_MOST = 2_000_000_000


@dataclasses.dataclass(frozen=True)
class JobOptions:
    """What can be said of a job; see `job`."""

    retries: int = 0
    backoff: float = 1.0
    timeout: Optional[float] = None
    retry_on: _Errors = Exception
    give_up_on: _Errors = ()
    max_attempts: Optional[int] = None
    priority: float = 0.0

    def __post_init__(self) -> None:
        _check_count("retries", self.retries, 0)
        if self.max_attempts is not None:
            _check_count("max_attempts", self.max_attempts, 1)
        check_seconds("timeout", self.timeout)
        if not is_number(self.backoff) or not self.backoff >= 0:
            raise ConfigurationError(
                f"backoff must be 0 or more seconds, not {self.backoff!r}"
            )
        check_priority(self.priority)
        for name in ("retry_on", "give_up_on"):
            _check_errors(name, getattr(self, name))

    @property
    def attempts(self) -> int:
        """How often it is begun at most."""
        if self.max_attempts is not None:
            return self.max_attempts
        return self.retries + _CRASHES

    def pause(self, failures: int, error: BaseException) -> Optional[float]:
        """Return the seconds until the next attempt, or None for none.

        Args:
            failures: How many attempts have failed, this one included.
            error: What this one raised.
        """
        if failures > self.retries or failures >= self.attempts:
            return None
        if isinstance(error, self.give_up_on) or not isinstance(error, self.retry_on):
            return None
        # Doubled each time; between half of it and all, so that what failed together
        # does not come back together.
        longest = min(self.backoff * 2.0 ** min(failures - 1, 60), _LONGEST_PAUSE)
        return longest * random.uniform(0.5, 1.0)


@dataclasses.dataclass(frozen=True)
class LaterOptions:
    """What can be said of one job; see `Later.options`."""

    delay: Optional[float] = None
    at: Optional[datetime.datetime] = None
    key: Optional[str] = None
    once: bool = False
    priority: Optional[float] = None
    within: Any = None
    on_commit: Any = None

    def __post_init__(self) -> None:
        if self.delay is not None and self.at is not None:
            raise ConfigurationError("say when with delay= or with at=, not with both")
        if self.delay != 0 or isinstance(self.delay, bool):
            check_seconds("delay", self.delay)
        _check_at(self.at)
        if self.delay is not None and self.delay == float("inf"):
            raise ConfigurationError("delay must be an end of waiting, not infinite")
        _check_key(self.key)
        if self.once and self.key is None:
            raise ConfigurationError("once=True needs key=: once for what?")
        if self.priority is not None:
            check_priority(self.priority)
        if self.within is not None and self.on_commit is not None:
            raise ConfigurationError("say within= or on_commit=, not both")

    @property
    def run_at(self) -> float:
        """Not before then, in seconds since the epoch; 0 for now."""
        if self.at is not None:
            return self.at.timestamp()
        return time.time() + self.delay if self.delay else 0.0


def check_priority(priority: object) -> None:
    """Raise `ConfigurationError` unless it is a number."""
    if not is_number(priority) or not abs(priority) < 1e300:  # type: ignore[arg-type]
        raise ConfigurationError(f"priority must be a finite number, not {priority!r}")


def _check_key(key: object) -> None:
    if key is None:
        return
    if not isinstance(key, str) or plain_text(key) != key:
        raise ConfigurationError(f"key must be a str that can be stored, not {key!r}")


def _check_at(at: object) -> None:
    if at is None:
        return
    if not isinstance(at, datetime.datetime) or at.utcoffset() is None:
        raise ConfigurationError(
            f"at must be a datetime with a time zone, not {at!r}: "
            "datetime.now(timezone.utc) + timedelta(hours=1), say"
        )


def _check_count(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigurationError(
            f"{name} must be a whole number from {least} on, not {value!r}"
        )
    if value > _MOST:
        raise ConfigurationError(f"{name} must be {_MOST} at most")


def _check_errors(name: str, errors: object) -> None:
    each = errors if isinstance(errors, tuple) else (errors,)
    if not all(isinstance(e, type) and issubclass(e, BaseException) for e in each):
        raise ConfigurationError(
            f"{name} must be an exception class or a tuple of them, not {errors!r}"
        )
