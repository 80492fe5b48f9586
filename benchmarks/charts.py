"""The results as pictures."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders import CONTENDERS, contender_named
from benchmarks.harness.drawing import Bar, bars
from benchmarks.harness.kinds import Scenario
from benchmarks.harness.results import Results
from benchmarks.scenarios import SCENARIOS
from benchmarks.table import base_of, heading_of

NAME = "benchmarks-{}.svg"
METRICS = {
    "rate": "requests per second",
    "cpu": "processor time per request (less is better)",
}


def write_charts(
    results: Results, folder: Path, metric: str = "rate"
) -> dict[str, Path]:
    """Write an SVG file for each scenario that can be shown as bars.

    Args:
        results: What was measured.
        folder: Where the files go; charts of earlier runs there are removed.
        metric: "rate", or "cpu" where the machine was busy: processor time is what
            other programs change least.

    Returns:
        The files by the scenarios' names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(NAME.format("*")):
        old.unlink()
    written = {}
    for scenario in SCENARIOS:
        shown = _bars(results, scenario, metric) if scenario.chart else []
        if len(shown) > 1:
            base = contender_named(base_of(results, scenario.name))
            name = base.title.replace("`", "")
            what = f"{METRICS[metric]}, {name} = 1"
            written[scenario.name] = folder / NAME.format(scenario.name)
            title = f"{heading_of(scenario)}: {what}"
            _write(title, shown, written[scenario.name])
    return written


def _bars(results: Results, scenario: Scenario, metric: str) -> list[Bar]:
    shown = []
    base = base_of(results, scenario.name)
    for contender in CONTENDERS:
        found = results.ratio(scenario.name, contender.name, base, metric)
        if found is not None:
            text = f"{found.median:.2f} ({found.low:.2f} to {found.high:.2f})"
            ours = contender.name.startswith("unblock")
            name = contender.title.replace("`", "")
            shown.append(Bar(name, found.median, text, "a" if ours else "b"))
    return shown


def _write(title: str, shown: list[Bar], path: Path) -> None:
    legend = (("this library", "a"), ("others", "b"))
    path.write_text(bars(title, shown, legend), encoding="utf-8")
