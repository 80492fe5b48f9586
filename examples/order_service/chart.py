"""The results as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pygal  # type: ignore[import-untyped]

from examples.order_service.results import StageResult, duration


def write_chart(results: Sequence[StageResult], subtitle: str, path: Path) -> None:
    """Write an SVG file: a bar for each stage, as long as the stage is fast."""
    chart = pygal.HorizontalBar(
        title=f"Orders per second\n{subtitle}",
        print_values=True,
        show_legend=False,
        truncate_label=-1,
        height=240 + 60 * len(results),
        include_x_axis=True,
        js=(),  # the default fetches a script from the network
    )
    upwards = list(results)[::-1]  # the first bar is drawn at the bottom
    chart.x_labels = [_label(result) for result in upwards]
    chart.add("", [result.load.rate for result in upwards], formatter="{:.1f}".format)
    chart.render_to_file(str(path))


def _label(result: StageResult) -> str:
    return f"{result.stage.title} (p99 {duration(result.load.p99)})"
