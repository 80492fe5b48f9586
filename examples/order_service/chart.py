"""The results as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from examples.bench_app.drawing import BLUE, GREY, horizontal_bars
from examples.order_service import account
from examples.order_service.results import StageResult, duration


def write_chart(results: Sequence[StageResult], subtitle: str, path: Path) -> None:
    """Write an SVG file: a bar for each stage, as long as the stage is fast."""
    labels = [f"{r.stage.title} (p99 {duration(r.load.p99)})" for r in results]
    title = f"Orders per second\n{subtitle}"
    height = 240 + 60 * len(results)
    svg = _rates(results, labels, title=title, width=800, height=height)
    path.write_text(svg, encoding="utf-8")


def rates(results: Sequence[StageResult]) -> str:
    """Return an SVG image: a bar for each stage, as long as the stage is fast."""
    return _rates(results, [result.stage.title for result in results])


def _rates(
    results: Sequence[StageResult], labels: Sequence[str], **options: Any
) -> str:
    chart = _chart(len(results), show_legend=False, **options)
    chart.x_labels = labels[::-1]  # the first bar is drawn at the bottom
    chart.add("", [result.load.rate for result in results][::-1])
    svg: str = chart.render(is_unicode=True)
    return svg


def gains(results: Sequence[StageResult]) -> str:
    """Return an SVG image: what each stage gained, beside the published account."""
    upwards = list(results)[::-1]
    steps = [account.figures(result.stage) for result in upwards]
    theirs = [step and step.rate / account.FIRST.rate for step in steps]
    first = results[0].load.rate
    chart = _chart(2 * len(results))
    chart.x_labels = [result.stage.title for result in upwards]
    chart.add("measured here", [result.load.rate / first for result in upwards])
    chart.add("published account", theirs)
    svg: str = chart.render(is_unicode=True)
    return svg


def _chart(bars: int, **options: Any) -> Any:
    shown = {"print_values": True, "formatter": "{:.1f}".format, **options}
    return horizontal_bars(bars, (BLUE, GREY), include_x_axis=True, **shown)
