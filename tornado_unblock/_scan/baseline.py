"""What a team has accepted for today, so that only what is new fails.

A file of JSON: for each finding its fingerprint, how often it is there, and where it
was, for who reads the file. Lines may move; a finding is known by its method, its file
and the text of its line.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tornado_unblock._scan.findings import Finding

_VERSION = 1


class BaselineError(Exception):
    """The file is none, or cannot be read."""


def write_baseline(findings: Iterable[Finding], file: Path) -> int:
    """Accept findings; return how many.

    Raises:
        OSError: The file cannot be written.
    """
    accepted = [
        {
            "fingerprint": finding.fingerprint,
            "endpoint": finding.endpoint,
            "path": finding.path,
            "source": finding.source,
        }
        for finding in sorted(findings, key=lambda f: (f.path, f.line, f.endpoint))
    ]
    text = json.dumps({"version": _VERSION, "accepted": accepted}, indent=1)
    file.write_text(text + "\n", encoding="utf-8")
    return len(accepted)


def split(
    findings: Iterable[Finding], file: Path
) -> tuple[list[Finding], list[Finding]]:
    """Return the findings that are new, and those that a file accepts.

    Raises:
        BaselineError: The file is no baseline.
    """
    left = _read(file)
    new: list[Finding] = []
    known: list[Finding] = []
    for finding in findings:
        if left[finding.fingerprint] > 0:
            left[finding.fingerprint] -= 1
            known.append(finding)
        else:
            new.append(finding)
    return new, known


def _read(file: Path) -> Counter[str]:
    advice = "make it with --write-baseline"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["version"] != _VERSION:
            raise BaselineError(f"{file} is a baseline of another version; {advice}")
        return Counter(str(each["fingerprint"]) for each in content["accepted"])
    except OSError as error:
        raise BaselineError(f"{file} cannot be read: {error}; {advice}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BaselineError(f"{file} is no baseline: {error!r}; {advice}") from error
