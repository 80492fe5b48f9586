"""The suite as its users run it, in its smallest configuration."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks import cli
from benchmarks.contenders import CONTENDERS, command_of
from benchmarks.harness import runner
from benchmarks.harness.errors import SetupError
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.kinds import Figures, RefusedError, Scenario
from benchmarks.harness.results import Results
from benchmarks.harness.runner import Plan, Progress, Runner, rotated
from benchmarks.harness.servers import Servers, Setup
from benchmarks.scenarios import SCENARIOS
from benchmarks.scenarios.bodies import BODIES
from benchmarks.scenarios.hop import HOP

SMALLEST = ["--quick", "--rounds", "1", "--contenders", "native", "unblock"]


class Suite:
    """Runs `python -m benchmarks` in a folder of its own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self._environment = environment

    def run(self, *options: str, **environment: str) -> tuple[int, str, str]:
        ended = subprocess.run(
            [sys.executable, "-m", "benchmarks", *options],
            cwd=self.folder,
            env={**self._environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return ended.returncode, ended.stdout, ended.stderr


@pytest.fixture
def suite(tmp_path: Path, bench_env: dict[str, str]) -> Suite:
    """Return the suite."""
    return Suite(tmp_path, bench_env)


@pytest.mark.usefixtures("wrk")
def test_smallest_run(suite: Suite) -> None:
    """Two contenders, two scenarios: a table, a file, and nothing changed since."""
    page = suite.folder / "table.md"
    only = ["--only", "trivial-50", "blocking-20", "--markdown", str(page)]
    code, out, err = suite.run(*SMALLEST, *only, "--note", "A busy machine.")
    assert (code, err.count("round 1 of 1")) == (0, 3), err
    assert "A busy machine." in page.read_text()
    assert "of 5 goals are met" in out
    file = suite.folder / "build" / "benchmarks.json"
    document = json.loads(file.read_text())
    assert document["settings"] == {"quick": True, "rounds": 1}
    assert document["versions"]["tornado"]
    for scenario in ("trivial-50", "blocking-20"):
        for contender in ("native", "unblock"):
            (figures,) = document["cells"][scenario][contender]["rounds"]
            assert figures["rate"] > 0
            assert figures["cpu"] > 0
    code, out, err = suite.run("--read", str(file), "--compare", str(file))
    assert (code, err) == (0, "")
    assert "figures changed beyond noise" in out


@pytest.mark.usefixtures("wrk")
def test_failed_requests_are_refused(suite: Suite) -> None:
    """A server that turns requests away gets no number, is named, and fails the run."""
    full = {"MAX_WORKERS": "1", "MAX_WAITING": "1"}
    limits = {f"TORNADO_UNBLOCK_{name}": value for name, value in full.items()}
    code, out, err = suite.run(*SMALLEST, "--only", "trivial-50", **limits)
    assert code == 1
    assert "No number for unblock in sanity: of" in err
    assert "answers other than 2xx" in err
    assert "`@unblock` on methods is not reported: of" in out
    file = suite.folder / "build" / "benchmarks.json"
    cells = json.loads(file.read_text())["cells"]["trivial-50"]
    assert cells["unblock"]["rounds"] == []
    assert len(cells["native"]["rounds"]) == 1


def test_missing_wrk(suite: Suite) -> None:
    """Without wrk nothing is measured, and the exit code is 2."""
    code, _, err = suite.run("--quick", "--only", "import", PATH=str(suite.folder))
    assert code == 2
    assert "apt-get install wrk" in err


def test_wrong_names(capsys: pytest.CaptureFixture[str]) -> None:
    """A scenario that does not exist is an error that lists those that do."""
    assert cli.main(["--only", "blokcing"]) == 2
    assert "blocking-200" in capsys.readouterr().err
    assert cli.main(["--rounds", "-1"]) == 2


def test_old_result_is_read_before_anything_is_measured(tmp_path: Path) -> None:
    """A mistyped name costs no half hour."""
    assert cli.main(["--compare", str(tmp_path / "none.json")]) == 2


def test_selected() -> None:
    """A name stands for one scenario or for all that begin with it, in their order."""
    names = [scenario.name for scenario in cli.selected(["queue", "blocking"])]
    assert names == ["blocking-20", "blocking-200", "blocking-1000", "queue"]
    assert cli.selected([]) == SCENARIOS
    with pytest.raises(SetupError, match="There is no scenario 'x'"):
        cli.selected(["x"])


def test_runs_are_as_short_as_promised() -> None:
    """The plan of a quick run is below seven minutes, that of a full one below 90."""
    names = tuple(contender.name for contender in CONTENDERS)
    quick = cli.gated(Plan(SCENARIOS, names, quick=True))
    full = cli.gated(Plan(SCENARIOS, names))
    assert quick.seconds() < 7 * 60
    assert 30 * 60 < full.seconds() < 90 * 60


def test_full_run_has_enough_rounds() -> None:
    """The hop has seven rounds, the import fifteen, real bodies two or three."""
    full = Plan(SCENARIOS, ())
    rounds = {scenario.name: full.rounds_of(scenario) for scenario in SCENARIOS}
    assert {rounds.pop(name) for name in ("sanity",)} == {1}
    assert min(rounds[scenario.name] for scenario in HOP) == 7
    assert rounds["import"] == 15
    assert {rounds[scenario.name] for scenario in BODIES} == {2, 3}


def test_quick_run_leaves_out_what_it_may() -> None:
    """Unless everyone is asked for, who is compared least is not measured."""
    names = tuple(contender.name for contender in CONTENDERS)
    few, all_of_them = (
        Plan(BODIES, names, quick=True, everyone=everyone) for everyone in (False, True)
    )
    by_name = {scenario.name: scenario for scenario in BODIES}
    assert few.taking_part(by_name["mixed-200"]) == []
    assert "django_gthread" not in few.taking_part(by_name["mixed-50"])
    for scenario in BODIES:
        assert all_of_them.taking_part(scenario) == list(scenario.contenders)


def test_gate_comes_first_for_those_who_are_measured() -> None:
    """Probes need no server, so nobody has to pass for them."""
    names = ("native", "unblock")
    found = cli.gated(Plan(cli.selected(["trivial-1", "queue"]), names))
    assert [scenario.name for scenario in found.scenarios] == [
        "sanity",
        "trivial-1",
        "queue",
    ]
    assert found.scenarios[0].contenders == names
    only_probes = cli.gated(Plan(cli.selected(["queue"]), names))
    assert [scenario.name for scenario in only_probes.scenarios] == ["queue"]


# -- rounds ------------------------------------------------------------------------


@dataclass(frozen=True)
class Script(Scenario):
    """A scenario whose contenders are measured as a script says."""

    seen: list[str] = field(default_factory=list)
    failing: tuple[str, ...] = ()
    after: int = 3  # measurements

    def measure(self, servers: Servers, contender: str, quick: bool) -> Figures:
        self.seen.append(contender)
        if contender in self.failing and len(self.seen) > self.after:
            raise RefusedError("of 9 requests: 1 timeouts")
        return {"rate": 1.0}

    def takes(self, quick: bool) -> float:
        return 0.0


@contextlib.contextmanager
def no_world(folder: Path, interrupts: Interrupts) -> Iterator[dict[str, str]]:
    yield {"BENCH_UPSTREAM": "http://nowhere"}


def run(
    scenario: Scenario, contenders: Sequence[str], *others: Scenario
) -> tuple[Results, str]:
    out, found = io.StringIO(), Results()
    plan = Plan((scenario, *others), tuple(contenders), 3)
    progress = Progress(plan, out)
    Runner(plan, Interrupts(), command_of, no_world, progress, found).run()
    return found, out.getvalue()


def test_who_is_refused_by_a_gate_is_not_measured() -> None:
    """Its cells say why, in every scenario after the gate."""
    gate = Script("gate", "gate", ("a", "b"), gate=True, failing=("b",), after=0)
    after = Script("after", "after", ("a", "b"))
    found, _ = run(gate, ["a", "b"], after)
    problem = "of 9 requests: 1 timeouts"
    assert found.refused() == [("gate", "b", problem), ("after", "b", problem)]
    assert set(after.seen) == {"a"}


def test_scenario_whose_world_is_not_there() -> None:
    """A database that does not answer leaves its scenarios out, and no others."""
    setup = Setup(4, world=True)
    lost = Script("lost", "lost", ("a",), setup=setup, needs=("BENCH_MYSQL",))
    there = Script("there", "there", ("a",), setup=setup, needs=("BENCH_UPSTREAM",))
    found, said = run(lost, ["a"], there)
    assert "Not measured: lost." in said
    assert (lost.seen, list(found.cells)) == ([], ["there"])


def test_contenders_take_turns() -> None:
    """In each round another one begins."""
    scenario = Script("x", "x", ("a", "b", "c"))
    found, said = run(scenario, ["c", "a", "b"])
    assert "".join(scenario.seen) == "abcbcacab"
    assert len(found.values("x", "a", "rate")) == 3
    assert said.count("round 3 of 3") == 1
    assert rotated([], 1) == []


def test_refused_cell_is_not_measured_again() -> None:
    """The others go on; the refused one is named once."""
    scenario = Script("x", "x", ("a", "b"), failing=("b",))
    found, said = run(scenario, ["a", "b"])
    # It failed in the second round's last turn at the latest.
    assert found.refused() == [("x", "b", "of 9 requests: 1 timeouts")]
    assert len(found.values("x", "a", "rate")) == 3
    assert said.count("No number for b in x") == 1


def test_progress_says_how_long() -> None:
    """A line names what it was about, and what is left; not every second round."""
    out = io.StringIO()
    scenario = Script("x", "A title", ("a",))
    progress = runner.Progress(Plan((scenario,), ("a",), 2), out)
    progress.step(1.0)
    progress.round(scenario, 1, 2)  # too soon to be said
    progress.round(scenario, 2, 2)
    assert "to go] A title: round 2 of 2" in out.getvalue()
