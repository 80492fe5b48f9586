"""What becomes of the samples: medians, ratios, files, goals, changes, tables."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmarks import charts, compare, docs, goals, table
from benchmarks.harness import results as files
from benchmarks.harness.errors import DemoError, SetupError
from benchmarks.harness.results import Figure, Results, figure
from benchmarks.scenarios import scenario_named
from tests.benchmarks.conftest import made_up, texts


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([3.0], Figure(3, 3, 3, 1)),
        ([1.0, 9.0, 2.0], Figure(2, 1, 9, 3)),
        ([1.0, 2.0, 3.0, 4.0, 100.0], Figure(3, 2, 4, 5)),
    ],
)
def test_figure(values: list[float], expected: Figure | None) -> None:
    """It is the median, with the quartiles, or all there is of a few rounds."""
    assert figure(values) == expected


def test_ratio_is_taken_within_a_round() -> None:
    """The machine got twice as fast in the second round: the ratio is the same."""
    results = made_up(native=[1000, 2000], unblock=[900, 1800])
    found = results.ratio("trivial-50", "unblock", "native", "rate")
    assert found == Figure(0.9, 0.9, 0.9, 2)


def test_refused_cell_has_no_figure(results: Results) -> None:
    """Rounds that went well before one did not are no result either."""
    results.cell("trivial-50", "unblock").problem = "of 9 requests: 1 timeouts"
    assert results.figure("trivial-50", "unblock", "rate") is None
    assert results.ratio("trivial-50", "unblock", "native", "rate") is None
    assert results.refused() == [("trivial-50", "unblock", "of 9 requests: 1 timeouts")]


def test_json_round_trip(results: Results, tmp_path: Path) -> None:
    """What is written can be read again."""
    results.about = {"machine": {"cpus": 2}, "note": "busy"}
    results.cell("trivial-50", "inline").problem = "no answer"
    files.write(tmp_path / "new" / "results.json", results.as_json())
    assert files.read(tmp_path / "new" / "results.json") == results


@pytest.mark.parametrize("text", [None, "no JSON", "{}", "[]", '{"format": 0}'])
def test_unreadable_file(text: str | None, tmp_path: Path) -> None:
    """A file that is something else is named, with exit code 2."""
    path = tmp_path / "old.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SetupError, match=r"old\.json") as caught:
        files.read(path)
    assert caught.value.exit_code == 2


def test_unwritable_file(tmp_path: Path) -> None:
    """A file that cannot be written is named."""
    (tmp_path / "file").touch()
    with pytest.raises(DemoError, match=r"file/results\.json"):
        files.write(tmp_path / "file" / "results.json", "")


# -- goals -------------------------------------------------------------------------


def goal(name: str) -> goals.Goal:
    return {goal.name: goal for goal in goals.GOALS}[name]


def test_goals_are_met_or_missed(results: Results) -> None:
    """Native async is reached, the hand-written one is beaten by a quarter."""
    assert goal("trivial-50/native").met(results) is True
    assert goal("trivial-50/by_hand").met(results) is True
    slower = made_up(native=[100], by_hand=[90], unblock=[94])
    assert goal("trivial-50/native").met(slower) is False
    assert goal("trivial-50/by_hand").met(slower) is False


def test_goal_without_a_number(results: Results) -> None:
    """A goal about a cell that was refused is neither met nor missed."""
    results.cell("trivial-50", "native").problem = "no answer"
    assert goal("trivial-50/native").met(results) is None


def test_goals_about_less(results: Results) -> None:
    """Processor time has to be at most so much above native's."""
    found = goal("cpu").measure(results)
    assert found is not None
    assert abs(found.median) < 15e-6
    assert goal("cpu").met(results) is True
    assert goal("cpu").met(made_up(native=[1000], unblock=[900])) is False
    assert goal("cpu").goal() == "≤ +15.0 µs"


@pytest.mark.parametrize(
    ("scenario", "contenders", "expected"),
    [
        ("blocking-20", {"unblock": {"rate": 196.0}}, {"blocking-20": 0.98}),
        ("blocking-200", {"unblock": {"rate": 1800.0}}, {"blocking-200": 0.9}),
        (
            "queue",
            {
                "unblock": {
                    "cpu-10": 2.0,
                    "cpu-10000": 3.0,
                    "bare-10": 1,
                    "bare-10000": 1,
                }
            },
            {"queue": 1.5, "queue-bare": 1.0},
        ),
        (
            "import",
            {"unblock": {"seconds": 0.01, "foreign": 0}},
            {"import": 0.01, "import-foreign": 0},
        ),
        (
            "light",
            {"unblock": {"threads": 6}, "by_hand": {"threads": 48}},
            {"threads": 0.125, "threads-light": 6},
        ),
    ],
)
def test_what_goals_measure(
    scenario: str,
    contenders: dict[str, dict[str, float]],
    expected: dict[str, float],
) -> None:
    """Each goal finds its figures under the names that the scenarios give them."""
    results = Results()
    for contender, figures in contenders.items():
        results.cell(scenario, contender).rounds.append(figures)
    found = {goal.name: goal.measure(results) for goal in goals.asked_for(results)}
    assert {name: one.median for name, one in found.items() if one} == expected


def test_best_peer_is_that_of_each_round() -> None:
    """A peer that was refused does not count, nor does one good round for all."""
    results = Results()
    rates = {
        "unblock": [90, 90],
        "flask_waitress": [100, 50],
        "flask_gthread": [60, 90],
    }
    for name, values in rates.items():
        results.cell("mixed-50", name).rounds += [{"rate": one} for one in values]
    results.cell("mixed-50", "flask_gevent").problem = "no answer"
    assert goal("mixed-50/peer").measure(results) == Figure(0.95, 0.9, 1.0, 2)
    assert goal("mixed-50/by_hand").measure(results) is None


def test_goals_are_about_scenarios_and_their_contenders() -> None:
    """No goal waits for what is never measured."""
    assert len({goal.name for goal in goals.GOALS}) == len(goals.GOALS)
    for one in goals.GOALS:
        assert scenario_named(one.scenario).contenders


# -- what changed ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (Figure(1.0, 0.9, 1.1, 7), Figure(1.3, 1.2, 1.4, 7), True),
        (Figure(1.0, 0.9, 1.1, 7), Figure(1.3, 1.05, 1.5, 7), False),
        (Figure(1.0, 1.0, 1.0, 7), Figure(1.02, 1.02, 1.02, 7), False),
        (Figure(0, 0, 0, 7), Figure(0, 0, 0, 7), False),
        (Figure(0, 0, 0, 7), Figure(1, 1, 1, 7), True),
    ],
)
def test_beyond_noise(old: Figure, new: Figure, expected: bool) -> None:
    """A change is more than the rounds of one run differ by, and not tiny."""
    assert compare.beyond_noise(old, new) is expected


def test_changes_are_named(results: Results) -> None:
    """What got worse is said to be worse; a machine twice as fast is no change."""
    twice = made_up(native=[4000] * 4, by_hand=[3200] * 4, unblock=[2000] * 4)
    found, compared = compare.changes(results, twice)
    # Three goals, one of them in seconds, and the ratios of two contenders.
    assert compared == 5
    assert {change.what for change in found if not change.better} == {
        "goal trivial-50/native",
        "goal trivial-50/by_hand",
        "goal cpu",
        "trivial-50: unblock ÷ native",
    }
    assert "WORSE" in compare.report(results, twice)
    assert "-50%" in compare.report(results, twice)


def test_no_changes(results: Results) -> None:
    """The same results again: nothing changed, and other versions are named."""
    again = dataclasses.replace(results, about={"versions": {"tornado": "7"}})
    text = compare.report(results, again)
    assert "None of 5 figures changed" in text
    assert "tornado None -> 7" in text


# -- tables, charts, the page ------------------------------------------------------


def test_table(results: Results) -> None:
    """Goals come with a verdict, cells with their ratio to native."""
    results.cell("trivial-50", "inline").problem = "of 9 requests: 1 timeouts"
    text = table.markdown(results)
    goal_row = next(line for line in text.splitlines() if "÷ native async " in line)
    assert [part.strip() for part in goal_row.split("|")[2:-1]] == [
        "≥ 0.95",
        "1.00",
        "1.00 to 1.00",
        "met",
    ]
    row = next(line for line in text.splitlines() if line.startswith("| `run_in_ex"))
    assert "| 960 " in row
    assert "| 0.80" in row
    assert "| not reported" in text
    assert "* blocking, inline is not reported: of 9 requests: 1 timeouts" in text


def test_table_of_ratios(results: Results) -> None:
    """On a busy machine nothing is shown that is of this machine alone."""
    text = table.markdown(results, ratios=True)
    row = next(line for line in text.splitlines() if line.startswith("| `run_in_ex"))
    cells = [part.strip() for part in row.split("|")[2:-1]]
    assert cells == ["0.80", "0.80 to 0.80", "1.25", "1.25", "1.25"]
    assert "960" not in text
    assert "µs" not in text


def test_table_of_a_probe() -> None:
    """Other figures get columns of their own, with units."""
    results = Results()
    figures = {"workers": 100, "worker": 20480.0, "queued": 5120.0}
    results.cell("memory", "unblock").rounds.append(figures)
    results.cell("memory", "by_hand").problem = "The probe failed."
    text = table.markdown(results)
    assert "20.0 KiB" in text
    assert "5.0 KiB" in text
    assert "The probe failed." in text


def test_charts_and_page(results: Results, tmp_path: Path) -> None:
    """The page keeps its text; what is between the marks is replaced, with charts."""
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n{docs.BEGIN}\nold\n{docs.END}\nAfter\n")
    written = charts.write_charts(results, tmp_path / "charts")
    assert {name: path.name for name, path in written.items()} == {
        "trivial-50": "benchmarks-trivial-50.svg"
    }
    shown = texts(written["trivial-50"])
    assert {"native async def", "1.00 (1.00 to 1.00)"} < set(shown)
    for _ in range(2):
        docs.update(page, results, written)
    text = page.read_text()
    assert text.startswith("# Before\n")
    assert text.endswith("After\n")
    assert "old" not in text
    assert text.count("(charts/benchmarks-trivial-50.svg)") == 1


def test_page_without_marks(results: Results, tmp_path: Path) -> None:
    """A page without a place for the results is not touched."""
    page = tmp_path / "page.md"
    with pytest.raises(SetupError, match="Cannot read"):
        docs.update(page, results, {})
    page.write_text("text")
    with pytest.raises(SetupError, match="no place"):
        docs.update(page, results, {})
    assert page.read_text() == "text"


def test_the_documentation_has_the_marks() -> None:
    """`--docs` finds its place in the page of this project."""
    page = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
    text = page.read_text(encoding="utf-8")
    assert text.index(docs.BEGIN) < text.index(docs.END)
