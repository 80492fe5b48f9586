"""The consumer's example, run small."""

from __future__ import annotations

import pytest

from examples.consumer.__main__ import main

pytestmark = pytest.mark.timeout(120)


def test_nothing_is_lost(capsys):
    """Everything is killed in the middle, and every job is done."""
    assert main(["--requests", "60", "--workers", "4"]) == 0
    rows = {
        line[:34].strip(): line[34:].strip()
        for line in capsys.readouterr().out.splitlines()
    }
    assert rows["done in the end"] == "60"
    assert int(rows["done when all was killed"]) < 60
    assert int(rows["done twice"]) <= 4
