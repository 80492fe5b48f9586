"""Prometheus over several processes: the files of `prometheus_client`'s own mode.

That mode adds up what each process has written into ``PROMETHEUS_MULTIPROC_DIR``, and
knows no collectors. So what a collector tells is copied into metrics of theirs, every
few seconds, and once more when the process ends.

# Threads: one of our own writes; so may any that scrapes, under `_lock`.
# Guarantees:
# - a fork waits for a writer: their files have a lock that no child could open again;
# - a forked child writes its own numbers, from nothing, once it runs a loop;
# - what a process has counted stays when it is gone; what it was doing does not.
"""

from __future__ import annotations

import atexit
import os
import re
import threading
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Callable, Optional

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import Metric
from prometheus_client.multiprocess import mark_process_dead
from tornado.log import app_log

from tornado_unblock._executors.threads import start_thread
from tornado_unblock._loop.fork import Step, at_fork
from tornado_unblock._loop.weak import members
from tornado_unblock.status.children import FirstLoop

Collect = Callable[[], Iterable[Metric]]

# Seconds between two times that the files are written.
EVERY = 5.0
# What of many processes is shown of these: the worst. All other gauges are added up.
_WORST = re.compile(r"_(seconds|utilization)$|_jobs_")
_LIVE = re.compile(r"gauge_live\w+_(\d+)\.db")

_Key = tuple[str, tuple[str, ...]]

_lock = threading.Lock()
_kept: weakref.WeakSet[Files] = weakref.WeakSet()


class Files:
    """Metrics of `prometheus_client` that are kept equal to what a collector tells.

    Args:
        collect: Tells it.
    """

    def __init__(self, collect: Collect) -> None:
        self._collect = collect
        # Guarded by _lock.
        self._metrics: dict[str, Any] = {}
        self._written: dict[_Key, tuple[float, ...]] = {}

    def keep(self) -> None:
        """Write now, and again every few seconds, until nobody refers to this."""
        self.write()
        _kept.add(self)
        weakref.finalize(self, _writer.look_again).atexit = False
        _writer.start()

    def write(self) -> None:
        """Bring the files up to date; any thread."""
        with _lock:  # numbers that were read first are written first
            for family in self._collect():
                _WRITERS[family.type](self, family)
            _forget_the_dead()

    def forget_written(self) -> None:
        """Begin from nothing, in a forked child: its files are empty."""
        self._written.clear()

    def _gauge(self, family: Metric) -> None:
        mode = "livemax" if _WORST.search(family.name) else "livesum"
        rows = {_labels(sample.labels): sample.value for sample in family.samples}
        gone = [k for k in self._written if k[0] == family.name and k[1] not in rows]
        for name, labels in gone:
            rows[labels] = 0.0
            del self._written[name, labels]
        for labels, value in rows.items():
            self._child(Gauge, family, labels, multiprocess_mode=mode).set(value)
        for sample in family.samples:
            self._written[family.name, _labels(sample.labels)] = (sample.value,)

    def _counter(self, family: Metric) -> None:
        for sample in family.samples:
            labels = _labels(sample.labels)
            (more,) = self._added(family, labels, (sample.value,))
            self._child(Counter, family, labels).inc(more)

    def _histogram(self, family: Metric) -> None:
        rows: dict[tuple[str, ...], list[float]] = {}
        bounds: list[str] = []
        for sample in family.samples:
            named = dict(sample.labels)
            bound = named.pop("le", None)
            numbers = rows.setdefault(_labels(named), [])
            if bound is not None:
                bounds += [] if bound in bounds else [bound]
                numbers.append(sample.value - sum(numbers))
            elif sample.name.endswith("_sum"):
                numbers.append(sample.value)
        for labels, numbers in rows.items():
            child = self._child(Histogram, family, labels, buckets=bounds)
            more = self._added(family, labels, tuple(numbers))
            # There is no public way to add what was counted elsewhere.
            for place, number in zip([*child._buckets, child._sum], more):
                place.inc(number)

    def _added(
        self, family: Metric, labels: tuple[str, ...], now: tuple[float, ...]
    ) -> tuple[float, ...]:
        """Return what has come since the last time."""
        key = (family.name, labels)
        before = self._written.get(key)
        self._written[key] = now
        # Who has forgotten, as tests do, counts from nothing.
        if before is None or any(n < b for n, b in zip(now, before)):
            return now
        return tuple(n - b for n, b in zip(now, before))

    def _child(
        self, kind: Any, family: Metric, labels: tuple[str, ...], **options: Any
    ) -> Any:
        metric = self._metrics.get(family.name)
        if metric is None:
            names = tuple(name for name in family.samples[0].labels if name != "le")
            metric = self._metrics[family.name] = kind(
                *(family.name, family.documentation, names), registry=None, **options
            )
        return metric.labels(*labels)


_WRITERS: dict[str, Callable[[Files, Metric], None]] = {
    "gauge": Files._gauge,
    "counter": Files._counter,
    "histogram": Files._histogram,
}


def _labels(labels: dict[str, str]) -> tuple[str, ...]:
    return tuple(labels.values())


def _forget_the_dead() -> None:
    """Remove what the processes that are gone were doing.

    Their parent should have said so, by `mark_process_dead`; Tornado's has no way to.
    """
    for path in Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob("gauge_live*.db"):
        found = _LIVE.fullmatch(path.name)
        if found:
            try:
                os.kill(int(found[1]), 0)
            except ProcessLookupError:
                mark_process_dead(int(found[1]))  # type: ignore[no-untyped-call]
            except OSError:
                pass  # it is another user's, and alive


class _Writer:
    """The thread that writes, while there is something to."""

    def __init__(self) -> None:
        self._thread: Optional[threading.Thread] = None
        self._wake = threading.Event()
        self._first_loop = FirstLoop(self.start)

    def start(self) -> None:
        """Start the thread, if it does not run; any thread."""
        with _lock:
            if self._thread is None:
                self._thread = start_thread(self._run, "unblock-prometheus")

    def _run(self) -> None:
        while _kept:
            self.write_all()
            self._wake.wait(EVERY)
            self._wake.clear()
        with _lock:
            self._thread = None

    def look_again(self) -> None:
        """Have the thread see whether there is something to write; any thread."""
        self._wake.set()

    def write_all(self) -> None:
        """Bring all files up to date; what fails is logged."""
        for files in members(_kept):
            try:
                files.write()
            except Exception:
                app_log.error(
                    "The figures for Prometheus were not written", exc_info=True
                )

    def after_fork(self) -> None:
        """Begin anew in a forked child, when it runs a loop."""
        global _lock
        _lock = threading.Lock()
        self._thread, self._wake = None, threading.Event()
        for files in members(_kept):
            files.forget_written()
        if _kept:
            self._first_loop.await_it()


def _before_fork() -> None:
    _lock.acquire()


def _in_parent() -> None:
    _lock.release()


_writer = _Writer()
atexit.register(_writer.write_all)
at_fork(Step.METRICS, _writer.after_fork, before=_before_fork, in_parent=_in_parent)
