"""The public types, as the type checkers of users see them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECKED = ("core_typing.py", "unblock_typing.py", "shim_typing.py")
CHECKERS = {
    "mypy": ["--strict", "--cache-dir=/dev/null"],
    "basedpyright": ["--pythonpath", sys.executable],
}


@pytest.mark.parametrize("name", CHECKED)
@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.timeout(300)
def test_types(checker, name):
    """What should be an error is one, and nothing else is."""
    if importlib.util.find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed; it comes with the `lint` extra")
    command = [sys.executable, "-m", checker, *CHECKERS[checker]]
    command.append(str(Path(__file__).with_name(name)))
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
