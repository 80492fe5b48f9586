"""Reads the corpus and counts what a scan finds of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tornado_unblock._scan.scan import scan

CORPUS = Path(__file__).with_name("corpus")
MARK = re.compile(r"#\s*blocks:\s*(.+)$")
FILE = re.compile(r"^#: file (\S+)$", re.MULTILINE)

Pair = tuple[str, str, int]  # endpoint, file, line


class Score(NamedTuple):
    """What was marked, and what was found."""

    marked: set[Pair]
    found: set[Pair]
    handlers: int

    @property
    def recall(self) -> float:
        return len(self.marked & self.found) / len(self.marked)

    @property
    def precision(self) -> float:
        return len(self.marked & self.found) / len(self.found)

    def __str__(self) -> str:
        return (
            f"{self.handlers} handlers: {len(self.marked & self.found)} of "
            f"{len(self.marked)} found ({self.recall:.1%}), "
            f"{len(self.marked & self.found)} of {len(self.found)} right "
            f"({self.precision:.1%})"
        )


def unpack(text: str, folder: Path) -> None:
    """Write the files of one text."""
    parts = FILE.split(text)[1:]
    for name, body in zip(parts[::2], parts[1::2]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body.lstrip("\n"), encoding="utf-8")


def marks(folder: Path) -> Iterator[Pair]:
    for path in folder.rglob("*.py"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = MARK.search(line)
            for endpoint in found[1].split(",") if found else ():
                yield endpoint.strip(), str(path), number


def score(text: Path, folder: Path) -> Score:
    """Scan one code base of the corpus."""
    unpack(text.read_text(encoding="utf-8"), folder)
    report = scan([folder])
    found = {
        (finding.endpoint, finding.path, finding.line)
        for finding in report.findings
        if finding.blocks and finding.confidence != "unknown"
    }
    return Score(set(marks(folder)), found, len(report.handlers))


def total(scores: list[Score]) -> Score:
    return Score(
        set().union(*(s.marked for s in scores)),
        set().union(*(s.found for s in scores)),
        sum(s.handlers for s in scores),
    )
