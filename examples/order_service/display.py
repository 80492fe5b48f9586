"""What a run shows in the terminal: progress while it lasts, then a table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Callable

import rich.box
import rich.progress
import rich.table
from rich.console import Console

from examples.order_service.results import StageResult, duration
from examples.order_service.settings import Settings

COLUMNS = ("orders/s", "mean", "p99", "max", "success", "ping\nmedian", "ping\nmax")

Show = Callable[[float, str], None]


class Progress:
    """A bar for each stage, with the latest ping beside it.

    Args:
        console: Where to show it.
    """

    def __init__(self, console: Console) -> None:
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(),
            rich.progress.TextColumn("{task.completed:.0f} of {task.total:.0f} s"),
            rich.progress.TextColumn("{task.fields[ping]}"),
            console=console,
        )

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        """Print a paragraph above the bars."""
        self._bars.console.print(text, highlight=False, markup=False)

    @contextlib.contextmanager
    def stage(self, title: str, seconds: float) -> Iterator[Show]:
        """Add a bar; what it yields takes the seconds gone and the latest ping."""
        task = self._bars.add_task(title, total=seconds, ping="")

        def show(elapsed: float, ping: str) -> None:
            self._bars.update(
                task, completed=min(elapsed, seconds), ping=ping_text(ping)
            )

        yield show
        self._bars.update(task, completed=seconds)


def heading(settings: Settings, database: str) -> str:
    """Say what is about to be measured."""
    stages = len(settings.stages)
    return (
        f"{settings.connections} connections ask for orders, {settings.seconds} s "
        f"for each of {stages} stage{'s' if stages > 1 else ''}: {database}, and a "
        f"logistics API that takes {duration(settings.delay)}; "
        f"requests by {settings.load}."
    )


def ping_text(printed: str) -> str:
    """Turn a line of the ping client into words."""
    if not printed:
        return ""
    return f"/ping {printed if printed == 'failed' else duration(float(printed))}"


def table(results: Sequence[StageResult]) -> rich.table.Table:
    """Return the numbers, a row for each stage."""
    shown = rich.table.Table(
        box=rich.box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False
    )
    shown.add_column("stage", no_wrap=True)
    for column in COLUMNS:
        shown.add_column(column, justify="right")
    for result in results:
        load = result.load
        shown.add_row(
            result.stage.title,
            f"{load.rate:.1f}",
            duration(load.mean),
            duration(load.p99),
            duration(load.max),
            f"{load.success:.0f} %",
            duration(result.ping_median),
            duration(result.ping_max),
        )
    return shown
