"""The benchmark's report: it shows no number that failed requests went into."""

from __future__ import annotations

import pytest

pytest.importorskip("aiohttp")

from benchmarks.interference import KINDS, SLOW, Cell, report


def cells(**failed: int) -> dict[tuple[str, int], list[Cell]]:
    """Return three rounds, with failures in the last one of the kinds named."""
    return {
        (kind, len(slow)): [
            Cell(2.0, 0, 100),
            Cell(9.0, 0, 100),
            Cell(4.0, failed.get(kind, 0), 100),
        ]
        for kind in KINDS
        for slow in SLOW
    }


def test_medians_and_ratios(capsys):
    """Each kind has a row, with medians and multiples of native async's."""
    assert report(cells())
    rows = capsys.readouterr().out.splitlines()[-len(KINDS) :]
    assert [row.split()[0] for row in rows] == [kind.split()[0] for kind in KINDS]
    assert all(row.count("4.0 (1.00)") == len(SLOW) for row in rows)


def test_failures(capsys):
    """A cell with failed requests says how many of how many."""
    assert not report(cells(fastapi=7))
    row = capsys.readouterr().out.splitlines()[-2]
    assert row.count("7 of 300 failed") == len(SLOW)
    assert "4.0" not in row
