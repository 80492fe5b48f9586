"""What a scan finds: the words of its report."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from tornado_unblock._scan.reach import Step
from tornado_unblock._scan.source import Problem
from tornado_unblock._scan.table import SEVERITY

#: How much a finding counts beside one that is sure.
CERTAINTY = {"seen": 1.0, "likely": 0.7, "unknown": 0.3}


@dataclass(frozen=True)
class Finding:
    """One call that blocks, on the way of one method of a handler.

    Attributes:
        endpoint: The method, by the class that defines it: `Orders.get`.
        handlers: Classes whose requests run it: that one, or its subclasses.
        routes: Their URL rules.
        path: The file of the call.
        line: Its line, from 1.
        column: Its column, from 1.
        kind: What it waits for: "network", "database" ...
        what: The function that is called, as it is written.
        rule: The same, as the table knows it; "" if only its name tells.
        source: The line of text.
        confidence: "seen", "likely" or "unknown".
        steps: The way from the method to the call, both included.
        unblocked: What moves it to a worker: "method", "class", "application" or
            "executor"; "" if nothing does.
        is_async: Whether the method is a coroutine.
        count: How often it was seen to stall the loop.
        total: For how long in all, in seconds.
    """

    endpoint: str
    handlers: tuple[str, ...]
    routes: tuple[str, ...]
    path: str
    line: int
    column: int
    kind: str
    what: str
    rule: str
    source: str
    confidence: str
    steps: tuple[Step, ...]
    unblocked: str = ""
    is_async: bool = False
    count: int = 0
    total: float = 0.0

    @property
    def severity(self) -> int:
        """3 waits for others, 2 for this machine."""
        return SEVERITY[self.kind]

    @property
    def blocks(self) -> bool:
        """Whether it blocks the loop today."""
        return not self.unblocked

    @property
    def fingerprint(self) -> str:
        """What stays the same when lines move: for a baseline."""
        parts = (self.endpoint, self.path.replace("\\", "/"), self.kind, self.source)
        # A name of a file may be of bytes that are no text.
        data = "\0".join(parts).encode("utf-8", "surrogatepass")
        return hashlib.sha256(data).hexdigest()[:20]

    @property
    def rank(self) -> tuple[float, int, int, str, str, int]:
        """What it is sorted by: time, severity, certainty, route, place."""
        certainty = CERTAINTY[self.confidence]
        first = min(self.routes, default="~")
        spent = -self.total * certainty
        return (
            spent,
            -self.severity,
            -int(certainty * 10),
            first,
            self.path,
            self.line,
        )


@dataclass(frozen=True)
class Note:
    """Something that will need attention when bodies run side by side.

    Attributes:
        rule: Its name: "global-write" ...
        path: The file.
        line: The line, from 1.
        message: What is there.
        link: The page, and its heading, that says what to do.
        endpoints: Methods of handlers that reach it.
    """

    rule: str
    path: str
    line: int
    message: str
    link: str
    endpoints: tuple[str, ...]


@dataclass(frozen=True)
class Handler:
    """One handler class.

    Attributes:
        name: The class.
        path: Its file.
        line: Its line, from 1.
        routes: Its URL rules.
        unblocked: Its methods that run on a worker, with what moves them.
        blocking: Its methods that block the loop.
    """

    name: str
    path: str
    line: int
    routes: tuple[str, ...]
    unblocked: dict[str, str]
    blocking: tuple[str, ...]


@dataclass
class Report:
    """All that a scan has to say.

    Attributes:
        files: How many files were read.
        handlers: All handler classes.
        findings: What blocks, the worst first.
        accepted: What a baseline took out of `findings`.
        notes: What will need attention.
        problems: Files with something wrong.
        dark: Places that could not be followed: file, line, what.
        missing: Modules that handlers import and that are not here, with how many
            files import each.
    """

    files: int = 0
    handlers: list[Handler] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    accepted: list[Finding] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    dark: list[tuple[str, int, str]] = field(default_factory=list)
    missing: dict[str, int] = field(default_factory=dict)

    @property
    def blocking(self) -> list[Finding]:
        """The findings that block the loop today."""
        return [finding for finding in self.findings if finding.blocks]
