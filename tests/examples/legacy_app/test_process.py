"""`python -m examples.legacy_app`: a process of its own, from start to Ctrl-C."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import requests


@pytest.mark.parametrize("option", [[], ["--unblock"]], ids=["inline", "unblocked"])
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_serves_until_it_is_stopped(
    option: list[str], end: signal.Signals, child_env: dict[str, str], tmp_path: Path
) -> None:
    """It says where it is, leaves on a signal, and takes its tables along."""
    file = tmp_path / "office.sqlite"
    command = [sys.executable, "-m", "examples.legacy_app", "--port", "0", *option]
    command += ["--database", f"sqlite://{file}"]
    with subprocess.Popen(
        command, env=child_env, cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        try:
            address = child.stdout.readline().strip()
            assert requests.get(f"{address}ping", timeout=20).text == "pong"
            with closing(sqlite3.connect(file)) as connection:
                assert tables(connection) == 4
            child.send_signal(end)
            assert child.stdout.read() == "stopped\n"
            assert child.wait(20) == 0
        finally:
            child.kill()
    with closing(sqlite3.connect(file)) as connection:
        assert tables(connection) == 0


def tables(connection: sqlite3.Connection) -> int:
    query = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table'"
    (number,) = connection.execute(query).fetchone()
    return int(number)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("oracle://user:secret@host/x", "No database is known by that URL."),
        ("mysql://user:secret@host", "No database is known by that URL."),
        ("secret", "That is no database URL."),
        ("sqlite:///no/such/folder/x.sqlite", "unable to open database file"),
    ],
)
def test_a_wrong_database(
    url: str, said: str, child_env: dict[str, str], tmp_path: Path
) -> None:
    """A message, no traceback, no password."""
    command = [sys.executable, "-m", "examples.legacy_app", "--database", url]
    ended = subprocess.run(
        command, env=child_env, cwd=tmp_path, capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("legacy_app: ")
    assert said in ended.stderr
    assert "secret" not in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
