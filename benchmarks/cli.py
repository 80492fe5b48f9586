"""The command line: options in, measurements out, and an exit code."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import charts, compare, docs, table
from benchmarks.about import describe
from benchmarks.contenders import CONTENDERS, command_of, contender_named
from benchmarks.goals import asked_for
from benchmarks.harness import results, wrk
from benchmarks.harness.errors import DemoError, SetupError
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.kinds import Crowd, Scenario, Throughput
from benchmarks.harness.results import Results
from benchmarks.harness.runner import QUICK_ROUNDS, ROUNDS, Plan, Progress, Runner
from benchmarks.scenarios import GATE, SCENARIOS
from benchmarks.world import world

DESCRIPTION = """Measure what a hop costs, against native async and the other ways to
serve blocking code. Exit status: 0, 1 if a cell has no number because not every request
succeeded, 2 if something is missing."""
PAGE = Path("docs/benchmarks.md")
CHARTS = Path("docs/charts")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite and return its exit code."""
    given = _parser().parse_args(arguments)
    try:
        old = results.read(given.compare) if given.compare else None
        found = results.read(given.read) if given.read else _measured(given)
        found.about["note"] = given.note or found.about.get("note", "")
        _write(found, given)
        if old is not None:
            print("\n" + compare.report(old, found))
    except DemoError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return error.exit_code
    return _verdict(found)


def plan(given: argparse.Namespace) -> Plan:
    """Return what the options ask for.

    Raises:
        SetupError: They name nothing, or what they name is not installed.
    """
    if given.rounds < 0:
        raise SetupError("There have to be rounds: 1 or more.")
    scenarios = selected(given.only)
    every = [contender.name for contender in CONTENDERS]
    names = tuple(given.contenders or every)
    asked = gated(Plan(scenarios, names, given.rounds, given.quick, given.everyone))
    for scenario in asked.scenarios:
        for name in asked.taking_part(scenario):
            contender_named(name).require()
    return asked


def gated(plan: Plan) -> Plan:
    """Put the gate before the others, for those whose servers are measured."""
    others = [scenario for scenario in plan.scenarios if scenario.name != GATE.name]
    measured = {
        name
        for scenario in others
        if isinstance(scenario, (Throughput, Crowd))
        for name in plan.taking_part(scenario)
    }
    names = tuple(name for name in GATE.contenders if name in measured)
    gate = dataclasses.replace(GATE, contenders=names)
    first = (gate,) if names else ()
    return dataclasses.replace(plan, scenarios=(*first, *others))


def selected(names: Sequence[str]) -> tuple[Scenario, ...]:
    """Return the scenarios of these names, or all; "blocking" means each of them.

    Raises:
        SetupError: There is none of a name.
    """
    found = []
    for name in names:
        meant = [s for s in SCENARIOS if name in (s.name, s.name.partition("-")[0])]
        if not meant:
            known = ", ".join(scenario.name for scenario in SCENARIOS)
            raise SetupError(f"There is no scenario {name!r}; there are: {known}.")
        found += meant
    return tuple(s for s in SCENARIOS if not names or s in found)


def _measured(given: argparse.Namespace) -> Results:
    asked = plan(given)
    wrk.require()
    if not Path("/proc/self/smaps_rollup").exists():
        raise SetupError("The suite reads /proc: it needs Linux.")
    about = {
        **describe(),
        "note": given.note,
        "settings": {"quick": asked.quick, "rounds": asked.rounds or "usual"},
    }
    found, progress = Results(about), Progress(asked)
    progress.say(f"About {asked.seconds() / 60:.0f} minutes.")
    with Interrupts() as interrupts:
        Runner(asked, interrupts, command_of, world, progress, found).run()
    return found


def _write(found: Results, given: argparse.Namespace) -> None:
    text = table.markdown(found, given.ratios)
    print(f"\n{docs.about(found)}\n\n{text}")
    if not given.read:
        results.write(given.json, found.as_json())
        print(f"Results: {given.json.resolve()}")
    if given.markdown:
        results.write(given.markdown, f"{docs.about(found)}\n\n{text}")
        print(f"Table: {given.markdown.resolve()}")
    folder = CHARTS if given.docs else given.charts
    if folder:
        written = charts.write_charts(found, folder, given.chart)
        print(f"Charts: {len(written)} in {folder.resolve()}")
        if given.docs:
            docs.update(PAGE, found, written, given.ratios)
            print(f"Page: {PAGE.resolve()}")


def _verdict(found: Results) -> int:
    goals = asked_for(found)
    met = sum(goal.met(found) is True for goal in goals)
    print(f"\n{met} of {len(goals)} goals are met.")
    refused = found.refused()
    for scenario, contender, problem in refused:
        print(f"No number for {contender} in {scenario}: {problem}", file=sys.stderr)
    return 1 if refused else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description=DESCRIPTION)
    names = [contender.name for contender in CONTENDERS]
    option = parser.add_argument
    option("--quick", action="store_true", help="a few minutes; what the goals need")
    option("--everyone", action="store_true", help="with --quick: leave nobody out")
    option("--only", metavar="NAME", nargs="+", default=[], help="these scenarios")
    option("--contenders", nargs="+", choices=names, metavar="NAME", help="only these")
    option(
        "--rounds",
        type=int,
        default=0,
        help=f"{ROUNDS}, or {QUICK_ROUNDS} if quick",
    )
    option("--compare", type=Path, metavar="OLD.json", help="show what changed")
    option("--read", type=Path, metavar="FILE.json", help="measure nothing: show this")
    option("--json", type=Path, default=Path("build/benchmarks.json"), help="to write")
    option("--markdown", type=Path, help="file for the tables")
    option("--charts", type=Path, metavar="FOLDER", help="folder for the SVG charts")
    option("--docs", action="store_true", help=f"write {PAGE} and its charts")
    option("--chart", choices=charts.METRICS, default="rate", help="what is drawn")
    option("--ratios", action="store_true", help="show ratios only")
    option("--note", default="", help="a sentence to go with the numbers")
    return parser
