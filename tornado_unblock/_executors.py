"""Executors by name, and their options.

An executor is made on first use. Until then `configure` may set its options;
environment variables override what the code says, so that a deployment can be
tuned without a release: ``TORNADO_UNBLOCK_MAX_WORKERS=80`` for the global
executor, ``TORNADO_UNBLOCK_REPORTS_MAX_WORKERS=4`` for the one named "reports".

# Threads: any; the registry is guarded by `_lock`.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import re
import threading
from collections.abc import Mapping
from typing import Any, Callable, Optional, Union

from tornado import escape

from tornado_unblock._errors import ConfigurationError
from tornado_unblock._processes import (
    Factory,
    RenewedExecutor,
    forget_submitters,
    processes,
)
from tornado_unblock._workers import WorkerExecutor

DEFAULT = "default"
"""The name of the global executor."""

JSONEncoder = Callable[[Any], Union[str, bytes]]

NamedExecutor = Union[WorkerExecutor, RenewedExecutor]


@dataclasses.dataclass(frozen=True)
class Options:
    """What can be set for one executor; see `configure`."""

    max_workers: int = 50
    max_waiting: int = 1000
    queue_timeout: Optional[float] = 30.0
    timeout: Optional[float] = None
    timeout_status: int = 504
    max_route_share: float = 0.8
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
        if not is_number(self.max_route_share) or not 0 < self.max_route_share <= 1:
            raise ConfigurationError(
                "max_route_share must be more than 0 and at most 1 (1: not fair), "
                f"not {self.max_route_share!r}"
            )


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


_lock = threading.Lock()
_options: dict[str, Options] = {}
_executors: dict[str, NamedExecutor] = {}
# The encoder of returned values. One for the process: it says what this
# application's JSON looks like, not how an executor runs.
_json_encoder: JSONEncoder = escape.json_encode

_FIELDS = {field.name: field for field in dataclasses.fields(Options)}


def configure(
    executor: str = DEFAULT,
    *,
    json_encoder: Optional[JSONEncoder] = None,
    **options: Any,
) -> None:
    """Set the options of an executor before its first use; any thread.

    Args:
        executor: Its name; the global one by default.
        json_encoder: For the whole process, at any time: what turns a returned
            value into JSON, ``value -> str | bytes``. Default:
            `tornado.escape.json_encode`.
        **options: ``max_workers`` (threads, 50), ``max_waiting`` (requests that
            may wait for a worker, 1000), ``queue_timeout`` (seconds one may
            wait, 30; None for ever), ``timeout`` (seconds a body may run, None
            for ever), ``timeout_status`` (what its client gets then, 504) and
            ``max_route_share`` (the share of workers one route may hold, 0.8;
            1 switches fairness off). For an executor of `run_in_executor` only:
            ``processes`` (so many processes instead of threads) or ``factory``
            (a function that returns the `concurrent.futures.Executor` to use,
            and another one when that has broken).

    Raises:
        ConfigurationError: An option is unknown or out of range, or the
            executor is in use already, or must have threads.
    """
    global _json_encoder
    unknown = sorted(set(options) - set(_FIELDS))
    if unknown:
        raise ConfigurationError(
            f"configure() has no option {unknown[0]!r}; "
            f"it takes json_encoder, {', '.join(_FIELDS)}"
        )
    _check_default(executor, options)
    if json_encoder is not None and not callable(json_encoder):
        raise ConfigurationError(f"json_encoder must be callable, not {json_encoder!r}")
    with _lock:
        if options and executor in _executors:
            raise ConfigurationError(
                f"executor {executor!r} is in use already; "
                "call configure() before the first request"
            )
        changed = dataclasses.replace(_options.get(executor, Options()), **options)
        if options:
            _options[executor] = changed
        if json_encoder is not None:
            _json_encoder = json_encoder


def json_encoder() -> JSONEncoder:
    """Return the encoder of returned values that is configured now."""
    return _json_encoder


def get_executor(name: str = DEFAULT) -> NamedExecutor:
    """Return the executor called ``name``, made on first use; any thread.

    Raises:
        ConfigurationError: An environment variable for it makes no sense.
    """
    executor = _executors.get(name)
    if executor is None:
        with _lock:
            executor = _executors.get(name)
            if executor is None:
                options = _options[name] = _from_environment(
                    name, _options.get(name, Options()), os.environ
                )
                executor = _executors[name] = _make(name, options)
    return executor


def _make(name: str, options: Options) -> NamedExecutor:
    factory = options.factory
    if factory is None and options.processes is not None:
        factory = processes(options.processes)
    if factory is None:
        return WorkerExecutor(options.max_workers, name)
    return RenewedExecutor(name, factory, options.max_workers)


def options_of(executor: concurrent.futures.Executor) -> Options:
    """Return the options of ``executor``: its own, or defaults for a foreign one."""
    if is_named(executor):
        return _options[executor.name]  # type: ignore[attr-defined]
    workers = getattr(executor, "_max_workers", None) or Options.max_workers
    return Options(max_workers=workers)


def is_named(executor: concurrent.futures.Executor) -> bool:
    """Whether ``executor`` is one that was made here for its name."""
    return _executors.get(getattr(executor, "name", "")) is executor


def executor_name(executor: concurrent.futures.Executor) -> str:
    """Return what errors and statistics call ``executor``."""
    return str(getattr(executor, "name", "") or type(executor).__name__)


def thread_count(executor: concurrent.futures.Executor) -> Optional[int]:
    """Return how many threads ``executor`` has now; None when it runs on others."""
    if isinstance(executor, WorkerExecutor):
        return executor.thread_count()
    if isinstance(executor, concurrent.futures.ThreadPoolExecutor):
        return len(executor._threads)
    return None


def executors() -> dict[str, NamedExecutor]:
    """Return the named executors made so far."""
    return dict(_executors)


def kill_processes() -> None:
    """End the processes of every named executor at once, whatever they are doing."""
    for executor in executors().values():
        if isinstance(executor, RenewedExecutor):
            executor.kill()


def forget_executors(timeout: float) -> None:
    """Shut down every named executor, wait for its threads, forget its options.

    Args:
        timeout: Seconds to wait for each worker that still runs a body.
    """
    global _json_encoder
    with _lock:
        made = list(_executors.values())
        _executors.clear()
        _options.clear()
        _json_encoder = escape.json_encode
    for executor in made:
        if isinstance(executor, WorkerExecutor):
            executor.shutdown(wait=False, cancel_futures=True)
            executor.join(timeout)
        else:
            executor.shutdown(wait=True, cancel_futures=True)
    forget_submitters()


def _from_environment(
    name: str, options: Options, environment: Mapping[str, str]
) -> Options:
    prefix = "TORNADO_UNBLOCK_"
    if name != DEFAULT:
        prefix += re.sub(r"\W", "_", name).upper() + "_"
    changes: dict[str, Any] = {}
    for field in _FIELDS:
        text = environment.get(prefix + field.upper())
        if text is not None and field != "factory":
            changes[field] = _parse(prefix + field.upper(), field, text)
    _check_default(name, changes)
    return dataclasses.replace(options, **changes)


def _check_default(name: str, options: Mapping[str, Any]) -> None:
    if name == DEFAULT and (options.get("processes") or options.get("factory")):
        raise ConfigurationError(
            "the default executor runs handlers, which need threads; give the one of "
            "processes a name, as in configure('cpu', processes=4)"
        )


def _parse(variable: str, field: str, text: str) -> Any:
    if text.lower() == "none" and "Optional" in str(_FIELDS[field].type):
        return None
    try:
        return int(text) if "int" in str(_FIELDS[field].type) else float(text)
    except ValueError:
        raise ConfigurationError(
            f"environment variable {variable}={text!r} is not a number"
        ) from None


def _forget_parent() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # pragma: no branch - all but Windows
    os.register_at_fork(after_in_child=_forget_parent)
