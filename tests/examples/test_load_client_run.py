"""The load client as its users run it: what comes out, and what is left behind."""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.stories.load_client.settings import WAYS

# All are served, however slow the machine: nobody has to leave.
SMALL = ["--requests", "6", "--clients", "3", "--body", "0.1", "--timeout", "30"]


class Program:
    """Runs a module and looks for what it leaves behind."""

    def __init__(self, module: str, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self._module = module
        self._marker = f"EXAMPLES_TEST={secrets.token_hex(8)}"
        name, value = self._marker.split("=")
        self.environment = {
            **environment,
            name: value,
            "TMPDIR": str(self.temporary),
            "COLUMNS": "120",
        }

    def start(self, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", self._module, *options],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *options: str) -> tuple[int, str, str]:
        with self.start(*options) as process:
            out, err = process.communicate()
        return process.returncode, out, err

    def assert_nothing_left(self) -> None:
        assert list(self.temporary.iterdir()) == []
        assert self._processes() == []

    def _processes(self) -> list[str]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):  # elsewhere there are none
            with contextlib.suppress(OSError):
                if self._marker.encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_text())
        return found


@pytest.fixture
def program(child_env: dict[str, str], tmp_path: Path) -> Program:
    """Return the load client, with folders of its own."""
    return Program("examples.load_client", tmp_path, child_env)


def test_run(program: Program) -> None:
    """Each server is asked by each client; nothing is lost, and nothing stays."""
    results = program.folder / "deep" / "results.json"
    code, out, err = program.run(*SMALL, "--processes", "2", "--json", str(results))
    assert err == ""
    document = json.loads(results.read_text(encoding="utf-8"))
    assert code == (0 if document["ok"] else 1)
    assert [each["way"] for each in document["measured"]] == [way.name for way in WAYS]
    for each in document["measured"]:
        assert_all_ended(each)
    assert document["commands"] == [
        "python -m examples.load_client " + " ".join([*SMALL, "--processes", "2"])
    ]
    for way in WAYS:
        assert f"{way.title}: " in out
    program.assert_nothing_left()


def assert_all_ended(measured: dict[str, Any]) -> None:
    ended = (measured["success"], measured["503"])
    assert sum(ended) == 6
    if measured["way"] != "few":
        assert ended == (6, 0)
    assert (measured["timeout"], measured["error"], measured["lost"]) == (0, 0, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_that_is_interrupted(program: Program, number: signal.Signals) -> None:
    """Neither files nor processes stay, and there is no traceback."""
    options = ["--clients", "2", "--body", "20", "--servers", "inline"]
    with program.start(*options) as process:
        assert process.stdout is not None
        assert "2 clients" in process.stdout.readline()
        process.send_signal(number)
        _, err = process.communicate()
    assert (process.returncode, err) == (128 + number, "")
    program.assert_nothing_left()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--clients", "0", "must be from 1 to"),
        ("--body", "0", "must be more than 0"),
        ("--servers", "nginx", "invalid choice"),
    ],
)
def test_options_that_are_wrong(
    program: Program, option: str, value: str, message: str
) -> None:
    """A message on stderr, an exit code, no traceback."""
    code, out, err = program.run(option, value)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_results_that_cannot_be_written(program: Program) -> None:
    """The tables are shown before that fails."""
    file = program.folder / "file"
    file.write_text("")
    small = ["--requests", "1", "--clients", "1", "--body", "0.01", "--timeout", "30"]
    code, out, err = program.run(
        *small, "--servers", "unblock", "--json", str(file / "results.json")
    )
    assert code == 1
    assert "100 %" in out
    assert err.startswith("load_client: Cannot write")
    program.assert_nothing_left()
