"""The results as Markdown, and in the terminal: the same text serves both."""

from __future__ import annotations

from benchmarks.contenders import CONTENDERS
from benchmarks.goals import Goal, asked_for
from benchmarks.harness.kinds import Scenario
from benchmarks.harness.results import Figure, Results
from benchmarks.scenarios import SCENARIOS

VERDICTS = {True: "met", False: "**missed**", None: "no number"}
# How the figures of the scenarios that are no throughput are written.
UNITS = {
    "cpu": (1e6, "µs"),
    "seconds": (1, "s"),
    "threads": (1, ""),
    "worker": (1 / 1024, "KiB"),
    "queued": (1 / 1024, "KiB"),
    "workers": (1, ""),
    "tornado": (1000, "ms"),
    "foreign": (1, ""),
}


def markdown(results: Results) -> str:
    """Return all tables."""
    parts = [_goals(results)]
    for scenario in SCENARIOS:
        if scenario.name in results.cells:
            heading = f"### {heading_of(scenario)}"
            parts.append(f"{heading}\n\n{_cells(results, scenario)}")
    return "\n\n".join(parts) + "\n"


def _goals(results: Results) -> str:
    rows = [["work", "goal", "measured", "middle half", ""]]
    for goal in asked_for(results):
        found = goal.measure(results)
        shown = ("", "") if found is None else _both(goal, found)
        rows.append([goal.work, goal.goal(), *shown, VERDICTS[goal.met(results)]])
    return aligned(rows)


def _both(goal: Goal, found: Figure) -> tuple[str, str]:
    middle = f"{goal.shown(found.low)} to {goal.shown(found.high)}"
    return goal.shown(found.median), middle


def _cells(results: Results, scenario: Scenario) -> str:
    row = results.cells[scenario.name]
    by_name = {one.name: one.title for one in CONTENDERS}
    names = [name for name in by_name if name in row]
    if any("rate" in found for name in names for found in row[name].rounds):
        return _rates(results, scenario, names, by_name)
    metrics: list[str] = []
    for name in names:
        for found in row[name].rounds[:1]:
            metrics += [metric for metric in found if metric not in metrics]
    rows = [["", *metrics]]
    for name in names:
        shown = [_figure(results, scenario.name, name, metric) for metric in metrics]
        problem = row[name].problem
        rows.append([by_name[name], *([problem] if problem else shown)])
    return aligned(rows)


def _rates(
    results: Results, scenario: Scenario, names: list[str], titles: dict[str, str]
) -> str:
    base = "native" if "native" in names else names[0]
    head = ["", "requests/s", f"÷ {titles[base]}", "middle half", "mean", "p99"]
    counted = bool(results.values(scenario.name, names[0], "threads"))
    rows = [[*head, "CPU per request", *["threads"] * counted]]
    for name in names:
        problem = results.cells[scenario.name][name].problem
        if problem:
            rows.append([titles[name], f"not reported: {problem}"])
            continue
        ratio = results.ratio(scenario.name, name, base, "rate")
        rows.append(
            [
                titles[name],
                f"{_median(results, scenario.name, name, 'rate'):,.0f}",
                f"{ratio.median:.2f}" if ratio else "",
                f"{ratio.low:.2f} to {ratio.high:.2f}" if ratio else "",
                f"{_median(results, scenario.name, name, 'mean') * 1000:.1f} ms",
                f"{_median(results, scenario.name, name, 'p99') * 1000:.1f} ms",
                _figure(results, scenario.name, name, "cpu"),
                *[_figure(results, scenario.name, name, "threads")] * counted,
            ]
        )
    return aligned(rows)


def _median(results: Results, scenario: str, contender: str, metric: str) -> float:
    found = results.figure(scenario, contender, metric)
    return found.median if found else 0.0


def _figure(results: Results, scenario: str, contender: str, metric: str) -> str:
    found = results.figure(scenario, contender, metric)
    if found is None:
        return ""
    kind = metric if metric in UNITS else "cpu"  # "cpu-10" and its like
    factor, unit = UNITS[kind]
    if scenario == "import" and metric == "seconds":
        factor, unit = UNITS["tornado"]
    digits = 1 if unit else 0
    return f"{found.median * factor:.{digits}f} {unit}".strip()


def aligned(rows: list[list[str]]) -> str:
    """Return rows as a Markdown table that is also readable as it is."""
    columns = max(len(row) for row in rows)
    whole = [[*row, *[""] * (columns - len(row))] for row in rows]
    widths = [max(3, *(len(row[n]) for row in whole)) for n in range(columns)]
    lines = [
        "| " + " | ".join(f"{c:<{w}}" for c, w in zip(row, widths)) + " |"
        for row in whole
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def heading_of(scenario: Scenario) -> str:
    """Return the heading of its table."""
    return scenario.title[:1].upper() + scenario.title[1:]
