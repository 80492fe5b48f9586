"""The results as pictures."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.harness.drawing import Bar, bars
from benchmarks.harness.kinds import Scenario
from benchmarks.harness.results import Results
from benchmarks.scenarios import SCENARIOS
from benchmarks.table import heading_of

NAME = "benchmarks-{}.svg"
UNITS = {"rate": "requests per second", "seconds": "seconds, less is better"}


def write_charts(results: Results, folder: Path) -> dict[str, Path]:
    """Write an SVG file for each scenario that can be shown as bars.

    Returns:
        The files by the scenarios' names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for scenario in SCENARIOS:
        shown = _bars(results, scenario)
        if len(shown) > 1:
            written[scenario.name] = folder / NAME.format(scenario.name)
            _write(scenario, shown, written[scenario.name])
    return written


def _bars(results: Results, scenario: Scenario) -> list[Bar]:
    shown = []
    for contender in CONTENDERS:
        found = results.figure(scenario.name, contender.name, scenario.shown)
        if found is not None and scenario.shown in UNITS:
            name = contender.title.replace("`", "")
            digits = 0 if scenario.shown == "rate" else 1
            text = f"{found.median:,.{digits}f}"
            ours = contender.name.startswith("unblock")
            shown.append(Bar(name, found.median, text, "a" if ours else "b"))
    return shown


def _write(scenario: Scenario, shown: list[Bar], path: Path) -> None:
    title = f"{heading_of(scenario)}: {UNITS[scenario.shown]}"
    path.write_text(bars(title, shown), encoding="utf-8")
