"""What a run shows in the terminal: progress while it lasts, then a table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Callable

import rich.box
import rich.progress
import rich.table
from rich.console import Console

from examples.bench_app.story import Table
from examples.order_service import account
from examples.order_service.results import StageResult, duration
from examples.order_service.settings import Settings

COLUMNS = ("orders/s", "mean", "p99", "max", "success", "ping\nmedian", "ping\nmax")
ACCOUNT_COLUMNS = (
    "orders/s",
    "x before",
    "x first",
    "account\norders/s",
    "\nx first",
    "\nmean",
    "\nmax",
)

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
        if not self._bars.console.is_terminal:  # where the bars come at the end only
            self.say(f"{title}: measured")


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
    """Return the numbers for the terminal, a row for each stage."""
    return _table(COLUMNS, [_row(result) for result in results])


def beside_account(results: Sequence[StageResult]) -> rich.table.Table:
    """Return the gains for the terminal, beside those of the published account."""
    return _table(ACCOUNT_COLUMNS, _account_rows(results))


def plain_tables(
    results: Sequence[StageResult], settings: Settings, database: str
) -> list[Table]:
    """Return both tables as text."""
    columns = [
        [column.replace("\n", " ") for column in ("stage", *these)]
        for these in (COLUMNS, ACCOUNT_COLUMNS)
    ]
    numbers = [_row(result) for result in results]
    beside = _account_rows(results)
    return [
        Table(heading(settings, database), columns[0], numbers),
        Table("Beside the published account", columns[1], beside),
    ]


def _row(result: StageResult) -> list[str]:
    load = result.load
    return [
        result.stage.title,
        f"{load.rate:.1f}",
        duration(load.mean),
        duration(load.p99),
        duration(load.max),
        f"{load.success:.0f} %",
        duration(result.ping_median),
        duration(result.ping_max),
    ]


def _account_rows(results: Sequence[StageResult]) -> list[list[str]]:
    rows = []
    first = before = results[0].load.rate
    for result in results:
        rate = result.load.rate
        ours = [f"{rate:.1f}", times(rate / before), times(rate / first)]
        rows.append([result.stage.title, *ours, *_published(result)])
        before = rate
    return rows


def _published(result: StageResult) -> list[str]:
    step = account.figures(result.stage)
    if step is None:
        return [""] * 4
    gain = times(step.rate / account.FIRST.rate)
    return [f"{step.rate}", gain, duration(step.mean), duration(step.max)]


def times(ratio: float) -> str:
    """Write a gain: `"5.8 x"`, or `"48 x"`."""
    return f"{ratio:.0f} x" if ratio >= 10 else f"{ratio:.1f} x"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> rich.table.Table:
    shown = rich.table.Table(
        box=rich.box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False
    )
    shown.add_column("stage")
    for column in columns:
        shown.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        shown.add_row(*row)
    return shown
