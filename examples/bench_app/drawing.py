"""pygal, for charts that look alike and need nothing from elsewhere."""

from __future__ import annotations

import sys

import pygal  # type: ignore[import-untyped]
from pygal.style import Style  # type: ignore[import-untyped]

# pygal leaves an import hook behind, for its maps. It follows a protocol that Python
# 3.10 and 3.11 warn about at every later import, and that newer ones do not know.
sys.meta_path[:] = [
    hook for hook in sys.meta_path if type(hook).__module__.split(".")[0] != "pygal"
]

BLUE, GREY = "#0b63a5", "#9aa5b1"
GREEN, AMBER, RED, VIOLET = "#2e7d32", "#f0a30a", "#c62828", "#6a1b9a"


def horizontal_bars(
    bars: int, colors: tuple[str, ...], stacked: bool = False, **options: object
) -> pygal.HorizontalBar:
    """Return an empty chart, tall enough for so many bars, black on white.

    It is small, so that its text is large: it must be readable on a phone.
    """
    kind = pygal.HorizontalStackedBar if stacked else pygal.HorizontalBar
    style = Style(
        background="#ffffff",
        plot_background="#ffffff",
        colors=colors,
        font_family="sans-serif",
        label_font_size=13,
        major_label_font_size=13,
        legend_font_size=13,
        value_font_size=13,
    )
    usual = {"width": 560, "height": 120 + 40 * bars, **options}
    return kind(
        style=style,
        truncate_label=-1,
        truncate_legend=-1,
        legend_at_bottom=True,
        disable_xml_declaration=True,
        js=(),  # the default fetches a script from the network
        **usual,
    )
