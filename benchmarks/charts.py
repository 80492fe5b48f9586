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


def write_charts(results: Results, folder: Path) -> dict[str, Path]:
    """Write an SVG file for each scenario that can be shown as bars.

    Returns:
        The files by the scenarios' names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for scenario in SCENARIOS:
        shown = _bars(results, scenario) if scenario.chart else []
        if len(shown) > 1:
            base = contender_named(base_of(results, scenario.name))
            what = f"requests per second, {base.title.replace('`', '')} = 1"
            written[scenario.name] = folder / NAME.format(scenario.name)
            title = f"{heading_of(scenario)}: {what}"
            _write(title, shown, written[scenario.name])
    return written


def _bars(results: Results, scenario: Scenario) -> list[Bar]:
    shown = []
    base = base_of(results, scenario.name)
    for contender in CONTENDERS:
        found = results.ratio(scenario.name, contender.name, base, "rate")
        if found is not None:
            text = f"{found.median:.2f} ({found.low:.2f} to {found.high:.2f})"
            ours = contender.name.startswith("unblock")
            name = contender.title.replace("`", "")
            shown.append(Bar(name, found.median, text, "a" if ours else "b"))
    return shown


def _write(title: str, shown: list[Bar], path: Path) -> None:
    legend = (("this library", "a"), ("others", "b"))
    path.write_text(bars(title, shown, legend), encoding="utf-8")
