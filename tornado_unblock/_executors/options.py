"""What can be set for one executor, and where it may be set.

Environment variables override what the code says, so that a deployment can be
tuned without a release.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Callable, Optional, Union

from tornado_unblock._errors import ConfigurationError

DEFAULT = "default"
"""The name of the global executor."""

Factory = Callable[[], concurrent.futures.Executor]
"""Makes an executor, and another one when that has broken."""


class _Unchanged:
    def __repr__(self) -> str:
        return "<unchanged>"


UNCHANGED: Any = _Unchanged()
"""In place of an option that is not given: None means something for some."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What can be set for one executor; see `configure`."""

    max_workers: int = 50
    max_waiting: int = 1000
    queue_timeout: Optional[float] = 30.0
    timeout: Optional[float] = None
    timeout_status: int = 504
    max_endpoint_share: Optional[float] = None
    processes: Optional[int] = None
    factory: Optional[Factory] = None

    def __post_init__(self) -> None:
        _check_number("max_workers", self.max_workers, 1)
        _check_number("max_waiting", self.max_waiting, 0)
        if self.processes is not None:
            _check_number("processes", self.processes, 1)
            # As many jobs as processes: what a dying one takes along is little.
            object.__setattr__(self, "max_workers", self.processes)
        if self.factory is not None and not callable(self.factory):
            raise ConfigurationError(
                f"factory must be callable and return an executor, not {self.factory!r}"
            )
        check_seconds("queue_timeout", self.queue_timeout)
        check_seconds("timeout", self.timeout)
        _check_status(self.timeout_status)
        share = self.endpoint_share
        if not is_number(share) or not 0 < share <= 1:
            raise ConfigurationError(
                "max_endpoint_share must be more than 0 and at most 1 (1: not fair), "
                f"not {share!r}"
            )

    @property
    def endpoint_share(self) -> float:
        """The share of workers that one endpoint may hold.

        Processes are few and made for one kind of work, so there one endpoint may
        have them all: fairness would leave one of them idle.
        """
        if self.max_endpoint_share is not None:
            return self.max_endpoint_share
        return 0.8 if self.processes is None and self.factory is None else 1.0


def is_number(value: object) -> bool:
    """Whether ``value`` is an int or a float, and no bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_seconds(name: str, value: object) -> None:
    """Raise `ConfigurationError` unless ``value`` is None or positive seconds."""
    if value is not None and not (is_number(value) and value > 0):  # type: ignore[operator]
        raise ConfigurationError(
            f"{name} must be a positive number of seconds or None, not {value!r}"
        )


def _check_number(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigurationError(
            f"{name} must be a whole number from {least} on, not {value!r}"
        )


def _check_status(value: object) -> None:
    if not isinstance(value, int) or not 400 <= value <= 599:
        raise ConfigurationError(
            f"timeout_status must be an HTTP status from 400 to 599, not {value!r}"
        )


FIELDS = {field.name: field for field in dataclasses.fields(Options)}


def from_environment(
    name: str, options: Options, environment: Mapping[str, str]
) -> Options:
    """Return ``options`` with what ``environment`` says of the executor ``name``.

    Raises:
        ConfigurationError: A variable makes no sense; the message names it.
    """
    prefix = "TORNADO_UNBLOCK_"
    if name != DEFAULT:
        prefix += re.sub(r"\W", "_", name).upper() + "_"
    # Processes first: they leave max_workers nothing to say.
    for field in sorted(FIELDS, key=lambda field: field != "processes"):
        variable = prefix + field.upper()
        text = environment.get(variable)
        if text is None or field == "factory":
            continue
        change: dict[str, Any] = {field: _parse(variable, field, text)}
        try:
            check_default(name, change)
            if field == "max_workers":
                check_processes(options, change)
            options = dataclasses.replace(options, **change)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"environment variable {variable}={text!r}: {error}"
            ) from None
    return options


def check_processes(before: Options, changes: Mapping[str, object]) -> None:
    """Raise `ConfigurationError` where ``max_workers`` would have no effect."""
    processes = changes.get("processes", before.processes)
    if processes is None:
        return
    said_before = Options.max_workers if before.processes is None else before.processes
    workers = changes.get("max_workers", before.max_workers)
    if workers not in (processes, said_before) or (
        "max_workers" in changes and workers != processes
    ):
        raise ConfigurationError(
            f"max_workers={workers} has no effect beside processes={processes}: each "
            "process does one job at a time; say how many with processes alone"
        )


def check_default(name: str, options: Mapping[str, object]) -> None:
    """Raise `ConfigurationError` where the default executor would get processes."""
    if name == DEFAULT and (options.get("processes") or options.get("factory")):
        raise ConfigurationError(
            "the default executor runs handlers, which need threads; give the one of "
            "processes a name, as in configure('cpu', processes=4)"
        )


def _parse(variable: str, field: str, text: str) -> Union[int, float, None]:
    if text.lower() == "none" and "Optional" in str(FIELDS[field].type):
        return None
    try:
        return int(text) if "int" in str(FIELDS[field].type) else float(text)
    except ValueError:
        raise ConfigurationError(
            f"environment variable {variable}={text!r} is not a number"
        ) from None
