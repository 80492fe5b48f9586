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
import threading
import warnings
from collections.abc import Mapping
from typing import Any, Callable, Optional, Union

from tornado import escape

from tornado_unblock._errors import ConfigurationError
from tornado_unblock._executors.options import (
    DEFAULT,
    UNCHANGED,
    Factory,
    Options,
    check_default,
    check_processes,
    from_environment,
)
from tornado_unblock._executors.processes import (
    RenewedExecutor,
    forget_submitters,
    processes,
)
from tornado_unblock._executors.threads import WorkerExecutor
from tornado_unblock._loop.fork import Step, at_fork

JSONEncoder = Callable[[Any], Union[str, bytes]]

NamedExecutor = Union[WorkerExecutor, RenewedExecutor]

AnyExecutor = Union[str, concurrent.futures.Executor]

_lock = threading.Lock()
_options: dict[str, Options] = {}
_executors: dict[str, NamedExecutor] = {}
# The encoder of returned values. One for the process: it says what this
# application's JSON looks like, not how an executor runs.
_json_encoder: JSONEncoder = escape.json_encode
# Whether a name for which nothing is configured is an error.
_strict = False


def configure(
    executor: str = DEFAULT,
    *,
    max_workers: int = UNCHANGED,
    max_waiting: int = UNCHANGED,
    queue_timeout: Optional[float] = UNCHANGED,
    timeout: Optional[float] = UNCHANGED,
    timeout_status: int = UNCHANGED,
    max_endpoint_share: Optional[float] = UNCHANGED,
    processes: Optional[int] = UNCHANGED,
    factory: Optional[Factory] = UNCHANGED,
    json_encoder: Optional[JSONEncoder] = None,
    strict: Optional[bool] = None,
) -> None:
    """Set the options of an executor before its first use; any thread.

    What is not given stays as it was, by default the value in parentheses.

    Args:
        executor: Its name; the global one by default.
        max_workers: Threads (50).
        max_waiting: Requests that may wait for a worker (1000).
        queue_timeout: Seconds that one may wait (30); None for ever.
        timeout: Seconds that a body may run (None: for ever).
        timeout_status: What its client gets then (504).
        max_endpoint_share: The share of workers that one endpoint may hold (0.8);
            1 switches fairness off.
        processes: So many processes instead of threads; for `run_in_executor` only.
            There one endpoint may hold all.
        factory: The same, by a function that returns the
            `concurrent.futures.Executor` to use, and another one when that has broken.
        json_encoder: For the whole process, at any time: what turns a returned
            value into JSON, ``value -> str | bytes``. Default:
            `tornado.escape.json_encode`.
        strict: For the whole process, at any time: whether a name of an executor for
            which nothing is configured is an error (False: at most a warning).

    Raises:
        TypeError: There is no such option.
        ConfigurationError: An option is out of range, or the executor is in use
            already, or must have threads.
    """
    global _json_encoder, _strict
    given = {
        "max_workers": max_workers,
        "max_waiting": max_waiting,
        "queue_timeout": queue_timeout,
        "timeout": timeout,
        "timeout_status": timeout_status,
        "max_endpoint_share": max_endpoint_share,
        "processes": processes,
        "factory": factory,
    }
    options = {name: value for name, value in given.items() if value is not UNCHANGED}
    _check_configured(executor, json_encoder, strict)
    check_default(executor, options)
    with _lock:
        _set_options(executor, options)
        if json_encoder is not None:
            _json_encoder = json_encoder
        if strict is not None:
            _strict = strict


def _check_configured(executor: object, encoder: object, strict: object) -> None:
    if not isinstance(executor, str):
        raise ConfigurationError(
            "configure() takes the name of an executor, whose options follow by "
            f"name, not {executor!r}"
        )
    if encoder is not None and not callable(encoder):
        raise ConfigurationError(f"json_encoder must be callable, not {encoder!r}")
    if strict is not None and not isinstance(strict, bool):
        raise ConfigurationError(f"strict must be True or False, not {strict!r}")


def _set_options(executor: str, options: Mapping[str, Any]) -> None:
    if not options:
        # Its name is known from now on, and it has the defaults.
        _options.setdefault(executor, Options())
        return
    if executor in _executors:
        raise ConfigurationError(
            f"executor {executor!r} is in use already; "
            "call configure() before the first request"
        )
    before = _options.get(executor, Options())
    check_processes(before, options)
    _options[executor] = dataclasses.replace(before, **options)


def json_encoder() -> JSONEncoder:
    """Return the encoder of returned values that is configured now."""
    return _json_encoder


def get_executor(name: str = DEFAULT) -> NamedExecutor:
    """Return the executor called ``name``, made on first use; any thread.

    Raises:
        ConfigurationError: An environment variable for it makes no sense, or nothing
            is configured for it, which `configure` has made an error.
    """
    executor = _executors.get(name)
    if executor is None:
        with _lock:
            executor = _executors.get(name)
            if executor is None:
                options = _options_now(name)
                if _is_unknown(name, options):
                    _refuse_or_warn(name)
                _options[name] = options
                executor = _executors[name] = _make(name, options)
    return executor


def check_known(executor: Optional[AnyExecutor]) -> None:
    """Refuse a name for which nothing is configured, if that is an error; any thread.

    Raises:
        ConfigurationError: It is such a name.
    """
    if not (_strict and isinstance(executor, str)):
        return
    with _lock:
        if _is_unknown(executor, _options_now(executor)):
            _refuse_or_warn(executor)


def _options_now(name: str) -> Options:
    return from_environment(name, _options.get(name, Options()), os.environ)


def _is_unknown(name: str, options: Options) -> bool:
    """Whether neither the code nor the environment says anything of an executor."""
    return name != DEFAULT and name not in _options and options == Options()


def _refuse_or_warn(name: str) -> None:
    """Tell of a name for which nothing is configured: maybe it is misspelt."""
    alike = _much_like(name)
    hint = f"; did you mean {alike!r}?" if alike else "."
    if _strict:
        raise ConfigurationError(
            f"nothing is configured for executor {name!r}{hint} With "
            "configure(strict=True) each has to be configured before it is used: "
            f"configure({name!r}, max_workers=...)"
        )
    if alike:
        warnings.warn(
            f"nothing is configured for executor {name!r}, which has the default "
            f"options now{hint}",
            stacklevel=4,
        )


def _much_like(name: str) -> Optional[str]:
    import difflib

    def letters(text: str) -> str:
        return "".join(char for char in text if not char.isdigit())

    # Those that differ in their numbers are meant to.
    others = [other for other in _options if letters(other) != letters(name)]
    return next(iter(difflib.get_close_matches(name, others, 1, 0.8)), None)


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
    global _json_encoder, _strict
    with _lock:
        made = list(_executors.values())
        _executors.clear()
        _options.clear()
        _json_encoder = escape.json_encode
        _strict = False
    for executor in made:
        if isinstance(executor, WorkerExecutor):
            executor.shutdown(wait=False, cancel_futures=True)
            executor.join(timeout)
        else:
            executor.shutdown(wait=True, cancel_futures=True)
    forget_submitters()


def _forget_parent() -> None:
    global _lock
    _lock = threading.Lock()


at_fork(Step.EXECUTORS, _forget_parent)


def resolve_executor(executor: Optional[AnyExecutor]) -> concurrent.futures.Executor:
    """Return the executor meant by a name, an executor or None, to run handlers on.

    Raises:
        TypeError: It is none of these, or its workers are not threads.
    """
    resolved = _resolve_any(executor)
    if not isinstance(resolved, concurrent.futures.ThreadPoolExecutor):
        raise TypeError(
            f"a handler cannot be pickled, so its body cannot run on {executor!r}, an "
            "executor of processes; unblock it on threads, and call what is to run "
            f"there with run_in_executor(fn, ..., executor={executor!r})"
        )
    return resolved


def _resolve_any(executor: Optional[AnyExecutor]) -> concurrent.futures.Executor:
    if executor is None or isinstance(executor, str):
        return get_executor(executor or DEFAULT)
    if not isinstance(executor, concurrent.futures.Executor):
        raise TypeError(
            "executor must be a name or a concurrent.futures.Executor, "
            f"not {executor!r}"
        )
    return executor
