"""What the terminal shows: the stories' own output, and a table in the end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Callable

import rich.box
import rich.table
from rich.console import Console
from rich.text import Text

from benchmarks.harness.story import NOT_HELD
from benchmarks.harness.story_process import Outcome

FINDINGS = 4  # of each story; the failed ones first
FAILED_LINES = 12  # of a failed story's output, below the table


@contextlib.contextmanager
def progress(
    console: Console, name: str, number: int, total: int
) -> Iterator[Callable[[str | None], None]]:
    """Show a story's output as it comes, above a line that says how long it takes.

    Yields:
        What takes a line of output, or None when there was none.
    """
    begun = time.monotonic()
    console.rule(f"{name} ({number} of {total})", align="left")
    with console.status("") as status:

        def show(line: str | None) -> None:
            if line is not None:
                console.print(Text(line), soft_wrap=True)
            status.update(f"{name}, {time.monotonic() - begun:.0f} s")

        show(None)
        yield show


def summary(outcomes: Sequence[Outcome]) -> rich.table.Table:
    """Return a row for each story: how it went, and what it found."""
    shown = rich.table.Table(box=rich.box.SIMPLE_HEAD, show_lines=True, pad_edge=False)
    shown.add_column("story", no_wrap=True)
    shown.add_column("", no_wrap=True)
    shown.add_column("time", justify="right", no_wrap=True)
    shown.add_column("what came out")
    for outcome in outcomes:
        shown.add_row(
            outcome.name,
            Text("ok", "green") if outcome.ok else Text("FAILED", "bold red"),
            f"{outcome.seconds:.0f} s",
            Text(_said(outcome)),
        )
    return shown


def _said(outcome: Outcome) -> str:
    findings = list(outcome.story.findings) if outcome.story else []
    findings.sort(key=lambda finding: not finding.startswith(NOT_HELD))
    said = [outcome.complaint] if outcome.complaint else []
    return "\n".join([*said, *findings[:FINDINGS]])


def failures(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Print the last output of those that failed."""
    for outcome in outcomes:
        if outcome.ok:
            continue
        console.print(f"The last that {outcome.name} said:", markup=False)
        for line in outcome.tail[-FAILED_LINES:]:
            console.print(Text(f"  {line}"), soft_wrap=True)
