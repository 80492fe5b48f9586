"""The results as pictures."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.kinds import Scenario
from benchmarks.results import Results
from benchmarks.scenarios import SCENARIOS
from examples.bench_app.drawing import BLUE, horizontal_bars

NAME = "benchmarks-{}.svg"


def write_charts(results: Results, folder: Path) -> dict[str, Path]:
    """Write an SVG file for each scenario that can be shown as bars.

    Returns:
        The files by the scenarios' names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for scenario in SCENARIOS:
        bars = _bars(results, scenario)
        if len(bars) > 1:
            written[scenario.name] = folder / NAME.format(scenario.name)
            _write(scenario, bars, written[scenario.name])
    return written


def _bars(results: Results, scenario: Scenario) -> list[tuple[str, float]]:
    bars = []
    for contender in CONTENDERS:
        found = results.figure(scenario.name, contender.name, scenario.shown)
        if found is not None and scenario.shown in ("rate", "seconds"):
            bars.append((contender.title.replace("`", ""), found.median))
    return bars


def _write(scenario: Scenario, bars: list[tuple[str, float]], path: Path) -> None:
    unit = {"rate": "requests per second", "seconds": "seconds, less is better"}
    chart = horizontal_bars(
        len(bars),
        (BLUE,),
        title=f"{scenario.title}: {unit[scenario.shown]}",
        print_values=True,
        show_legend=False,
        width=760,
        no_prefix=True,  # the usual one is random: the file would change each time
    )
    upwards = bars[::-1]  # the first bar is drawn at the bottom
    chart.x_labels = [title for title, _ in upwards]
    digits = 0 if scenario.shown == "rate" else 1
    shown = [value for _, value in upwards]
    chart.add("", shown, formatter=f"{{:,.{digits}f}}".format)
    chart.render_to_file(str(path))
