"""How much of a marked corpus is found, and how much of what is found is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.scan.corpus_runner import CORPUS, Score, score, total

DOCS = Path(__file__).resolve().parents[3] / "docs" / "find.md"
HALVES = ["tuned", "held_out"]


def scores(half: str, folder: Path) -> Score:
    texts = sorted((CORPUS / half).glob("*.txt"))
    return total([score(text, folder / text.stem) for text in texts])


@pytest.mark.parametrize("half", HALVES)
def test_figures(half: str, tmp_path: Path) -> None:
    """Nine in ten that are marked are found; of what is found 95 % is marked."""
    result = scores(half, tmp_path)
    print(f"{half}: {result}")
    assert result.recall >= 0.90
    assert result.precision >= 0.95


@pytest.mark.parametrize("half", HALVES)
def test_documentation_has_the_figures(half: str, tmp_path: Path) -> None:
    """The page says what this test measures."""
    result = scores(half, tmp_path)
    row = re.search(rf"^\| `{half}` \|(.*)\|$", DOCS.read_text("utf-8"), re.M)
    assert row is not None
    cells = [cell.strip() for cell in row[1].split("|")]
    right = len(result.marked & result.found)
    assert cells == [
        str(result.handlers),
        f"{right} of {len(result.marked)} ({result.recall:.0%})",
        f"{right} of {len(result.found)} ({result.precision:.0%})",
    ]


def test_size() -> None:
    """The corpus has more than sixty handlers, about as many in either half."""
    texts = [path.read_text() for path in CORPUS.glob("*/*.txt")]
    marked = sum(text.count("# blocks:") for text in texts)
    assert len(texts) == 24
    assert marked > 100
