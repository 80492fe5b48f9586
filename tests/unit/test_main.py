"""`python -m tornado_unblock`: a thin table of commands."""

from __future__ import annotations

import sys
import types

import pytest

from tornado_unblock import __main__ as program


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command, or with `--help`, all commands are listed."""
    assert program.main([]) == 2
    assert program.main(["--help"]) == 0
    out, err = capsys.readouterr()
    assert out == err
    assert all(f"  {name}" in out for name in program.COMMANDS)


def test_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    """A command that is none is told, with those that are."""
    assert program.main(["scam"]) == 2
    assert "there is no command 'scam'" in capsys.readouterr().err


def test_imported_when_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command gets the other arguments, and its number is the exit code."""
    given: list[list[str]] = []
    module = types.ModuleType("some_command")
    module.main = lambda arguments: given.append(arguments) or 7  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "some_command", module)
    monkeypatch.setitem(program.COMMANDS, "some", program.Command("some_command", ""))
    assert program.main(["some", "a", "-b"]) == 7
    assert given == [["a", "-b"]]


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("tornado_unblock.nothing", "this version has no command 'some'"),
        ("no_such_package", r"needs no_such_package, .*pip install 'tornado-unblock"),
    ],
)
def test_missing(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    module: str,
    message: str,
) -> None:
    """A command whose package is missing says what to install."""
    import re

    monkeypatch.setitem(program.COMMANDS, "some", program.Command(module, ""))
    assert program.main(["some"]) == 2
    assert re.search(message, capsys.readouterr().err)
