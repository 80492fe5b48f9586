"""How many jobs there are, for `prometheus_client`; the extra ``prometheus``.

    from tornado_unblock.jobs import prometheus

    prometheus.register()

| metric, after ``tornado_unblock_jobs_`` | labels | |
|---|---|---|
| ``up`` | app | gauge: 1, or 0 while the store cannot be reached |
| ``count`` | app, state | gauge: queued, scheduled, running, done, dead |
| ``failures`` | app | gauge: attempts that failed, of the jobs that are kept |
| ``oldest_waiting_seconds`` | app | gauge |

Each scrape asks the store, in the thread that scrapes. The figures are those of the
whole store, so one process that exports them is enough. `tornado_unblock.prometheus`
exports the same of the default application, unless this module does.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Optional

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tornado_unblock._errors import JobStoreError

if TYPE_CHECKING:
    from tornado_unblock.jobs.app import Jobs

_PREFIX = "tornado_unblock_jobs_"
_STATES = ("queued", "scheduled", "running", "done", "dead")


def register(
    registry: CollectorRegistry = REGISTRY, app: Optional[Jobs] = None
) -> Collector:
    """Have ``registry`` export how many jobs there are; any thread.

    Args:
        registry: The default one unless given.
        app: Whose jobs; those of `tornado_unblock.jobs` by default.

    Returns:
        The collector, for ``registry.unregister``.

    Raises:
        ValueError: From the registry, when they are exported there already.
        ConfigurationError: `configure` was not called.
    """
    # Not above: the application may import this module first.
    from tornado_unblock.jobs import default

    collector = _Jobs(default if app is None else app)
    registry.register(collector)
    _exported.add(collector)
    return collector


def is_exported() -> bool:
    """Whether some registry exports jobs by way of this module; any thread."""
    return bool(_exported)


class _Jobs(Collector):
    def __init__(self, app: Jobs) -> None:
        self._app = app
        self._store = app.engine.store

    def describe(self) -> Iterable[Metric]:
        """Name the metrics without asking the store: this is for duplicates."""
        return self._families()

    def collect(self) -> Iterable[Metric]:
        """Ask the store; called by the registry."""
        families = up, count, failures, oldest = self._families()
        label = [self._app.name]
        try:
            counts = self._store.counts()
        except JobStoreError:
            up.add_metric(label, 0)
            return [up]
        up.add_metric(label, 1)
        for state in _STATES:
            count.add_metric([*label, state], getattr(counts, state))
        failures.add_metric(label, counts.failures)
        oldest.add_metric(label, counts.oldest_waiting)
        return families

    def _families(self) -> list[GaugeMetricFamily]:
        return [
            GaugeMetricFamily(
                f"{_PREFIX}up", "Whether the store answers.", labels=["app"]
            ),
            GaugeMetricFamily(
                f"{_PREFIX}count", "Jobs, by state.", labels=["app", "state"]
            ),
            GaugeMetricFamily(
                f"{_PREFIX}failures", "Attempts that failed.", labels=["app"]
            ),
            GaugeMetricFamily(
                f"{_PREFIX}oldest_waiting_seconds",
                "How long the oldest that is due has waited.",
                labels=["app"],
            ),
        ]


# Those that are in a registry, or were until a moment ago.
_exported: weakref.WeakSet[_Jobs] = weakref.WeakSet()
