"""One story in a process of its own: its output is passed on, its end is judged."""

# Threads: the caller's, and one that reads the output.
#
# Guarantees:
# - Whatever happens in the block, the story's process has ended when it is left.
# - A story that ends wrongly, in silence or not at all is an outcome, not an error.

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Callable

from benchmarks.harness import story
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.story import NoStoryError, Story

STORIES = ("order_service", "sql_review", "load_client", "cpu_bodies", "consumer")
TICK = 0.1  # seconds between two looks at a story
PATIENCE = 20.0  # seconds a story gets to obey SIGTERM: it has children to stop
TAIL = 30  # lines that are kept for the report of a failure


@dataclass(frozen=True)
class Outcome:
    """What came of one story.

    Attributes:
        name: The story's module.
        command: What was run.
        seconds: How long it took.
        story: What it handed in, if that can be read.
        complaint: Why it failed, in a sentence; empty if it did not.
        tail: Its last lines of output.
    """

    name: str
    command: str
    seconds: float
    story: Story | None
    complaint: str
    tail: Sequence[str]

    @property
    def ok(self) -> bool:
        """Whether the story did all it promised."""
        return not self.complaint

    @property
    def title(self) -> str:
        """A headline, of the story itself if possible."""
        return self.story.title if self.story else self.name


def module(name: str) -> str:
    """Return the module of a story: one of the examples, unless it has a dot."""
    return name if "." in name else f"examples.{name}"


def run(
    name: str,
    results: Path,
    options: Sequence[str],
    limit: float,
    interrupts: Interrupts,
    show: Callable[[str | None], None],
) -> Outcome:
    """Run one story and say what came of it.

    Args:
        name: The story.
        results: The file for its results.
        options: What it is asked, such as "--quick".
        limit: Seconds after which it is stopped.
        interrupts: Lets Ctrl-C through while it runs.
        show: Called with each line of its output, and with None in between.
    """
    command = ["-m", module(name), *options]
    tail: deque[str] = deque(maxlen=TAIL)
    results.unlink(missing_ok=True)  # no results of an earlier run
    begun = time.monotonic()
    with _Process([sys.executable, *command, "--json", str(results)]) as process:
        with interrupts.allowed():
            late = not process.watch(begun + limit, tail, show)
    told, complaint = _judged(results, process.code, late, limit)
    return Outcome(
        name=name,
        command=" ".join(["python", *command]),
        seconds=time.monotonic() - begun,
        story=told,
        complaint=complaint,
        tail=list(tail),
    )


def _judged(
    results: Path, code: int, late: bool, limit: float
) -> tuple[Story | None, str]:
    told, complaint = None, ""
    try:
        told = story.read(results)
    except NoStoryError as error:
        complaint = str(error)
    if late:
        complaint = f"It was stopped after {limit:g} s."
    elif told is None and code:
        complaint = f"It ended with exit code {code} and without results."
    elif told and (code or not told.ok):
        complaint = f"Not every check held (exit code {code})."
    return told, complaint


class _Process:
    """A story's process, and a thread that reads what it prints."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def __enter__(self) -> _Process:
        # A session of its own: a Ctrl-C in the terminal reaches the parent alone.
        self._process = subprocess.Popen(
            self._command,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        assert self._process.stdout is not None  # it is a pipe
        self._reader = threading.Thread(target=self._read, args=[self._process.stdout])
        self._reader.daemon = True  # a grandchild may keep the pipe open
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(PATIENCE)

    @property
    def code(self) -> int:
        """The exit code, after the block."""
        return self._process.returncode

    def watch(
        self, deadline: float, tail: deque[str], show: Callable[[str | None], None]
    ) -> bool:
        """Pass the output on until its end; False if that does not come in time."""
        while time.monotonic() < deadline:
            try:
                line = self._lines.get(timeout=TICK)
            except queue.Empty:
                show(None)
                if self._process.poll() is not None:
                    return True  # whoever still has the pipe says nothing
                continue
            if line is None:
                return self._ended(deadline)
            tail.append(line)
            show(line)
        return False

    def _ended(self, deadline: float) -> bool:
        try:
            self._process.wait(max(TICK, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def _read(self, output: IO[str]) -> None:
        with output:
            for line in output:
                self._lines.put(line.rstrip())
        self._lines.put(None)
