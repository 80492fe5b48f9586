"""What is left of a run: tables, a sentence, a chart, and JSON if wanted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from examples.bench_app.story import Chart, Story
from examples.bench_app.story import versions as of_packages
from examples.order_service import account, chart, display, results
from examples.order_service.errors import DemoError
from examples.order_service.load import version
from examples.order_service.runner import Run
from examples.order_service.settings import Settings

PACKAGES = ("tornado", "requests", "PyMySQL", "psycopg2-binary")
PROBLEM = (
    "Each order waits for a database, for a logistics API, now and then for a retry, "
    "and for two files. In a plain handler the whole service waits with it: one order "
    "at a time, however many ask, and a ping that needs nothing waits in the queue."
)
FIX = (
    "One @unblock line before the handler. What is left to gain after it, the later "
    "stages collect one by one."
)


def write(run: Run, settings: Settings, console: Console) -> bool:
    """Print the outcome of `run`, write its files, and tell whether it is as expected.

    Raises:
        DemoError: A file cannot be written.
    """
    told = story(run, settings)
    console.print(display.table(run.results))
    if len(run.results) > 1:
        console.print(display.beside_account(run.results))
    for finding in told.findings:
        console.print(finding, highlight=False, markup=False)
    subtitle = display.heading(settings, run.database)
    with _writing(settings.chart):
        chart.write_chart(run.results, subtitle, settings.chart)
    _name(console, "Chart", settings.chart)
    if settings.json:
        with _writing(settings.json):
            told.write(settings.json, **details(run, settings))
        _name(console, "Results", settings.json)
    return told.ok


def story(run: Run, settings: Settings) -> Story:
    """Return the run as one of the stories that `examples.bench_app` collects."""
    checks = account.checks(run.results, settings)
    return Story(
        name="order_service",
        title="The order service: one line, then the rest",
        problem=PROBLEM,
        fix=FIX,
        account=account.published(),
        tables=display.plain_tables(run.results, settings, run.database),
        charts=_charts(run.results),
        findings=[*_sentences(run.results), *map(str, checks)],
        commands=[settings.command],
        versions=versions(run, settings),
        ok=all(check.held for check in checks),
    )


def _sentences(measured: Sequence[results.StageResult]) -> list[str]:
    return [results.sentence(measured)] if len(measured) > 1 else []


def _charts(measured: Sequence[results.StageResult]) -> list[Chart]:
    found = [Chart("Orders per second", chart.rates(measured))]
    if len(measured) > 1:
        found.append(Chart("Times the first stage's orders", chart.gains(measured)))
    return found


def details(run: Run, settings: Settings) -> dict[str, Any]:
    """Return the numbers themselves and what they depend on."""
    return {
        "settings": {
            "seconds": settings.seconds,
            "connections": settings.connections,
            "logistics_delay": settings.delay,
        },
        "stages": [result.as_dict() for result in run.results],
        "times_faster": results.faster(run.results),
    }


def versions(run: Run, settings: Settings) -> dict[str, Any]:
    """Return the versions of all that takes part; None for what is not installed."""
    return {
        **of_packages(PACKAGES),
        "database": run.database,
        "load": f"{settings.load} {version(settings.load)}",
    }


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
