"""Code bases for scans, from text."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any, Callable

import pytest

from tests.unit.scan.corpus_runner import FILE, unpack
from tornado_unblock._scan.findings import Finding, Report
from tornado_unblock._scan.scan import scan
from tornado_unblock._scan.settings import Settings

WriteFiles = Callable[[str], Path]


@pytest.fixture
def code_base(tmp_path: Path) -> WriteFiles:
    """Write files: `#: file NAME` begins one; without, all of it is `app.py`."""

    def write(text: str) -> Path:
        text = textwrap.dedent(text).lstrip("\n")
        if FILE.search(text) is None:
            text = f"#: file app.py\n{text}"
        unpack(text, tmp_path)
        return tmp_path

    return write


@pytest.fixture
def scanned(code_base: WriteFiles) -> Callable[..., Report]:
    """Write files and scan them."""

    def run(text: str, **settings: Any) -> Report:
        return scan([code_base(text)], Settings(**settings))

    return run


def found(report: Report) -> list[str]:
    """Return what blocks, in a form that is easy to compare."""
    return sorted(f"{f.endpoint} {f.what} {f.confidence}" for f in report.blocking)


def one(report: Report) -> Finding:
    """Return the only finding."""
    (finding,) = report.findings
    return finding
