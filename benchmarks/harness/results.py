"""What was measured: samples by cell, and what becomes of them."""

# Guarantees:
# - a ratio is taken within a round, between contenders measured minutes apart at the
#   most; only then the median of the ratios is;
# - a cell that was refused has no number, whatever its other rounds saw.

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.harness.errors import DemoError, SetupError

FORMAT = 1


class Figure(NamedTuple):
    """A median and the range of the middle half around it."""

    median: float
    low: float
    high: float
    rounds: int


def figure(values: Sequence[float]) -> Figure | None:
    """Sum up what the rounds saw; None if there is nothing."""
    if not values:
        return None
    if len(values) < 4:  # too few for quartiles: all of them
        low, high = min(values), max(values)
    else:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return Figure(statistics.median(values), low, high, len(values))


@dataclass
class Cell:
    """One contender in one scenario.

    Attributes:
        rounds: The figures of each round.
        problem: Why it has no number; "" if it has.
    """

    rounds: list[dict[str, float]] = field(default_factory=list)
    problem: str = ""


@dataclass
class Results:
    """All cells, and where they come from.

    Attributes:
        about: The machine, the versions, the settings.
        cells: By the names of scenario and contender.
    """

    about: dict[str, Any] = field(default_factory=dict)
    cells: dict[str, dict[str, Cell]] = field(default_factory=dict)

    def cell(self, scenario: str, contender: str) -> Cell:
        """Return the cell, made on first use."""
        return self.cells.setdefault(scenario, {}).setdefault(contender, Cell())

    def values(self, scenario: str, contender: str, metric: str) -> list[float]:
        """Return a figure of each round; nothing for a cell that was refused."""
        cell = self.cells.get(scenario, {}).get(contender)
        if cell is None or cell.problem:
            return []
        return [found[metric] for found in cell.rounds if metric in found]

    def figure(self, scenario: str, contender: str, metric: str) -> Figure | None:
        """Return the median of a figure."""
        return figure(self.values(scenario, contender, metric))

    def ratio(
        self, scenario: str, contender: str, base: str, metric: str
    ) -> Figure | None:
        """Return the median of a contender's figure over the base's, by round."""
        ours = self.values(scenario, contender, metric)
        theirs = self.values(scenario, base, metric)
        return figure([one / other for one, other in zip(ours, theirs) if other])

    def difference(
        self, scenario: str, contender: str, base: str, metric: str
    ) -> Figure | None:
        """Return the median of a contender's figure minus the base's, by round."""
        ours = self.values(scenario, contender, metric)
        theirs = self.values(scenario, base, metric)
        return figure([one - other for one, other in zip(ours, theirs)])

    def refused(self) -> list[tuple[str, str, str]]:
        """Return scenario, contender and problem of each cell without a number."""
        return [
            (scenario, contender, cell.problem)
            for scenario, row in self.cells.items()
            for contender, cell in row.items()
            if cell.problem
        ]

    def as_json(self) -> str:
        """Return it as the text of a file."""
        cells = {
            scenario: {
                contender: {"problem": cell.problem, "rounds": cell.rounds}
                for contender, cell in row.items()
            }
            for scenario, row in self.cells.items()
        }
        document = {"format": FORMAT, **self.about, "cells": cells}
        return json.dumps(document, indent=1) + "\n"


def read(path: Path) -> Results:
    """Read a file that `as_json` wrote.

    Raises:
        SetupError: It cannot be read, or is something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.pop("format") != FORMAT:
            raise ValueError("an other format")
        cells = {
            scenario: {
                contender: Cell(cell["rounds"], cell["problem"])
                for contender, cell in row.items()
            }
            for scenario, row in document.pop("cells").items()
        }
    except OSError as error:
        raise SetupError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise SetupError(f"{path} is no result of this suite: {error!r}.") from error
    return Results(document, cells)


def write(path: Path, text: str) -> None:
    """Write a file, and the folder for it.

    Raises:
        DemoError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DemoError(f"Cannot write {path}: {error.strerror}.") from error
