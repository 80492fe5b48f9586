"""The results as Markdown, and in the terminal: the same text serves both."""

from __future__ import annotations

from benchmarks.contenders import CONTENDERS, PEERS, contender_named
from benchmarks.goals import Goal, asked_for
from benchmarks.harness.kinds import Scenario
from benchmarks.harness.results import Figure, Results
from benchmarks.scenarios import SCENARIOS

VERDICTS = {True: "met", False: "**missed**", None: "no number"}
NOISY = 0.25  # of the median: a middle half that is wider may be chance
# How the figures of the scenarios that are no throughput are written.
COLUMNS = {
    "rate": "requests/s",
    "p50": "p50",
    "p99": "p99",
    "cpu": "CPU per request",
    "memory": "memory",
    "threads": "threads",
}
UNITS = {
    "rate": (1, ""),
    "mean": (1e3, "ms"),
    "p50": (1e3, "ms"),
    "p99": (1e3, "ms"),
    "one": (1e3, "ms"),
    "by hand": (1, ""),
    "memory": (1 / 2**20, "MiB"),
    "cpu": (1e6, "µs"),
    "seconds": (1, "s"),
    "threads": (1, ""),
    "worker": (1 / 1024, "KiB"),
    "queued": (1 / 1024, "KiB"),
    "workers": (1, ""),
    "tornado": (1000, "ms"),
    "foreign": (1, ""),
}


def markdown(results: Results, ratios: bool = False) -> str:
    """Return all tables; with `ratios` no figure of this machine alone."""
    parts = [_goals(results, ratios)]
    for scenario in SCENARIOS:
        if scenario.name in results.cells and not (ratios and scenario.absolute):
            heading = f"### {heading_of(scenario)}"
            cells = _cells(results, scenario, ratios)
            parts.append(f"{heading}\n\n{cells}{_problems(results, scenario.name)}")
    return "\n\n".join(parts) + "\n"


def _goals(results: Results, ratios: bool) -> str:
    rows = [["work", "goal", "measured", "middle half", ""]]
    for goal in asked_for(results):
        if ratios and goal.unit in ("µs", "ms"):
            continue
        found = goal.measure(results)
        shown = ("", "") if found is None else _both(goal, found)
        rows.append([goal.work, goal.goal(), *shown, verdict(goal, results)])
    return aligned(rows)


def verdict(goal: Goal, results: Results) -> str:
    """Say whether a goal is met, or that the rounds are too far apart to tell."""
    found = goal.measure(results)
    if found and found.rounds > 1:
        wide = found.high - found.low > NOISY * abs(found.median)
        if wide and found.low < goal.limit < found.high:
            return "too noisy to tell"
    return VERDICTS[goal.met(results)]


def recommended() -> str:
    """Return how each peer is run, and what of its documentation that is."""
    rows = [["contender", "command, after `python -m`", "its documentation"]]
    for peer in PEERS:
        words = peer.start(8000, 50)[2:]
        rows.append([peer.title, f"`{' '.join(words)}`", peer.about])
    return aligned(rows)


def _both(goal: Goal, found: Figure) -> tuple[str, str]:
    middle = f"{goal.shown(found.low)} to {goal.shown(found.high)}"
    return goal.shown(found.median), middle


def _cells(results: Results, scenario: Scenario, ratios: bool) -> str:
    row = results.cells[scenario.name]
    by_name = {one.name: one.title for one in CONTENDERS}
    names = [name for name in by_name if name in row]
    if any("mean" in found for name in names for found in row[name].rounds):
        return _rates(results, scenario, names, ratios)
    metrics: list[str] = []
    for name in names:
        for found in row[name].rounds[:1]:
            metrics += [metric for metric in found if metric not in metrics]
    rows = [["", *metrics]]
    for name in names:
        shown = [_figure(results, scenario.name, name, metric) for metric in metrics]
        problem = row[name].problem
        rows.append([by_name[name], *(["not reported"] if problem else shown)])
    return aligned(rows)


def _rates(results: Results, scenario: Scenario, names: list[str], ratios: bool) -> str:
    base = base_of(results, scenario.name)
    columns = [
        metric
        for metric in COLUMNS
        if results.values(scenario.name, base, metric)
        and not (ratios and metric == "rate")
    ]
    over = f"÷ {contender_named(base).title}"
    heads = [COLUMNS[metric] for metric in columns]
    first = [over, "requests/s"] if ratios else ["", f"requests/s {over}"]
    rows = [[*first, "middle half", *heads]]
    for name in names:
        title = contender_named(name).title
        problem = results.cells[scenario.name][name].problem
        if problem:
            rows.append([title, "not reported"])
            continue
        ratio = results.ratio(scenario.name, name, base, "rate")
        middle = f"{ratio.low:.2f} to {ratio.high:.2f}" if ratio else ""
        cells = [
            _compared(results, scenario.name, name, base, metric, ratios)
            for metric in columns
        ]
        rows.append([title, _two(ratio), middle, *cells])
    return aligned(rows)


def base_of(results: Results, scenario: str) -> str:
    """Return the contender that the others of a scenario are compared with."""
    found = [c.name for c in CONTENDERS if results.values(scenario, c.name, "rate")]
    return found[0] if found else "native"


def _compared(
    results: Results, scenario: str, name: str, base: str, metric: str, ratios: bool
) -> str:
    if ratios:
        return _two(results.ratio(scenario, name, base, metric))
    return _figure(results, scenario, name, metric)


def _two(found: Figure | None) -> str:
    return f"{found.median:.2f}" if found else ""


def _problems(results: Results, scenario: str) -> str:
    lines = [
        f"* {contender_named(name).title} is not reported: {_brief(cell.problem)}"
        for name, cell in results.cells[scenario].items()
        if cell.problem
    ]
    return "\n\n" * bool(lines) + "\n".join(lines)


def _brief(problem: str) -> str:
    """Return the first line of a problem: a table has no room for a traceback."""
    return problem.partition("\n")[0]


def _figure(results: Results, scenario: str, contender: str, metric: str) -> str:
    found = results.figure(scenario, contender, metric)
    if found is None:
        return ""
    kind = metric if metric in UNITS else "cpu"  # "cpu-10" and its like
    factor, unit = UNITS[kind]
    if scenario == "import" and metric == "seconds":
        factor, unit = UNITS["tornado"]
    digits = 1 if unit else 0
    return f"{found.median * factor:,.{digits}f} {unit}".strip()


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
