"""A report as a table, as JSON, as SARIF, and as annotations of GitHub."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any, Callable, Optional, TextIO

from tornado_unblock._scan.findings import Finding, Note, Report

DOCS = "https://tornado-unblock.readthedocs.io/en/stable/"
_LEVELS = {3: "error", 2: "warning", 1: "note"}
_MOST_DARK = 5


def table(report: Report, verbose: bool = False) -> str:
    """Return the report for a terminal.

    Args:
        report: What to show.
        verbose: Also what is unblocked already, and all that could not be followed.
    """
    lines: list[str] = []
    for finding in report.findings:
        if finding.blocks or verbose:
            lines += [*_finding_lines(finding), ""]
    if report.notes:
        lines.append("Before bodies run side by side, look at:")
        lines += [
            f"  {note.path}:{note.line}: {note.message} ({note.link})"
            for note in report.notes
        ]
        lines.append("")
    lines += [*_limits(report, verbose), *_summary(report)]
    return "\n".join(lines)


def _finding_lines(finding: Finding) -> Iterator[str]:
    route = ", ".join(finding.routes[:3]) or "(no route)"
    more = len(finding.routes) - 3
    route += f" and {more} more" if more > 0 else ""
    how = "async " if finding.is_async else ""
    yield f"{route}  {how}{finding.endpoint}"
    moved = f", unblocked by {finding.unblocked}" if finding.unblocked else ""
    seen = f", {finding.total:.1f} s in {finding.count} stalls" if finding.count else ""
    state = f"{finding.kind}, {finding.confidence}{moved}{seen}"
    place = f"{finding.path}:{finding.line}"
    yield f"  {finding.what}  [{state}]  {place}: {finding.source}"
    if len(finding.steps) > 1:
        yield "    " + " -> ".join(
            f"{step.name} ({PurePath(step.path).name}:{step.line})"
            for step in finding.steps
        )
    others = [name for name in finding.handlers if f"{name}." not in finding.endpoint]
    if others:
        names = ", ".join(others[:4]) + (" ..." if len(others) > 4 else "")
        yield f"    also runs in {len(others)} more: {names}"


def _limits(report: Report, verbose: bool) -> Iterator[str]:
    for problem in report.problems:
        yield str(problem)
    shown = report.dark if verbose else report.dark[:_MOST_DARK]
    if shown:
        yield f"Not followed, in {many(len(report.dark), 'place')}:"
        yield from (f"  {path}:{line}: {what}" for path, line, what in shown)
    if len(shown) < len(report.dark):
        yield "  ... (--verbose shows all)"
    if report.missing:
        names = list(report.missing)
        text = ", ".join(names if verbose else names[:8])
        more = "" if verbose or len(names) <= 8 else " ..."
        yield f"Not here, so not looked into: {text}{more}"
    if report.problems or report.dark or report.missing:
        yield ""


def _summary(report: Report) -> Iterator[str]:
    blocking = report.blocking
    endpoints = {(f.endpoint, f.handlers) for f in blocking}
    blocked = sum(bool(handler.blocking) for handler in report.handlers)
    lines = len({(f.path, f.line) for f in blocking})
    moved = sum(bool(handler.unblocked) for handler in report.handlers)
    yield (
        f"{many(len(report.handlers), 'handler')} in {many(report.files, 'file')}: "
        f"{blocked} block{'s' if blocked == 1 else ''}, in "
        f"{many(len(endpoints), 'method')} at {many(lines, 'line')}; "
        f"{moved} {'has' if moved == 1 else 'have'} methods that are unblocked."
    )
    if report.accepted:
        yield f"{many(len(report.accepted), 'finding')} accepted by the baseline."


def many(number: int, word: str) -> str:
    """Return how many there are: "1 file", "2 files"."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def say(text: object, to: Optional[TextIO] = None, end: str = "\n") -> None:
    """Print; what a stream cannot encode is escaped.

    Args:
        text: What to say.
        to: Where; standard output if None.
        end: What comes behind it.
    """
    stream = sys.stdout if to is None else to
    encoding = getattr(stream, "encoding", None) or "utf-8"
    safe = str(text).encode(encoding, "backslashreplace").decode(encoding)
    print(safe, end=end, file=stream)


def as_json(report: Report, verbose: bool = False) -> str:
    """Return the report as one JSON object; `docs/find.md` names its keys."""
    content = {
        "files": report.files,
        "handlers": [handler.__dict__ for handler in report.handlers],
        "findings": [_finding_object(f) for f in report.findings],
        "accepted": [_finding_object(f) for f in report.accepted],
        "notes": [note.__dict__ for note in report.notes],
        "problems": [problem._asdict() for problem in report.problems],
        "not_followed": [
            {"path": path, "line": line, "what": what}
            for path, line, what in report.dark
        ],
        "missing": report.missing,
    }
    return json.dumps(content, indent=1)


def _finding_object(finding: Finding) -> dict[str, Any]:
    content = dict(finding.__dict__)
    content["steps"] = [step._asdict() for step in finding.steps]
    return {**content, "severity": finding.severity, "fingerprint": finding.fingerprint}


def sarif(report: Report, verbose: bool = False) -> str:
    """Return the report as SARIF 2.1.0, for code hosts."""
    findings = report.blocking
    kinds = sorted({f.kind for f in findings} | {n.rule for n in report.notes})
    rules = [
        {
            "id": f"blocking-{kind}" if kind in {f.kind for f in findings} else kind,
            "helpUri": f"{DOCS}find.html",
            "shortDescription": {"text": _rule_text(kind, report.notes)},
        }
        for kind in kinds
    ]
    run = {
        "tool": {
            "driver": {
                "name": "tornado-unblock",
                "informationUri": DOCS,
                "rules": rules,
            }
        },
        "results": [*map(_sarif_finding, findings), *map(_sarif_note, report.notes)],
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    {"level": "warning", "message": {"text": str(problem)}}
                    for problem in report.problems
                ],
            }
        ],
    }
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=1)


def _rule_text(kind: str, notes: list[Note]) -> str:
    if any(note.rule == kind for note in notes):
        return f"Shared between bodies that run side by side: {kind}"
    return f"A handler blocks the event loop: {kind}"


def _sarif_finding(finding: Finding) -> dict[str, Any]:
    flow = [
        {
            "location": {
                **_location(step.path, step.line),
                "message": {"text": step.name},
            }
        }
        for step in finding.steps
    ]
    return {
        "ruleId": f"blocking-{finding.kind}",
        "level": _LEVELS[finding.severity],
        "message": {"text": _message(finding)},
        "locations": [_location(finding.path, finding.line, finding.column)],
        "codeFlows": [{"threadFlows": [{"locations": flow}]}],
        "partialFingerprints": {"tornadoUnblock/v1": finding.fingerprint},
    }


def _sarif_note(note: Note) -> dict[str, Any]:
    return {
        "ruleId": note.rule,
        "level": "note",
        "message": {"text": f"{note.message}; see {DOCS}{_html(note.link)}"},
        "locations": [_location(note.path, note.line)],
    }


def _html(link: str) -> str:
    return link.replace(".md", ".html")


def _location(path: str, line: int, column: int = 1) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(path)},
            "region": {"startLine": line, "startColumn": column},
        }
    }


def _uri(path: str) -> str:
    """Return a path from the working directory on, as code hosts want it."""
    try:
        return Path(path).absolute().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return Path(path).as_posix()


def _message(finding: Finding) -> str:
    routes = f" ({', '.join(finding.routes[:3])})" if finding.routes else ""
    way = " -> ".join(step.name for step in finding.steps)
    return (
        f"{finding.endpoint}{routes} blocks the event loop: {finding.what} "
        f"[{finding.kind}, {finding.confidence}], by {way}"
    )


def github(report: Report, verbose: bool = False) -> str:
    """Return the report as annotations of GitHub Actions."""
    lines = [
        _annotation(
            _LEVELS[f.severity], f.path, f.line, f"Blocking: {f.kind}", _message(f)
        )
        for f in report.blocking
    ]
    lines += [
        _annotation(
            "notice", n.path, n.line, n.rule, f"{n.message} ({DOCS}{_html(n.link)})"
        )
        for n in report.notes
    ]
    lines += [
        _annotation("warning", p.path, p.line, p.kind, p.message)
        for p in report.problems
    ]
    return "\n".join(lines)


def _annotation(level: str, path: str, line: int, title: str, message: str) -> str:
    place = f"file={_property(_uri(path))},line={line},title={_property(title)}"
    return f"::{level} {place}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


FORMATS: dict[str, Callable[[Report, bool], str]] = {
    "table": table,
    "json": as_json,
    "sarif": sarif,
    "github": github,
}
