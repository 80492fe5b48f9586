"""What the commands of all stories do alike: options, an outcome, an exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, TypeVar

from rich.console import Console

from benchmarks.harness import terminal
from benchmarks.harness.errors import DemoError
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.story import Story, typed_again

CHECK_HELP = """fail if the machine was too slow for what is expected; without it, only
wrong answers and lost requests fail"""
JSON_HELP = "file for all that was measured, with versions"

Found = TypeVar("Found")


@dataclass(frozen=True)
class Settings:
    """What every story is asked.

    Attributes:
        json: The JSON file to write, if any.
        check: Whether what depends on the machine's speed may fail the run.
        command: What was typed, without the JSON file.
    """

    json: Path | None = None
    check: bool = False
    command: str = ""


Chosen = TypeVar("Chosen", bound=Settings)


def parser(program: str, description: str) -> argparse.ArgumentParser:
    """Return a parser with the options that every story has."""
    made = argparse.ArgumentParser(program, description=description)
    made.add_argument("--quick", action="store_true", help="seconds, not minutes")
    made.add_argument("--check", action="store_true", help=CHECK_HELP)
    made.add_argument("--json", type=Path, metavar="FILE", help=JSON_HELP)
    return made


def common(program: str, given: argparse.Namespace, typed: Sequence[str]) -> Any:
    """Return the keyword arguments of `Settings` that `parser` asked for."""
    again = typed_again(program, typed)
    return {"json": given.json, "check": given.check, "command": again}


def between(
    kind: Callable[[str], float], low: float, high: float, least: bool = True
) -> Callable[[str], Any]:
    """Return what argparse takes for numbers of a range.

    Args:
        kind: int or float.
        low: The lowest that is allowed, or that all must exceed.
        high: The highest.
        least: Whether `low` itself is allowed.
    """

    def number(text: str) -> float:
        value = kind(text)
        if not (low <= value if least else low < value) or value > high:
            told = f"from {low} to" if least else f"more than {low}, and at most"
            raise argparse.ArgumentTypeError(f"must be {told} {high}")
        return value

    return number


def run(
    parse: Callable[[Sequence[str]], Chosen],
    measured: Callable[[Chosen, Interrupts, Console], Found],
    tell: Callable[[Found, Chosen], Story],
    arguments: Sequence[str] | None = None,
    more: Callable[[Found, Chosen], dict[str, Any]] = lambda found, settings: {},
) -> int:
    """Run a story and return its exit code: 0 if all went as expected.

    Args:
        parse: Reads the options.
        measured: Measures.
        tell: Says what came of it.
        arguments: What was typed; None for what the process was started with.
        more: What else goes into the JSON file.
    """
    console = Console()
    name = measured.__module__.split(".")[-2]
    try:
        settings = parse(sys.argv[1:] if arguments is None else arguments)
        with Interrupts() as interrupts:
            found = measured(settings, interrupts, console)
            told = tell(found, settings)
            terminal.show(told, console)
            if settings.json:
                terminal.write(told, settings.json, console, **more(found, settings))
    except DemoError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return error.exit_code
    return 0 if told.ok else 1
