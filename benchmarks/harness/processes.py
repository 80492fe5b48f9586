"""Child processes: started in a folder of their own, and stopped whatever happens."""

# Threads: one thread.
#
# Guarantees:
# - Leaving the `with Children` block stops every child, however it is left.
#   (A signal does not cut that short: see `interrupts`.)
# - A child also notices that its parent is gone: its standard input ends.
# - Reading a child's output never waits: it goes to a file.

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.harness.errors import DemoError

POLL = 0.05  # seconds between looks at a child's output
PATIENCE = 2.0  # seconds a child gets to obey SIGTERM


class Child:
    """A running process and what it has said so far."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
    ) -> None:
        self.name = name
        self._errors = folder / f"{name}.err"
        output = folder / f"{name}.out"
        with output.open("wb") as out, self._errors.open("wb") as err:
            # A session of its own: a Ctrl-C in the terminal reaches the parent alone.
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self._output = output.open(encoding="utf-8")
        self._partial = ""
        self._unread: list[str] = []

    def running(self) -> bool:
        """Tell whether the process has not ended yet."""
        return self._process.poll() is None

    def new_lines(self) -> list[str]:
        """Return the complete lines that nobody has read yet."""
        *lines, self._partial = (self._partial + self._output.read()).split("\n")
        unread, self._unread = self._unread, []
        return unread + lines

    def tell(self, line: str) -> None:
        """Write a line to the child's input."""
        assert self._process.stdin is not None  # it is a pipe
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def next_line(self, timeout: float = 30.0) -> str:
        """Wait for a line, and leave those after it to the next call.

        Raises:
            DemoError: The child ended or said nothing in time.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            alive = (
                self.running()
            )  # asked first: what it said before dying still counts
            lines = self.new_lines()
            if lines:
                line, *self._unread = lines
                return line
            if not alive:
                break
            time.sleep(POLL)
        raise DemoError(f"The {self.name} process did not start.{self.complaint()}")

    def complaint(self) -> str:
        """Return the end of what the child wrote to its error output, for a message."""
        return "".join(f"\n  {line}" for line in self.errors()[-5:])

    def errors(self) -> list[str]:
        """Return the lines that the child wrote to its error output."""
        return self._errors.read_text(encoding="utf-8", errors="replace").splitlines()

    def finish(self, timeout: float) -> None:
        """End the child's input, which asks it to come to an end, and wait for that.

        Raises:
            DemoError: It did not end in time.
        """
        self._close_input()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise DemoError(
                f"The {self.name} process does not end.{self.complaint()}"
            ) from None

    def stop(self) -> None:
        """End the process now. Harmless if it has ended already."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close_input()
        self._output.close()

    def _close_input(self) -> None:
        assert self._process.stdin is not None  # it is a pipe
        self._process.stdin.close()


class Children:
    """All processes of one `with` block.

    Args:
        folder: Where their output goes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: list[Child] = []

    def __enter__(self) -> Children:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self._children):
            child.stop()

    def start(self, name: str, command: Sequence[str], **environment: str) -> Child:
        """Start `command`; `name` names its output files and stands in messages."""
        child = Child(name, command, self._folder, environment)
        self._children.append(child)
        return child


def address(server: Child) -> str:
    """Wait until `server` prints the port it listens on, and return its URL.

    Raises:
        DemoError: It did not start.
    """
    return f"http://127.0.0.1:{server.next_line()}"
