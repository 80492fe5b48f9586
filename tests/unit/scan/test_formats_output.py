"""What is printed where a terminal, or a file's name, has an encoding of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PROGRAM

ROOT = Path(__file__).resolve().parents[3]
PAGE = """# coding: utf-8
import time
import tornado.web
class Page(tornado.web.RequestHandler):
    def get(self):
        time.sleep(1)  # {comment}
app = tornado.web.Application([("/é", Page)])  # {comment}
"""


def run(folder: Path, encoding: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tornado_unblock", *words, "."],
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding=encoding,
        timeout=PROGRAM,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["ascii", "cp1251", "utf-8"])
@pytest.mark.parametrize("command", ["scan", "fix"])
def test_encodings(tmp_path: Path, encoding: str, command: str) -> None:
    """What cannot be encoded is escaped."""
    text = PAGE.format(comment="спать 睡")
    (tmp_path / "app.py").write_text(text, encoding="utf-8")
    (tmp_path / "ключ.py").write_text("def f(:\n")
    result = run(tmp_path, encoding, command)
    assert "Traceback" not in result.stderr
    assert result.returncode == (1 if command == "scan" else 3)
    shown = "睡" if encoding == "utf-8" else r"\u7761"
    assert shown in result.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text there")
@pytest.mark.parametrize("form", ["table", "json", "sarif", "github"])
def test_names_that_are_no_text(tmp_path: Path, form: str) -> None:
    """A file may be called by any bytes."""
    path = os.fsencode(tmp_path) + b"/caf\xe9.py"
    with open(path, "w", encoding="utf-8") as file:
        file.write(PAGE.format(comment="x"))
    result = run(tmp_path, "utf-8", "scan", "--format", form)
    assert result.stderr == ""
    assert result.returncode == 1
    assert "caf" in result.stdout
    if form in ("json", "sarif"):
        json.loads(result.stdout)
