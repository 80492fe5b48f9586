"""What a run shows in the terminal, and what it draws and writes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Callable

from rich.console import Console

from examples.bench_app.drawing import BLUE, horizontal_bars
from examples.bench_app.story import Chart, Story
from examples.load_client.display import terminal_table
from examples.order_service.errors import DemoError


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


def write(story: Story, path: Path) -> None:
    """Write the story as JSON.

    Raises:
        DemoError: The file cannot be written.
    """
    try:
        story.write(path)
    except OSError as error:
        raise DemoError(f"Cannot write {path}: {error.strerror}") from error


def bars(title: str, values: Mapping[str, float]) -> Chart:
    """Draw a bar for each label, the first one on top; what is infinite gets none.

    The labels should tell the values: beside a short bar is no room for that.
    """
    chart = horizontal_bars(
        len(values),
        (BLUE,),
        show_legend=False,
        show_y_labels=False,
        show_y_guides=False,
        include_x_axis=True,
    )
    chart.x_labels = list(values)[::-1]  # the first bar is drawn at the bottom
    drawn = [value if math.isfinite(value) else None for value in values.values()]
    chart.add("", drawn[::-1])
    svg: str = chart.render(is_unicode=True)
    return Chart(title, svg)
