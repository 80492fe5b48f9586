"""What a run shows in the terminal: progress while it lasts, then tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Callable

import rich.box
import rich.progress
import rich.table
from rich.console import Console

from examples.bench_app.story import Table
from examples.load_client.client import ERROR, SUCCESS, TIMEOUT, TURNED_AWAY
from examples.load_client.results import Tally


class Progress:
    """A bar for the server that is asked, and a line for each that was.

    Args:
        console: Where to show it.
    """

    def __init__(self, console: Console) -> None:
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn("  {task.description}"),
            rich.progress.BarColumn(),
            rich.progress.TextColumn("{task.completed} of {task.total} clients done"),
            rich.progress.TimeElapsedColumn(),
            console=console,
            transient=True,
        )

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        """Print a paragraph above the bar."""
        self._bars.console.print(text, highlight=False, markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def way(self, title: str, clients: int) -> Iterator[Callable[[], None]]:
        """Show a bar; what it yields counts one more client."""
        task = self._bars.add_task(title, total=clients)
        try:
            yield lambda: self._bars.advance(task)
        finally:
            self._bars.remove_task(task)

    def ended(self, tally: Tally) -> None:
        """Print what came of one server."""
        self.say(f"  {tally.way.title}: {sentence(tally)}")


def sentence(tally: Tally) -> str:
    """Say what came of the requests to one server."""
    parts = [f"{tally.count(SUCCESS):,} of {tally.case.requests:,} succeeded"]
    for kind, words in (
        (TURNED_AWAY, "turned away with a 503"),
        (TIMEOUT, "timed out"),
        (ERROR, "failed otherwise"),
    ):
        if tally.count(kind):
            parts.append(f"{tally.count(kind):,} {words}")
    return f"{', '.join(parts)}; {tally.seconds:.1f} s"


def terminal_table(table: Table) -> rich.table.Table:
    """Return a table for the terminal: numbers to the right."""
    shown = rich.table.Table(
        title=table.caption,
        title_justify="left",
        box=rich.box.SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
    )
    for number, column in enumerate(table.columns):
        heading = column.replace(" ", "\n") if number else column
        shown.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for row in table.rows:
        shown.add_row(*row)
    return shown
