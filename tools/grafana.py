"""Write the Grafana dashboard of the documentation: python tools/grafana.py [--check].

The panels are a table here; docs/_static/grafana-dashboard.json is made of it. With
--check nothing is written, and the exit status is 1 if the file is not what is made.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DASHBOARD = ROOT / "docs" / "_static" / "grafana-dashboard.json"

_DATA = {"type": "prometheus", "uid": "${datasource}"}
_OF = 'job=~"$job", instance=~"$instance"'
_AT = f'{_OF}, executor=~"$executor"'
_RATE = "[$__rate_interval]"
_WIDTH, _HEIGHT = 8, 7


class Panel(NamedTuple):
    """One panel.

    Attributes:
        title: As it says.
        text: What it means, and what to do.
        unit: As Grafana names units.
        queries: PromQL, each with its legend.
        most: The end of the axis, where there is one.
        stacked: Whether the series add up to something.
    """

    title: str
    text: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    most: float | None = None
    stacked: bool = False


def _metric(name: str, labels: str = _AT) -> str:
    return f"tornado_unblock_{name}{{{labels}}}"


def _sum(by: str, name: str, labels: str = _AT) -> str:
    return f"sum by ({by}) ({_metric(name, labels)})"


def _rate(by: str, name: str, labels: str = _AT) -> str:
    return f"sum by ({by}) (rate({_metric(name, labels)}{_RATE}))"


def _quantile(share: float, name: str) -> str:
    summed = _rate("le, executor, endpoint", f"{name}_bucket")
    return f"histogram_quantile({share}, {summed})"


_BY_BOTH = "executor, endpoint"
_BOTH = "{{executor}} {{endpoint}}"
_LOOP = "{{instance}} {{loop}}"

ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Is it stuck, on what, who waits?",
        (
            Panel(
                "Workers busy",
                "Near 100 %: look which endpoint has them, at the right. Its "
                "dependency is slow, or there are too few workers.",
                "percentunit",
                (
                    (
                        f"{_sum('executor', 'borrowed_tokens')} / "
                        f"({_sum('executor', 'total_tokens')} > 0)",
                        "{{executor}}",
                    ),
                ),
                most=1,
            ),
            Panel(
                "Who has the workers",
                "Bodies that run. An endpoint that never comes down hangs: a driver "
                "without a time limit.",
                "short",
                ((_sum(_BY_BOTH, "running"), _BOTH),),
                stacked=True,
            ),
            Panel(
                "Who waits",
                "Requests in line for a worker.",
                "short",
                ((_sum(_BY_BOTH, "waiting"), _BOTH),),
                stacked=True,
            ),
            Panel(
                "The first in line waits for",
                "Rises steadily: nobody gets a worker of that executor. Its bodies are "
                "on the status page.",
                "s",
                (
                    (
                        f"max by (executor) ({_metric('oldest_waiter_seconds')})",
                        "{{executor}}",
                    ),
                ),
            ),
            Panel(
                "Turned away",
                "Requests without a worker, in a second. full and queue_timeout are "
                "503s; client_gone had nobody left to answer.",
                "reqps",
                (
                    (
                        _rate("executor, reason", "rejected_total"),
                        "{{executor}} {{reason}}",
                    ),
                ),
            ),
            Panel(
                "Failed, timed out, abandoned",
                "Bodies in a second. What timed out was answered with a 504, and the "
                "log names the line it was at.",
                "short",
                (
                    (_rate(_BY_BOTH, "failed_total"), f"failed {_BOTH}"),
                    (_rate(_BY_BOTH, "timed_out_total"), f"timed out {_BOTH}"),
                    (_rate(_BY_BOTH, "abandoned_total"), f"abandoned {_BOTH}"),
                ),
            ),
        ),
    ),
    (
        "Endpoints",
        (
            Panel(
                "Bodies a second",
                "Bodies that have ended.",
                "reqps",
                ((_rate(_BY_BOTH, "completed_total"), _BOTH),),
                stacked=True,
            ),
            Panel(
                "Time in line, 95 %",
                "From asking for a worker to the body's start.",
                "s",
                ((_quantile(0.95, "queue_seconds"), _BOTH),),
            ),
            Panel(
                "Time of a body, 95 %",
                "From its start to its end.",
                "s",
                ((_quantile(0.95, "run_seconds"), _BOTH),),
            ),
        ),
    ),
    (
        "Event loops (with watch)",
        (
            Panel(
                "Busy",
                "Near 100 %: the loop itself is the limit. Find what computes on it, "
                "or start more processes.",
                "percentunit",
                (
                    (
                        f"rate({_metric('loop_busy_seconds_total', _OF)}{_RATE})",
                        _LOOP,
                    ),
                ),
                most=1,
            ),
            Panel(
                "Lag",
                "What an event waits until the loop comes to it, on average.",
                "s",
                ((_metric("loop_lag_seconds", _OF), _LOOP),),
            ),
            Panel(
                "Stalled by",
                "Share of its time in which a loop could not answer, by who stalled "
                "it. The log of watch names the line.",
                "percentunit",
                ((_rate("endpoint", "stall_seconds_sum", _OF), "{{endpoint}}"),),
                stacked=True,
            ),
        ),
    ),
    (
        "Jobs (where they are configured)",
        (
            Panel(
                "Jobs by state",
                "dead ones have failed for good: look at them by hand.",
                "short",
                (
                    (
                        f"max by (app, state) ({_metric('jobs_count', _OF)})",
                        "{{app}} {{state}}",
                    ),
                ),
            ),
            Panel(
                "The oldest due job waits for",
                "Rises steadily: no worker takes jobs, or there are too few.",
                "s",
                (
                    (
                        f"max by (app) ({_metric('jobs_oldest_waiting_seconds', _OF)})",
                        "{{app}}",
                    ),
                ),
            ),
            Panel(
                "The store answers",
                "0: the jobs' database cannot be reached.",
                "short",
                ((f"min by (app) ({_metric('jobs_up', _OF)})", "{{app}}"),),
                most=1,
            ),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    return {
        "title": "tornado-unblock",
        "uid": "tornado-unblock",
        "description": "Workers, endpoints, event loops and jobs of tornado-unblock.",
        "tags": ["tornado"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "",
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": list(_variables())},
        "panels": list(_panels()),
    }


def _variables() -> Iterator[dict[str, Any]]:
    yield {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
    }
    for name, within in (
        ("job", ""),
        ("instance", '{job=~"$job"}'),
        ("executor", f"{{{_OF}}}"),
    ):
        query = f"label_values(tornado_unblock_total_tokens{within}, {name})"
        yield {
            "name": name,
            "label": name.capitalize(),
            "type": "query",
            "datasource": _DATA,
            "query": {"query": query, "refId": name},
            "definition": query,
            "refresh": 2,
            "sort": 1,
            "includeAll": True,
            "allValue": ".*",
            "multi": True,
            "current": {"text": ["All"], "value": ["$__all"]},
        }


def _panels() -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for title, panels in ROWS:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": top, "w": 24, "h": 1},
            "panels": [],
        }
        top += 1
        for place, panel in enumerate(panels):
            number += 1
            left, down = place % 3 * _WIDTH, place // 3 * _HEIGHT
            grid = {"x": left, "y": top + down, "w": _WIDTH, "h": _HEIGHT}
            yield {"id": number, "gridPos": grid, **_panel(panel)}
        top += -(-len(panels) // 3) * _HEIGHT


def _panel(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "min": 0,
        "custom": {
            "fillOpacity": 25 if panel.stacked else 5,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        },
    }
    if panel.most is not None:
        defaults["max"] = panel.most
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": panel.text,
        "datasource": _DATA,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": _DATA,
                "expr": query,
                "legendFormat": legend,
            }
            for place, (query, legend) in enumerate(panel.queries)
        ],
    }


def text() -> str:
    """Return what is in the file."""
    return json.dumps(dashboard(), indent=1) + "\n"


def main(arguments: list[str]) -> int:
    """Write the file, or check it; return the exit status."""
    if arguments == ["--check"]:
        same = DASHBOARD.read_text(encoding="utf-8") == text()
        if not same:
            print(f"{DASHBOARD} is not what tools/grafana.py writes", file=sys.stderr)
        return not same
    DASHBOARD.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
