"""Charts: names and values on all of them, on a phone and in the dark."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.harness.drawing import Bar, bars
from tests.benchmarks.conftest import SVG, texts

DOCS = Path(__file__).resolve().parents[2] / "docs"
CHARTS = sorted((DOCS / "charts").glob("*.svg"))
PHONE = 500  # pixels: scaled to 360, text of 14 is one of 10


def faults(path: Path) -> list[str]:
    """Say what keeps a chart from being read: the empty list if nothing does."""
    root = ElementTree.parse(path).getroot()
    drawn = [rect for rect in root.iter(f"{SVG}rect") if "bar" in rect.get("class", "")]
    written = texts(path)
    style = "".join(text.text or "" for text in root.iter(f"{SVG}style"))
    found = []
    if not drawn:
        found.append("no bars")
    rows = {rect.get("y") for rect in drawn}
    if len(written) < 1 + 2 * len(rows):
        found.append("names or values are missing")
    width = float(root.get("viewBox", "0 0 9999 0").split()[2])
    if width > PHONE:
        found.append("too wide for a phone")
    values = [e for e in root.iter(f"{SVG}text") if "value" in e.get("class", "")]
    # In a wide font a character of 14 pixels takes 9.
    if any(float(e.get("x", 0)) + 9 * len(e.text or "") > width for e in values):
        found.append("a value is cut off")
    if "prefers-color-scheme: dark" not in style:
        found.append("unreadable in the dark")
    return found


@pytest.mark.parametrize("path", CHARTS, ids=lambda path: str(path.stem))
def test_charts_of_the_documentation(path: Path) -> None:
    """Every chart that is published can be read."""
    assert faults(path) == []


def test_charts_of_the_documentation_are_shown() -> None:
    """None is left over from an earlier run."""
    pages = "".join(p.read_text(encoding="utf-8") for p in DOCS.rglob("*.md"))
    assert CHARTS
    assert [path.name for path in CHARTS if path.name not in pages] == []


@pytest.mark.parametrize(
    ("svg", "fault"),
    [
        ("<svg xmlns='http://www.w3.org/2000/svg'/>", "no bars"),
        (
            "<svg xmlns='http://www.w3.org/2000/svg'><rect class='bar a' y='1'/></svg>",
            "names or values are missing",
        ),
        (
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 99 9'>"
            "<text class='value' x='60'>1.65 x</text></svg>",
            "a value is cut off",
        ),
    ],
)
def test_chart_without_text_is_refused(svg: str, fault: str, tmp_path: Path) -> None:
    """A picture of bars that nobody can tell apart is none."""
    path = tmp_path / "chart.svg"
    path.write_text(svg)
    assert fault in faults(path)
    assert "unreadable in the dark" in faults(path)


def test_bars(tmp_path: Path) -> None:
    """Every bar has its name and its value, whatever characters they have."""
    shown = [
        Bar("<one> & other", 2.0, "2.0 s"),
        Bar("endless", math.inf, "> 5 s", "bad"),
        Bar("nothing", 0.0, "0"),
        Bar("parts", 1.0, "50 %", parts=[(0.5, "good"), (0.5, "bad")]),
    ]
    path = tmp_path / "chart.svg"
    title = "A title that is too long for one line of a chart on a phone, so it has two"
    path.write_text(bars(title, shown, [("served", "good")]), encoding="utf-8")
    assert faults(path) == []
    written = texts(path)
    assert " ".join(written[:2]) == title
    assert written[2:] == [
        *["<one> & other", "2.0 s", "endless", "> 5 s"],
        *["nothing", "0", "parts", "50 %", "served"],
    ]


def test_bars_of_nothing(tmp_path: Path) -> None:
    """Where nothing was measured there is a title at least."""
    path = tmp_path / "chart.svg"
    path.write_text(bars("Nothing", [Bar("all", math.inf, "no answer")]))
    assert texts(path) == ["Nothing", "all", "no answer"]
