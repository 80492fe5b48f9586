"""What a run shows in the terminal, and the files it writes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import rich.box
import rich.progress
import rich.table
from rich.console import Console

from benchmarks.harness.errors import DemoError
from benchmarks.harness.story import Story, Table


def printer(console: Console) -> Callable[[str], None]:
    """Return what prints a line of progress."""

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    return say


def show(story: Story, console: Console) -> None:
    """Print the tables and what they mean."""
    for table in story.tables:
        console.print(terminal_table(table))
    for finding in story.findings:
        printer(console)(f"- {finding}")


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


def write(story: Story, path: Path, console: Console, **more: Any) -> None:
    """Write the story as JSON, and say where.

    Raises:
        DemoError: The file cannot be written.
    """
    with writing(path):
        story.write(path, **more)
    printer(console)(f"Results: {path.resolve()}")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Make the folder of a file that the block writes.

    Raises:
        DemoError: One of them cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise DemoError(f"Cannot write {path}: {error.strerror}") from error


class Bars:
    """Progress bars: of what is measured now, and for how long.

    Args:
        console: Where to show them.
        unit: What they count.
    """

    def __init__(self, console: Console, unit: str = "s") -> None:
        self.say = printer(console)
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(),
            rich.progress.TextColumn(
                f"{{task.completed:.0f}} of {{task.total:.0f}} {unit}"
            ),
            rich.progress.TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
        )

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    @contextlib.contextmanager
    def bar(self, title: str, total: float) -> Iterator[Callable[[float, str], None]]:
        """Show a bar; what it yields takes how much is done, and a note beside it."""
        task = self._bars.add_task(title, total=total, note="")
        try:
            yield lambda done, note: self._bars.update(
                task, completed=min(done, total), note=note
            )
        finally:
            self._bars.remove_task(task)
