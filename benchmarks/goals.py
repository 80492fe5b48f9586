"""The goals: what each asks for, and whether it is met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

from benchmarks.harness.results import Figure, Results, figure
from benchmarks.scenarios.bodies import SYNC_PEERS, TITLES

Measure = Callable[[Results], "Figure | None"]


@dataclass(frozen=True)
class Goal:
    """A figure that has to be high or low enough.

    Attributes:
        name: For the JSON file and for `--compare`.
        work: What it is about.
        scenario: The scenario it needs; without that it is left out.
        limit: What the figure has to reach, or must not exceed.
        measure: Takes it from the results.
        at_least: Whether more is better.
        unit: What the numbers are, for people: "" for a ratio.
    """

    name: str
    work: str
    scenario: str
    limit: float
    measure: Measure
    at_least: bool = True
    unit: str = ""

    def met(self, results: Results) -> bool | None:
        """Tell whether it is met; None if there is no number."""
        found = self.measure(results)
        if found is None:
            return None
        if self.at_least:
            return found.median >= self.limit
        return found.median <= self.limit

    def shown(self, value: float) -> str:
        """Write a value the way people read it."""
        if self.unit == "µs":
            return f"{value * 1e6:+.1f} µs"
        if self.unit == "ms":
            return f"{value * 1e3:.1f} ms"
        return f"{value:.0f} {self.unit}" if self.unit else f"{value:.2f}"

    def goal(self) -> str:
        """Write what it asks for."""
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {self.shown(self.limit)}"


def ratio(scenario: str, ours: str, theirs: str, metric: str = "rate") -> Measure:
    """Return what measures one contender by another."""
    return lambda results: results.ratio(scenario, ours, theirs, metric)


def share(scenario: str, possible: float) -> Measure:
    """Return what measures the rate by the highest one possible."""

    def measure(results: Results) -> Figure | None:
        rates = results.values(scenario, "unblock", "rate")
        return figure([rate / possible for rate in rates])

    return measure


def growth(few: str, many: str) -> Measure:
    """Return what measures how one figure of a probe exceeds another."""

    def measure(results: Results) -> Figure | None:
        before = results.values("queue", "unblock", few)
        after = results.values("queue", "unblock", many)
        return figure([one / other for one, other in zip(after, before)])

    return measure


def value(scenario: str, metric: str) -> Measure:
    """Return what takes a figure as it is."""
    return lambda results: results.figure(scenario, "unblock", metric)


def cpu_over_native(contender: str) -> Measure:
    """Return what measures the processor time that a hop costs a request."""
    return lambda results: results.difference("trivial-50", contender, "native", "cpu")


def best_of(scenario: str, ours: str, theirs: Sequence[str]) -> Measure:
    """Return what measures one contender by the best of others, round by round."""

    def measure(results: Results) -> Figure | None:
        rounds = [results.values(scenario, name, "rate") for name in theirs]
        best = [max(rates) for rates in zip(*filter(None, rounds))]
        found = results.values(scenario, ours, "rate")
        return figure([one / other for one, other in zip(found, best)])

    return measure


def _body(name: str, connections: int) -> list[Goal]:
    scenario, work = (
        f"{name}-{connections}",
        f"{TITLES[name]}, {connections} connections",
    )
    by_hand = ratio(scenario, "unblock", "by_hand")
    peers = best_of(scenario, "unblock", SYNC_PEERS)
    title = "÷ `run_in_executor` by hand"
    goals = [Goal(f"{scenario}/by_hand", f"{work}, {title}", scenario, 1.05, by_hand)]
    if not name.startswith("report"):  # that is shown, and nothing is asked of it
        best = "÷ the best peer that runs sync bodies"
        goals.append(Goal(f"{scenario}/peer", f"{work}, {best}", scenario, 1.00, peers))
    return goals


def _trivial(connections: int, base: str, limit: float) -> Goal:
    plural = "" if connections == 1 else "s"
    title = {"native": "native async", "by_hand": "`run_in_executor` by hand"}[base]
    name, work = f"trivial-{connections}", f"trivial body, {connections} connection"
    measure = ratio(name, "unblock", base)
    return Goal(f"{name}/{base}", f"{work}{plural}, ÷ {title}", name, limit, measure)


GOALS = (
    *(goal for name in TITLES for n in (50, 200) for goal in _body(name, n)),
    _trivial(50, "native", 0.95),
    _trivial(200, "native", 0.95),
    _trivial(50, "by_hand", 1.20),
    _trivial(200, "by_hand", 1.20),
    _trivial(1, "native", 0.65),
    Goal(
        "modes/class",
        "`prepare`, verb and `on_finish`: `@unblock` on the class ÷ on each method",
        "modes",
        1.00,
        ratio("modes", "unblock_class", "unblock"),
    ),
    Goal(
        "modes/application",
        "the same: `unblock_application` ÷ on each method",
        "modes",
        1.00,
        ratio("modes", "unblock_app", "unblock"),
    ),
    Goal(
        "legacy",
        "legacy body (`write`, `set_header`, `render`, `finish`), 50 connections, "
        "÷ inline",
        "legacy",
        0.80,
        ratio("legacy", "unblock", "inline"),
    ),
    Goal(
        "blocking-20",
        "0.1 s body, 20 connections and workers, ÷ what is possible",
        "blocking-20",
        0.97,
        share("blocking-20", 200),
    ),
    Goal(
        "blocking-200",
        "0.1 s body, 200 connections and workers, ÷ what is possible",
        "blocking-200",
        0.95,
        share("blocking-200", 2_000),
    ),
    Goal(
        "blocking-1000",
        "0.1 s body, 1,000 connections and workers, ÷ native async",
        "blocking-1000",
        0.80,
        ratio("blocking-1000", "unblock", "native"),
    ),
    Goal(
        "crowd",
        "3,000 clients at once, 1 s body, all answered: time ÷ native async's",
        "crowd",
        1.50,
        ratio("crowd", "unblock", "native", "seconds"),
        at_least=False,
    ),
    Goal(
        "cpu",
        "processor time per request over native async, 50 connections; limits, "
        "fairness and statistics on",
        "trivial-50",
        15e-6,
        cpu_over_native("unblock"),
        at_least=False,
        unit="µs",
    ),
    Goal(
        "cpu-timeout",
        "the same with a timeout for each body",
        "trivial-50",
        15e-6,
        cpu_over_native("unblock_timeout"),
        at_least=False,
        unit="µs",
    ),
    Goal(
        "memory-worker",
        "memory of an idle worker ÷ `run_in_executor` by hand",
        "memory",
        1.00,
        ratio("memory", "unblock", "by_hand", "worker"),
        at_least=False,
    ),
    Goal(
        "memory-queued",
        "memory of a queued request ÷ `run_in_executor` by hand",
        "memory",
        1.00,
        ratio("memory", "unblock", "by_hand", "queued"),
        at_least=False,
    ),
    Goal(
        "threads",
        "threads of a server of 50 workers at a light load (4 connections, 1 ms "
        "body) ÷ "
        "`run_in_executor` by hand",
        "light",
        1.00,
        ratio("light", "unblock", "by_hand", "threads"),
        at_least=False,
    ),
    Goal(
        "threads-light",
        "the same, counted",
        "light",
        49,
        value("light", "threads"),
        at_least=False,
        unit="threads",
    ),
    Goal(
        "import",
        "`import tornado_unblock` after `import tornado.web`",
        "import",
        15e-3,
        value("import", "seconds"),
        at_least=False,
        unit="ms",
    ),
    Goal(
        "import-foreign",
        "optional dependencies that it imports",
        "import",
        0,
        value("import", "foreign"),
        at_least=False,
        unit="modules",
    ),
    Goal(
        "queue",
        "processor time per request: 10,000 in flight ÷ 10",
        "queue",
        1.10,
        growth("cpu-10", "cpu-10000"),
        at_least=False,
    ),
    Goal(
        "queue-bare",
        "the same without Python's cyclic garbage collector",
        "queue",
        1.10,
        growth("bare-10", "bare-10000"),
        at_least=False,
    ),
)


def asked_for(results: Results) -> list[Goal]:
    """Return the goals about what was measured."""
    return [goal for goal in GOALS if goal.scenario in results.cells]
