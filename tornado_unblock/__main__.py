"""`python -m tornado_unblock`: the commands. Each is imported when it is called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

PROGRAM = "python -m tornado_unblock"


class Command(NamedTuple):
    """One command: where its ``main(arguments) -> int`` is, and what it does."""

    module: str
    summary: str


COMMANDS = {
    "scan": Command("tornado_unblock._scan.cli", "which handlers block, in the source"),
    "fix": Command("tornado_unblock._scan.fix_cli", "unblock them, as a diff"),
    "watch": Command("tornado_unblock._stalls.attach", "which stall a running server"),
    "jobs": Command("tornado_unblock.jobs.cli", "work that outlives its request"),
}


def usage() -> str:
    """Return what can be called."""
    width = max(map(len, COMMANDS))
    rows = (f"  {name:<{width}}  {c.summary}" for name, c in COMMANDS.items())
    lines = [f"usage: {PROGRAM} COMMAND ...", "", *rows, ""]
    return "\n".join([*lines, f"{PROGRAM} COMMAND --help tells more"])


def main(arguments: Sequence[str]) -> int:
    """Call a command and return its exit code; 2 where there is none."""
    name, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    if name in ("-h", "--help"):
        print(usage())
        return 0
    command = COMMANDS.get(name)
    if command is None:
        if name:
            print(f"tornado_unblock: there is no command {name!r}", file=sys.stderr)
        print(usage(), file=sys.stderr)
        return 2
    try:
        module = importlib.import_module(command.module)
    except ModuleNotFoundError as missing:
        print(_missing(name, missing), file=sys.stderr)
        return 2
    code: int = module.main(rest)
    return code


def _missing(name: str, missing: ModuleNotFoundError) -> str:
    if (missing.name or "").partition(".")[0] == "tornado_unblock":
        return f"tornado_unblock: this version has no command {name!r} ({missing})"
    return (
        f"tornado_unblock: {name} needs {missing.name}, which is not installed: "
        f"pip install 'tornado-unblock[{name}]'"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
