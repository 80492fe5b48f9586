"""The multiprocess mode of `prometheus_client`, with processes that are forked."""

from __future__ import annotations

import gc
import os
import threading

import pytest

prometheus_client = pytest.importorskip("prometheus_client")

SERVER = """
import asyncio, os, signal, struct, sys
from urllib.request import urlopen

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from tornado_unblock import prometheus, run_in_executor, unblock
from tornado_unblock.status import multiprocess

multiprocess.EVERY = 0.05
collector = prometheus.register()


class Orders(RequestHandler):
    @unblock
    def get(self):
        self.write("ok")


class Metrics(RequestHandler):
    def get(self):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        try:
            self.write(generate_latest(registry))
        except struct.error:  # `prometheus_client`: somebody is creating a file
            self.set_status(204)


async def serve(sockets):
    application = Application([("/orders", Orders), ("/metrics", Metrics)])
    HTTPServer(application).add_sockets(sockets)
    await asyncio.Event().wait()


def ask(port, path):
    return urlopen(f"http://127.0.0.1:{port}{path}", timeout=60).read().decode()


def until(port, *wanted):
    # A scrape may read one file before it is written, and another one after. Gauges are
    # written first: who is told of the counters is told of the gauges the next time.
    for _ in range(2):
        told = ""
        while not all(line in told.split("\\n") for line in wanted):
            told = ask(port, "/metrics")
    return told


children = {}
for number in range(2):
    sockets = bind_sockets(0, "127.0.0.1")
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGTERM, lambda *args: sys.exit(0))
        asyncio.run(serve(sockets))
    children[sockets[0].getsockname()[1]] = pid
    sockets[0].close()
try:
    first, second = children
    for port in (first, first, second):
        ask(port, "/orders")

    labels = '{endpoint="Orders.get",executor="default"}'
    told = until(
        second,
        f"tornado_unblock_completed_total{labels} 3.0",
        f"tornado_unblock_run_seconds_count{labels} 3.0",
    )
    bucket = labels.replace("}", ',le="+Inf"}')
    assert f"tornado_unblock_run_seconds_bucket{bucket} 3.0" in told
    assert 'tornado_unblock_total_tokens{executor="default"}' in told
    assert "pid=" not in told
    tokens = told.partition('tornado_unblock_total_tokens{executor="default"} ')[2]

    # What one has done stays when it is gone; what it has does not.
    gone = children.pop(first)
    os.kill(gone, signal.SIGKILL)
    os.waitpid(gone, 0)
    half = float(tokens.split()[0]) / 2
    until(
        second,
        f"tornado_unblock_completed_total{labels} 3.0",
        f'tornado_unblock_total_tokens{{executor="default"}} {half}',
    )
finally:
    for pid in children.values():  # whoever is left has the output open
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
print("done")
"""


def test_forked_servers(run_program, child_env, tmp_path):
    """One scrape tells of all; what is counted outlives who has counted it."""
    child_env["PROMETHEUS_MULTIPROC_DIR"] = str(tmp_path)
    try:
        assert run_program(SERVER) == "done\n"
    finally:
        del child_env["PROMETHEUS_MULTIPROC_DIR"]


def test_what_a_slow_machine_adds_is_no_output(run_program):
    """Every callback is a slow one here, and remarked on; only that is left out."""
    program = """
        import asyncio

        async def main():
            asyncio.get_running_loop().slow_callback_duration = -1.0
            await asyncio.sleep(0)
            print("Executing it took {} seconds", flush=True)

        asyncio.run(main(), debug=True)
    """
    assert run_program(program) == "Executing it took {} seconds\n"


def family(kind, name, rows):
    """Return a metric as a collector tells it."""
    from prometheus_client import core

    made = getattr(core, f"{kind}MetricFamily")(name, "It.", labels=["a"])
    for label, value in rows.items():
        made.add_metric([label], *value)
    return made


@pytest.fixture
def files(monkeypatch, tmp_path):
    """Return what keeps metrics equal to `files.told`; in memory, not in files."""
    from tornado_unblock.status import multiprocess

    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    files = multiprocess.Files(lambda: files.told)
    return files


def written(files, name):
    """Return the samples of a metric."""
    (metric,) = files._metrics[name].collect()
    return {
        (sample.name.removeprefix(name), *sample.labels.values()): sample.value
        for sample in metric.samples
        if not sample.name.endswith("_created")
    }


def test_what_is_copied(files):
    """Gauges are set, and 0 when their row is gone; counters and histograms grow."""
    for count in (1, 3):
        files.told = [
            family("Gauge", "g", {"x": (count,)} if count == 1 else {"y": (count,)}),
            family("Counter", "c", {"x": (count,)}),
            family("Histogram", "h", {"x": ([("0.5", 1), ("+Inf", count)], 2.5)}),
            family("Gauge", "none", {}),
        ]
        files.write()
    assert written(files, "g") == {("", "x"): 0, ("", "y"): 3}
    assert written(files, "c") == {("_total", "x"): 3}
    rows = written(files, "h")
    assert rows["_bucket", "x", "0.5"] == 1
    assert rows["_bucket", "x", "+Inf"] == rows["_count", "x"] == 3
    assert rows["_sum", "x"] == 2.5


def test_who_forgets_counts_from_nothing(files):
    """As a test does that resets the library, or a forked child."""
    for count in (5, 2):
        files.told = [family("Counter", "c", {"x": (count,)})]
        files.write()
    assert written(files, "c") == {("_total", "x"): 7}
    files.forget_written()
    files.write()
    assert written(files, "c") == {("_total", "x"): 9}


def test_the_dead_are_forgotten(files, tmp_path, monkeypatch):
    """What a process was doing that is gone; not that of others that are there."""
    alive, foreign = (tmp_path / f"gauge_livesum_{pid}.db" for pid in (os.getpid(), 1))
    dead, other = tmp_path / "gauge_livemax_999999999.db", tmp_path / "gauge_live_x.db"
    for path in (alive, foreign, dead, other):
        path.touch()
    kill = os.kill

    def refuse(pid, number):
        if pid == 1:
            raise PermissionError
        kill(pid, number)

    monkeypatch.setattr(os, "kill", refuse)
    files.told = []
    files.write()
    assert set(tmp_path.iterdir()) == {alive, foreign, other}


@pytest.mark.allow_threads("unblock-prometheus")
def test_the_thread_ends_with_the_collector(monkeypatch, tmp_path):
    """It writes as long as something is exported, and names are exported once."""
    from tornado_unblock import prometheus
    from tornado_unblock.status import multiprocess

    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    registry = prometheus_client.CollectorRegistry()
    collector = prometheus.register(registry)
    with pytest.raises(ValueError, match="Duplicated"):
        prometheus.register(registry)
    multiprocess._writer.start()
    (thread,) = (t for t in threading.enumerate() if t.name == "unblock-prometheus")
    assert list(registry.collect()) == []
    registry.unregister(collector)
    del collector
    gc.collect()
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.expect_log(
    "tornado.application", "figures for Prometheus were not written"
)
def test_what_fails_is_logged(files):
    """The next time may be better."""
    from tornado_unblock.status import multiprocess

    def fail():
        raise OSError("full")

    broken = multiprocess.Files(fail)
    multiprocess._kept.add(broken)
    multiprocess._writer.write_all()
