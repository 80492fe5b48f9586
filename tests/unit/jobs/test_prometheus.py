"""How many jobs there are, with the real `prometheus_client`."""

from __future__ import annotations

import pytest

from tornado_unblock import ConfigurationError
from tornado_unblock._errors import JobStoreError

prometheus_client = pytest.importorskip("prometheus_client")


@pytest.fixture
def registry(app):
    from tornado_unblock.jobs import prometheus

    registry = prometheus_client.CollectorRegistry()
    prometheus.register(registry, app)
    return registry


def value(registry, name, **labels):
    labels = {"app": "default", **labels}
    return registry.get_sample_value(f"tornado_unblock_jobs_{name}", labels)


def test_export(registry, app):
    """Each number under its name."""
    job = app.job(name="it")(lambda: 1)
    job.later()
    job.later.options(delay=100)()
    assert value(registry, "count", state="queued") == 1
    assert value(registry, "count", state="scheduled") == 1
    assert value(registry, "count", state="dead") == 0
    assert value(registry, "oldest_waiting_seconds") >= 0
    assert value(registry, "failures") == 0
    assert value(registry, "up") == 1


def test_away(registry, app, monkeypatch):
    """The scrape says so, and the other metrics of the process are there."""

    def refuse():
        raise JobStoreError("away")

    monkeypatch.setattr(app.engine.store, "counts", refuse)
    assert value(registry, "up") == 0
    assert value(registry, "failures") is None


def test_not_twice(registry, app):
    """The registry refuses the same names again."""
    from tornado_unblock.jobs import prometheus

    with pytest.raises(ValueError, match="Duplicated"):
        prometheus.register(registry, app)


def test_the_default_application():
    """Without app= it is that of the module, which has to be configured."""
    from tornado_unblock.jobs import default, prometheus

    registry = prometheus_client.CollectorRegistry()
    with pytest.raises(ConfigurationError, match="nobody has said"):
        prometheus.register(registry)
    with default.testing():
        prometheus.register(registry)
        assert value(registry, "up") == 1
