"""`scan` as a command: exit codes, files, errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PROGRAM
from tests.unit.scan.conftest import WriteFiles
from tornado_unblock._scan.cli import BLOCKING, CLEAN, UNREAD, WRONG, main

CLEAN_TEXT = """
import tornado.web
class A(tornado.web.RequestHandler):
    def get(self):
        self.write("x")
"""
BLOCKS = CLEAN_TEXT.replace('self.write("x")', "__import__('requests').get('x')")
MAYBE = CLEAN_TEXT.replace('self.write("x")', "self.db.execute('x')")
BROKEN = CLEAN_TEXT + "#: file broken.py\ndef f(:\n"


@pytest.mark.parametrize(
    ("text", "options", "code"),
    [
        (CLEAN_TEXT, [], CLEAN),
        (BLOCKS, [], BLOCKING),
        (MAYBE, [], BLOCKING),
        (MAYBE, ["--confidence", "seen"], CLEAN),
        ("#: file app.py\n" + BROKEN, [], UNREAD),
        (
            "#: file app.py\n" + BROKEN.replace('self.write("x")', "open('x')"),
            [],
            BLOCKING,
        ),
        ("#: file a.py\nfrom b import x\n#: file b.py\nfrom a import x\n", [], CLEAN),
    ],
)
def test_exit_codes(
    code_base: WriteFiles,
    capsys: pytest.CaptureFixture[str],
    text: str,
    options: list[str],
    code: int,
) -> None:
    """The exit code says whether something blocks, or was not read."""
    assert main([str(code_base(text)), *options]) == code
    assert "methods that are unblocked" in capsys.readouterr().out


def test_one_file(code_base: WriteFiles, capsys: pytest.CaptureFixture[str]) -> None:
    """A file may be named."""
    assert main([str(code_base(BLOCKS) / "app.py")]) == BLOCKING
    assert "A.get" in capsys.readouterr().out


def test_baseline(code_base: WriteFiles, capsys: pytest.CaptureFixture[str]) -> None:
    """What is accepted does not fail."""
    folder = code_base(BLOCKS)
    file = folder / "accepted.json"
    assert main([str(folder), "--write-baseline", str(file)]) == CLEAN
    assert "1 finding accepted" in capsys.readouterr().err
    assert main([str(folder), "--baseline", str(file)]) == CLEAN
    assert "1 finding accepted" in capsys.readouterr().out


def test_stalls(code_base: WriteFiles, capsys: pytest.CaptureFixture[str]) -> None:
    """What was seen is in the report, what was missed beside it."""
    folder = code_base(BLOCKS)
    file = folder / "stalls.json"
    seen = {"endpoint": "A.get", "file": "app.py", "line": 5, "count": 3, "total": 1.5}
    gone = {"endpoint": "Gone.get", "count": 1, "total": 1}
    there = {"endpoint": "X.get", "file": "x.py", "line": 1, "count": 1, "total": 1}
    file.write_text(json.dumps([seen, gone, there]))
    assert main([str(folder), "--with", str(file)]) == BLOCKING
    out, err = capsys.readouterr()
    assert "1.5 s in 3 stalls" in out
    assert "not in the source: Gone.get no place" in err
    assert "X.get x.py:1" in err


def test_handler_base(
    code_base: WriteFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    """A base that nobody can see is a handler's if it is said."""
    folder = code_base(
        "import corp\nclass A(corp.Page):\n    def get(self): open('x')\n"
    )
    assert main([str(folder)]) == CLEAN
    assert main([str(folder), "--handler-base", "Page"]) == BLOCKING
    capsys.readouterr()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["nowhere"], "there is no nowhere"),
        ([".", "--baseline", "nowhere.json"], "nowhere.json cannot be read"),
        ([".", "--with", "nowhere.json"], "nowhere.json cannot be read"),
        ([".", "--write-baseline", "no/where.json"], "no/where.json"),
    ],
)
def test_wrong(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    """What makes no sense is told, with an exit code of its own."""
    monkeypatch.chdir(tmp_path)
    assert main(options) == WRONG
    assert message in capsys.readouterr().err


def test_settings(code_base: WriteFiles, capsys: pytest.CaptureFixture[str]) -> None:
    """The settings of the project that is scanned hold; wrong ones are told."""
    text = "import acme\n" + CLEAN_TEXT.replace("self.write", "acme.call")
    folder = code_base(text)
    (folder / "setup.cfg").write_text("[tornado_unblock:scan]\nblocks = acme.call\n")
    assert main([str(folder)]) == BLOCKING
    (folder / "setup.cfg").write_text("[tornado_unblock:scan]\nx = 1\n")
    assert main([str(folder)]) == WRONG
    assert "'x' is no option" in capsys.readouterr().err


def test_as_a_program(code_base: WriteFiles, child_env: dict[str, str]) -> None:
    """`python -m tornado_unblock scan` is that command."""
    command = [sys.executable, "-m", "tornado_unblock", "scan", str(code_base(BLOCKS))]
    done = subprocess.run(
        command, env=child_env, capture_output=True, text=True, timeout=PROGRAM
    )
    assert done.returncode == BLOCKING
    assert "A.get" in done.stdout
