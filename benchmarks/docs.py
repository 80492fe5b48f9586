"""Put the tables and charts into the documentation, between two marks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from benchmarks.harness import results as files
from benchmarks.harness.errors import SetupError
from benchmarks.harness.results import Results
from benchmarks.scenarios import scenario_named
from benchmarks.table import heading_of, markdown, recommended

BEGIN = "<!-- results: written by `python -m benchmarks --docs` -->"
END = "<!-- end of results -->"
_BETWEEN = re.compile(re.escape(BEGIN) + ".*" + re.escape(END), re.DOTALL)


def update(
    page: Path, results: Results, charts: Mapping[str, Path], ratios: bool = False
) -> None:
    """Write the results into the page; with `ratios`, nothing but ratios.

    Raises:
        SetupError: The page or its marks are not there.
        DemoError: It cannot be written.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise SetupError(f"Cannot read {page}: {error.strerror}.") from error
    if not _BETWEEN.search(text):
        raise SetupError(f"{page} has no place for the results: {BEGIN} … {END}")
    tables = _illustrated(results, page, charts, ratios)
    tables += f"\n### How the others are run\n\n{recommended()}\n"
    new = f"{BEGIN}\n\n{about(results)}\n\n{tables}\n{END}"
    files.write(page, _BETWEEN.sub(lambda _: new, text))


def about(results: Results) -> str:
    """Say in a sentence where the numbers come from."""
    machine = results.about.get("machine", {})
    versions = results.about.get("versions", {})
    packages = ", ".join(f"{name} {v}" for name, v in versions.items() if v)
    settings = results.about.get("settings", {})
    kind = "a quick run" if settings.get("quick") else "a full run"
    note = results.about.get("note")
    return (
        f"Taken on {results.about.get('taken', '?')[:10]} by {kind}, "
        f"{machine.get('Cores')} cores ({machine.get('Processor')}), {packages}."
        + (f" {note}" if note else "")
    )


def _illustrated(
    results: Results, page: Path, charts: Mapping[str, Path], ratios: bool
) -> str:
    text = markdown(results, ratios)
    for name, path in charts.items():
        title = heading_of(scenario_named(name))
        try:
            where = path.resolve().relative_to(page.resolve().parent).as_posix()
        except ValueError:  # elsewhere: named in full
            where = path.resolve().as_posix()
        heading = f"### {title}\n"
        text = text.replace(heading, f"{heading}\n![{title}]({where})\n")
    return text
