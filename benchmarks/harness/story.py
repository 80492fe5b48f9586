"""What a story hands in: a JSON document, written by an example and read for the page.

An example is a story if `python -m examples.<name> [--quick] [--check] [--json FILE]`
writes such a document, and ends with 0 when every check held, else with 1. Checks of
speed fail a run only with `--check`.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import platform
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tornado_unblock

NOT_HELD = "Not as expected: "  # what the sentence of a failed check begins with


@dataclass(frozen=True)
class Table:
    """Numbers as they are shown."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Chart:
    """A picture that needs nothing from outside."""

    title: str
    svg: str


@dataclass(frozen=True)
class Published:
    """One figure of the published account that the story reproduces."""

    what: str
    figure: str


@dataclass(frozen=True)
class Check:
    """What should come out, as a sentence with numbers, and whether it did.

    Attributes:
        text: The sentence.
        held: Whether it did.
        timed: Whether a machine that is slow, or busy with something else, may be why
            it did not.
    """

    text: str
    held: bool
    timed: bool = False

    def __str__(self) -> str:
        return self.text if self.held else NOT_HELD + self.text


def passed(checks: Iterable[Check], strict: bool) -> bool:
    """Tell whether all checks held; those of speed count only where `strict`."""
    return all(check.held or (check.timed and not strict) for check in checks)


@dataclass(frozen=True)
class Story:
    """One story, measured.

    Attributes:
        name: The example's module name.
        title: A headline.
        problem: Two or three plain sentences.
        fix: What to do about it.
        account: The figures of the published account.
        tables: What was measured.
        charts: The same as pictures.
        findings: What it means, a sentence each; failed checks say so.
        commands: How to repeat it.
        versions: Of all that took part.
        ok: Whether every check held that may fail the run: see `passed`.
    """

    name: str
    title: str
    problem: str
    fix: str
    account: Sequence[Published]
    tables: Sequence[Table]
    charts: Sequence[Chart]
    findings: Sequence[str]
    commands: Sequence[str]
    versions: Mapping[str, Any]
    ok: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the document."""
        return dataclasses.asdict(self)

    def write(self, path: Path, **more: Any) -> None:
        """Write the document, with whatever else the example keeps there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**self.as_dict(), **more}, indent=2)
        path.write_text(text + "\n", encoding="utf-8")


class NoStoryError(Exception):
    """There is no such document, or it lacks something."""


def read(path: Path) -> Story:
    """Read a document.

    Raises:
        NoStoryError: There is none, or something is missing or misshapen in it.
    """
    try:
        return parsed(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise NoStoryError(f"No results were written: {error.strerror}.") from error
    except KeyError as error:
        raise NoStoryError(f"The results lack {error}.") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise NoStoryError(f"The results are misshapen: {error}.") from error


def parsed(document: Mapping[str, Any]) -> Story:
    """Return the story of a document; what else is in it is left alone."""
    fields = {field.name: document[field.name] for field in dataclasses.fields(Story)}
    fields["account"] = [_only(Published, each) for each in fields["account"]]
    fields["tables"] = [_only(Table, each) for each in fields["tables"]]
    fields["charts"] = [_only(Chart, each) for each in fields["charts"]]
    return Story(**fields)


def _only(kind: type, given: Mapping[str, Any]) -> Any:
    return kind(**{field.name: given[field.name] for field in dataclasses.fields(kind)})


def typed_again(program: str, arguments: Sequence[str]) -> str:
    """Return what to type for the same again; where the results went is left out."""
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if not skip and argument.split("=")[0] != "--json":
            kept.append(argument)
        skip = argument == "--json"
    return " ".join([program, *map(shlex.quote, kept)])


def versions(packages: Iterable[str]) -> dict[str, Any]:
    """Return the versions of Python, the system and `packages`; None: not installed."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        **{package: _installed(package) for package in packages},
        "tornado-unblock": tornado_unblock.__version__,  # also of a bare source tree
    }


def _installed(package: str) -> Any:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
