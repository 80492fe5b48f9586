"""What will need attention when bodies run side by side."""

from __future__ import annotations

from typing import Any

from tornado_unblock._scan.findings import Note
from tornado_unblock._scan.interpret import Interpreter


def notes_of(interpreter: Interpreter, entries: list[Any]) -> list[Note]:
    return []
