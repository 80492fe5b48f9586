"""`python -m tornado_unblock scan`: which handlers block, where, and by which way."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tornado_unblock._scan.baseline import BaselineError, split, write_baseline
from tornado_unblock._scan.findings import CERTAINTY, Report
from tornado_unblock._scan.formats import FORMATS, many, say
from tornado_unblock._scan.observed import ObservedError, Stall, rank, read_stalls
from tornado_unblock._scan.scan import scan
from tornado_unblock._scan.settings import SettingsError, read_settings, with_bases

CLEAN, BLOCKING, WRONG, UNREAD = 0, 1, 2, 3

_EXIT_CODES = f"""exit codes: {CLEAN}: nothing blocks, but for what a baseline accepts;
{BLOCKING}: something blocks; {WRONG}: the command makes no sense; {UNREAD}: files could
not be read, and nothing else was found to block"""


def main(arguments: Sequence[str]) -> int:
    """Scan, print, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        report, missed = _scanned(options)
        if options.write_baseline is not None:
            say(_accept(report, options.write_baseline), sys.stderr)
            return CLEAN
    except (SettingsError, BaselineError, ObservedError, OSError) as error:
        say(f"scan: {error}", sys.stderr)
        return WRONG
    _print(report, missed, options)
    return _exit_code(report, options)


def _scanned(options: Any) -> tuple[Report, list[Stall]]:
    for path in options.paths:
        if not path.exists():
            raise SettingsError(f"there is no {path}")
    first = options.paths[0]
    settings = read_settings(first if first.is_dir() else first.parent)
    settings = with_bases(settings, options.handler_base)
    report = scan(options.paths, settings)
    missed: list[Stall] = []
    if options.stalls is not None:
        report.findings, missed = rank(report.findings, read_stalls(options.stalls))
    if options.baseline is not None:
        report.findings, report.accepted = split(report.findings, options.baseline)
    return report, missed


def _accept(report: Report, file: Path) -> str:
    number = write_baseline(report.blocking, file)
    return f"scan: {many(number, 'finding')} accepted in {file}"


def _print(report: Report, missed: list[Stall], options: Any) -> None:
    say(FORMATS[options.format](report, options.verbose))
    for stall in missed:
        place = f"{stall.file}:{stall.line}" if stall.file else "no place"
        message = (
            f"scan: seen while it ran, not in the source: {stall.endpoint} {place}"
        )
        say(message, sys.stderr)


def _exit_code(report: Report, options: Any) -> int:
    least = CERTAINTY[options.confidence]
    if any(CERTAINTY[finding.confidence] >= least for finding in report.blocking):
        return BLOCKING
    unread = [problem for problem in report.problems if problem.kind != "cyclic-import"]
    return UNREAD if unread else CLEAN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m tornado_unblock scan",
        description="Name the handlers that block the event loop. Runs nothing.",
        epilog=_EXIT_CODES,
    )
    option = parser.add_argument
    option("paths", nargs="+", type=Path, metavar="PATH", help="files and folders")
    option("--format", choices=list(FORMATS), default="table", help="(table)")
    option("--baseline", type=Path, metavar="FILE", help="what is accepted")
    option("--write-baseline", type=Path, metavar="FILE", help="accept all there is")
    option(
        "--with", dest="stalls", type=Path, metavar="FILE", help="stalls seen, as JSON"
    )
    option(
        "--handler-base",
        action="append",
        default=[],
        metavar="NAME",
        help="a class whose subclasses are handlers, with or without its module",
    )
    option(
        "--confidence",
        choices=list(CERTAINTY),
        default="likely",
        help="how sure a finding must be to fail (likely)",
    )
    option("--verbose", action="store_true", help="also what is unblocked already")
    return parser
