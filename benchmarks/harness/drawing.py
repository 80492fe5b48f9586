"""Bar charts as SVG: names above the bars, values beside them, light and dark.

They are written here because the chart libraries leave out a value that has no room in
its bar, put names where a phone has no room, and know one colour scheme.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, ROW, TOP, EDGE = 480, 42, 40, 12
LONGEST = 340  # pixels; the value stands to the right of the bar
CHARACTER = 9  # pixels that one takes of a value at most, in wide fonts
STYLE = """
text { font: 14px system-ui, sans-serif; fill: #1d2329; }
.title { font-weight: 600; }
.paper { fill: #ffffff; }
.a { fill: #0b63a5; } .b { fill: #9aa5b1; } .good { fill: #2e7d32; }
.warn { fill: #c77700; } .bad { fill: #c62828; } .odd { fill: #6a1b9a; }
@media (prefers-color-scheme: dark) {
  text { fill: #e4e8ec; } .paper { fill: #14181c; }
  .a { fill: #5aa9e6; } .b { fill: #6b7682; } .good { fill: #66bb6a; }
  .warn { fill: #f0a30a; } .bad { fill: #ef5350; } .odd { fill: #ba68c8; }
}
"""


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
        name: What stands above it.
        value: Its length; what is infinite is drawn as long as the longest.
        text: The value, as it is written beside it.
        kind: Its colour: "a", "b", "good", "warn", "bad" or "odd".
        parts: Values and colours, for one of several colours; `value` is their sum.
    """

    name: str
    value: float
    text: str
    kind: str = "a"
    parts: Sequence[tuple[float, str]] = ()


def bars(
    title: str, shown: Sequence[Bar], legend: Sequence[tuple[str, str]] = ()
) -> str:
    """Return an SVG image of these bars, from the top.

    Args:
        title: What stands above all of them.
        shown: The bars.
        legend: What the colours mean: names and kinds.
    """
    lines = _wrapped(title)
    top = TOP + 20 * (len(lines) - 1)
    height = top + ROW * len(shown) + 22 * len(legend) + EDGE
    finite = [bar for bar in shown if math.isfinite(bar.value) and bar.value > 0]
    scale = min((_room(bar) / bar.value for bar in finite), default=1.0)
    drawn = [
        f'<text class="title" x="{EDGE}" y="{24 + 20 * number}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    ]
    for number, bar in enumerate(shown):
        drawn += _row(bar, top + ROW * number, scale)
    for number, (name, kind) in enumerate(legend):
        y = top + ROW * len(shown) + 22 * number
        drawn.append(
            f'<rect class="{kind}" x="{EDGE}" y="{y}" width="14" height="14"/>'
        )
        drawn.append(f'<text x="{EDGE + 22}" y="{y + 12}">{escape(name)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img"><title>{escape(title)}</title>'
        f'<style>{STYLE}</style><rect class="paper" width="{WIDTH}" '
        f'height="{height}"/>{"".join(drawn)}</svg>\n'
    )


def _room(bar: Bar) -> float:
    """Return how long a bar may be, so that its value is not cut off."""
    value = 6 + CHARACTER * len(bar.text)
    return max(1.0, min(LONGEST, WIDTH - 2 * EDGE - value))


def _row(bar: Bar, y: int, scale: float) -> list[str]:
    drawn = [f'<text x="{EDGE}" y="{y + 14}">{escape(bar.name)}</text>']
    x = float(EDGE)
    for value, kind in bar.parts or [(bar.value, bar.kind)]:
        width = min(_room(bar), value * scale)
        drawn.append(
            f'<rect class="bar {kind}" x="{x:.1f}" y="{y + 19}" '
            f'width="{max(1.0, width):.1f}" height="14"/>'
        )
        x += width
    drawn.append(
        f'<text class="value" x="{x + 6:.1f}" y="{y + 31}">{escape(bar.text)}</text>'
    )
    return drawn


def _wrapped(title: str, characters: int = 58) -> list[str]:
    lines = [""]
    for word in title.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > characters:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
