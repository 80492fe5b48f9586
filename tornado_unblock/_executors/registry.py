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
import difflib
import os
import threading
import warnings
from typing import Any, Callable, Optional, Union

from tornado import escape

from tornado_unblock._errors import (
    ConfigurationError,
)
from tornado_unblock._executors.options import (
    DEFAULT,
    FIELDS,
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

_lock = threading.Lock()
_options: dict[str, Options] = {}
_executors: dict[str, NamedExecutor] = {}
# The encoder of returned values. One for the process: it says what this
# application's JSON looks like, not how an executor runs.
_json_encoder: JSONEncoder = escape.json_encode


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
            ``max_endpoint_share`` (the share of workers one endpoint may hold, 0.8;
            1 switches fairness off). For an executor of `run_in_executor` only:
            ``processes`` (so many processes instead of threads) or ``factory``
            (a function that returns the `concurrent.futures.Executor` to use,
            and another one when that has broken); there one endpoint may hold all.

    Raises:
        ConfigurationError: An option is unknown or out of range, or the
            executor is in use already, or must have threads.
    """
    global _json_encoder
    unknown = sorted(set(options) - set(FIELDS))
    if unknown:
        raise ConfigurationError(
            f"configure() has no option {unknown[0]!r}; "
            f"it takes json_encoder, {', '.join(FIELDS)}"
        )
    check_default(executor, options)
    if json_encoder is not None and not callable(json_encoder):
        raise ConfigurationError(f"json_encoder must be callable, not {json_encoder!r}")
    with _lock:
        if options and executor in _executors:
            raise ConfigurationError(
                f"executor {executor!r} is in use already; "
                "call configure() before the first request"
            )
        before = _options.get(executor, Options())
        check_processes(before, options)
        changed = dataclasses.replace(before, **options)
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
                options = from_environment(
                    name, _options.get(name, Options()), os.environ
                )
                if name not in _options and options == Options():
                    _warn_if_misspelt(name)
                _options[name] = options
                executor = _executors[name] = _make(name, options)
    return executor


def _warn_if_misspelt(name: str) -> None:
    """Warn of a name for which nothing is configured, beside one much like it."""

    def letters(text: str) -> str:
        return "".join(char for char in text if not char.isdigit())

    # Those that differ in their numbers are meant to.
    others = [other for other in _options if letters(other) != letters(name)]
    alike = difflib.get_close_matches(name, others, 1, 0.8)
    if alike:
        warnings.warn(
            f"nothing is configured for executor {name!r}, which has the default "
            f"options now; did you mean {alike[0]!r}?",
            stacklevel=3,
        )


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


def _forget_parent() -> None:
    global _lock
    _lock = threading.Lock()


at_fork(Step.EXECUTORS, _forget_parent)


AnyExecutor = Union[str, concurrent.futures.Executor]


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
