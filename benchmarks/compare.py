"""What has changed since an older result."""

# Guarantee: a change is called one only where the middle halves of the old and the new
# rounds do not touch and the medians are a certain share apart.

from __future__ import annotations

from typing import NamedTuple

from benchmarks.goals import GOALS
from benchmarks.harness.results import Figure, Results
from benchmarks.scenarios import SCENARIOS
from benchmarks.table import aligned

NOISE = 0.03  # two runs of the same code differ by this much on a quiet machine


class Change(NamedTuple):
    """One figure that is no longer what it was.

    Attributes:
        what: The figure's name.
        old: What it was.
        new: What it is.
        better: Whether that is to the good.
    """

    what: str
    old: Figure
    new: Figure
    better: bool


def beyond_noise(old: Figure, new: Figure) -> bool:
    """Tell whether two figures differ by more than rounds of one run do."""
    apart = new.low > old.high or new.high < old.low
    far = abs(new.median - old.median) > NOISE * max(abs(old.median), abs(new.median))
    return apart and far


def changes(old: Results, new: Results) -> tuple[list[Change], int]:
    """Return what changed, and how many figures were compared.

    Rates are compared as ratios to native async of the same round: those hold on a
    busier or another machine.
    """
    found: list[Change] = []
    compared = 0
    for what, before, after, more_is_better in _pairs(old, new):
        compared += 1
        if beyond_noise(before, after):
            better = (after.median > before.median) == more_is_better
            found.append(Change(what, before, after, better))
    return found, compared


def _pairs(old: Results, new: Results) -> list[tuple[str, Figure, Figure, bool]]:
    pairs = []
    for goal in GOALS:
        before, after = goal.measure(old), goal.measure(new)
        if before is not None and after is not None:
            pairs.append((f"goal {goal.name}", before, after, goal.at_least))
    for scenario in SCENARIOS:
        for contender in scenario.contenders:
            if contender == "native":
                continue
            before = old.ratio(scenario.name, contender, "native", "rate")
            after = new.ratio(scenario.name, contender, "native", "rate")
            if before is not None and after is not None:
                what = f"{scenario.name}: {contender} ÷ native"
                pairs.append((what, before, after, True))
    return pairs


def report(old: Results, new: Results) -> str:
    """Return a table of what changed, or a sentence that nothing did."""
    found, compared = changes(old, new)
    notes = []
    for key in ("machine", "versions"):
        if old.about.get(key) != new.about.get(key):
            notes.append(f"The {key} differ: {_different(old, new, key)}.\n")
    text = "".join(notes)
    if not found:
        return f"{text}None of {compared} figures changed beyond noise."
    rows = [["changed", "was", "is", "by", ""]]
    for change in found:
        by = change.new.median / change.old.median - 1 if change.old.median else 0.0
        rows.append(
            [
                change.what,
                _shown(change.old),
                _shown(change.new),
                f"{by:+.0%}",
                "better" if change.better else "WORSE",
            ]
        )
    return f"{text}{len(found)} of {compared} figures changed:\n\n{aligned(rows)}"


def _shown(figure: Figure) -> str:
    return f"{figure.median:.3g} ({figure.low:.3g} to {figure.high:.3g})"


def _different(old: Results, new: Results, key: str) -> str:
    before, after = old.about.get(key) or {}, new.about.get(key) or {}
    names = sorted({*before, *after})
    found = [
        f"{name} {before.get(name)} -> {after.get(name)}"
        for name in names
        if before.get(name) != after.get(name)
    ]
    return ", ".join(found)
