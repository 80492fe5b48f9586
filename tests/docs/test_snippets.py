"""Every Python block of the documentation runs; `tests/docs/pages.py` says how."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import PAGES, README, ROOT, TRANSLATIONS, blocks
from tests.docs.runner import Page, program

#: Blocks that only have to parse, in all pages together. Keep it low.
MOST_FRAGMENTS = 8
#: What README.md takes for granted: it shows lines of somebody's own service.
README_NAMES = """
import concurrent.futures
from tornado.web import Application, RequestHandler
from tornado_unblock import run_in_executor, unblock, unblock_application

class BaseHandler(RequestHandler):
    pass

def load_rows(key):
    return [key]

def hash_file(path):
    return path

key, path = 1, "file"
processes = concurrent.futures.ThreadPoolExecutor(1)
app = Application([])
connect, requests, LOGISTICS, ask_carrier = object, None, "", str
"""

with_code = [
    path
    for path in (README, *PAGES)
    # Those have the code of others: test_translations.py.
    if path not in TRANSLATIONS
    and any(block.language == "python" for block in blocks(path))
]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def run_pytest(folder: Path, env: dict[str, str], **files: str) -> str:
    """Run test files (``conftest="..."``) in a process of its own."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    ended = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=50
    )
    return ended.stdout + ended.stderr


@pytest.fixture
def given(
    allow_log: Any,
    child_env: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """Return what the code of every page finds defined."""
    monkeypatch.chdir(tmp_path)
    return {
        "allow_log": allow_log,
        "program": functools.partial(program, folder=tmp_path, env=child_env),
        "run_pytest": functools.partial(run_pytest, tmp_path, child_env),
    }


@pytest.mark.parametrize("path", with_code, ids=relative)
def test_blocks(path: Path, given: dict[str, Any]) -> None:
    """The blocks of the page run in order, and do what the page says."""
    if path == README:
        exec(README_NAMES, given)
    shown = [b for b in blocks(path) if b.language == "python" and b.kind != "run"]
    fragments = [b for b in shown if b.kind == "fragment"]
    assert Page(path, given).run() == len(shown) - len(fragments)
    if path == README:
        given["processes"].shutdown()


def test_few_blocks_are_not_run() -> None:
    """Hardly any block is there to be read only."""
    fragments = [
        str(block)
        for path in with_code
        for block in blocks(path)
        if block.kind == "fragment"
    ]
    assert len(fragments) <= MOST_FRAGMENTS, fragments


def test_kinds() -> None:
    """No comment is misspelt, and each belongs to a Python block."""
    known = {"", "fragment", "fresh", "run"}
    wrong = [
        str(block)
        for path in (README, *PAGES)
        for block in blocks(path)
        if block.kind not in known or (block.kind and block.language != "python")
    ]
    assert wrong == []
