"""What is left of a run: a table, a sentence, a chart, and JSON if wanted."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from examples.order_service import display, results
from examples.order_service.chart import write_chart
from examples.order_service.errors import DemoError
from examples.order_service.load import version
from examples.order_service.runner import Run
from examples.order_service.settings import Settings

PACKAGES = ("tornado-unblock", "tornado", "requests", "PyMySQL", "psycopg2-binary")


def write(run: Run, settings: Settings, console: Console) -> None:
    """Print the outcome of `run` and write its files.

    Raises:
        DemoError: A file cannot be written.
    """
    console.print(display.table(run.results))
    if len(run.results) > 1:
        console.print(results.sentence(run.results), highlight=False)
    subtitle = display.heading(settings, run.database)
    with _writing(settings.chart):
        write_chart(run.results, subtitle, settings.chart)
    _name(console, "Chart", settings.chart)
    if settings.json:
        with _writing(settings.json):
            settings.json.write_text(as_json(run, settings), encoding="utf-8")
        _name(console, "Results", settings.json)


def as_json(run: Run, settings: Settings) -> str:
    """Return the results and all that they depend on."""
    document = {
        "settings": {
            "seconds": settings.seconds,
            "connections": settings.connections,
            "logistics_delay": settings.delay,
        },
        "versions": versions(run, settings),
        "stages": [result.as_dict() for result in run.results],
        "times_faster": results.faster(run.results),
    }
    return json.dumps(document, indent=2) + "\n"


def versions(run: Run, settings: Settings) -> dict[str, Any]:
    """Return the versions of all that takes part; None for what is not installed."""
    packages = {package: _installed(package) for package in PACKAGES}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "database": run.database,
        "load": f"{settings.load} {version(settings.load)}",
        **packages,
    }


def _installed(package: str) -> Any:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise DemoError(f"Cannot write {path}: {error.strerror}") from error


def _name(console: Console, what: str, path: Path) -> None:
    # soft_wrap: the terminal breaks the line, so that the path can still be copied.
    text = f"{what}: {path.resolve()}"
    console.print(text, soft_wrap=True, highlight=False, markup=False)
