"""`python -m tornado_unblock fix`: shows, or writes, what the rules make of files."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from tornado_unblock._scan.fixes import RULES, Facts, Left
from tornado_unblock._scan.fixes.calls import called
from tornado_unblock._scan.fixes.edits import lines_of
from tornado_unblock._scan.formats import many, say
from tornado_unblock._scan.frames import Frame
from tornado_unblock._scan.project import Class
from tornado_unblock._scan.reach import Found
from tornado_unblock._scan.scan import Entry, Scan, room
from tornado_unblock._scan.settings import SettingsError, read_settings, with_bases
from tornado_unblock._scan.source import Source, parse, python_files, read

UNCHANGED, CHANGES, WRONG, UNREAD = 0, 1, 2, 3
DEFAULT = "application"
# How many methods are named at most.
_MOST = 8

_EXIT_CODES = f"""exit codes: {UNCHANGED}: nothing to change, or written; {CHANGES}:
there are changes, and without --write they were only shown; {WRONG}: the command makes
no sense; {UNREAD}: files could not be read or written"""


def main(arguments: Sequence[str]) -> int:
    """Fix, print, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _fix(options)
    except (SettingsError, OSError) as error:
        say(f"fix: {error}", sys.stderr)
        return WRONG


class Change:
    """What the rules make of one file.

    Args:
        source: The file, as it is.
    """

    def __init__(self, source: Source) -> None:
        self.source = self.changed = source
        self.left: list[tuple[str, Left]] = []

    def use(self, name: str, facts: Facts) -> bool:
        """Use one more rule; return whether it has changed the text."""
        before = self.changed.text
        result = RULES[name](before, facts)
        self.left += [(name, left) for left in result.left]
        if result.text == before:
            return False
        self.changed = parse(self.source.path, result.text)
        return True

    @property
    def is_changed(self) -> bool:
        """Whether they make anything else of it."""
        return self.changed is not self.source

    @property
    def diff(self) -> str:
        """The change, as a patch."""
        name = str(self.source.path)
        lines = difflib.unified_diff(
            lines_of(self.source.text),
            lines_of(self.changed.text),
            name,
            name,
        )
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _fix(options: Any) -> int:
    for path in options.paths:
        if not path.exists():
            raise SettingsError(f"there is no {path}")
    names = [name for name in RULES if name in (options.rule or [DEFAULT])]
    changes = [Change(read(path)) for path in python_files(options.paths)]
    stays: Sequence[str] = ()
    readable = [one for one in changes if one.source.problem is None]
    facts: Optional[dict[str, Facts]] = None
    for name in names:
        # Anew where a rule has moved lines, and what runs where; `legacy` asks no scan.
        if facts is None and name != "legacy":
            facts, stays = _facts(options, [one.changed for one in changes])
        told = Facts(called=_called(changes)) if name == "legacy" else Facts()
        used = [
            one.use(name, (facts or {}).get(str(one.source.path), told))
            for one in readable
        ]
        if any(used):
            facts = None
    # First all files, and only then what may fail: a pipe is closed, say.
    unread = _write_all(readable) if options.write else []
    unread += [str(one.source.problem) for one in changes if one.source.problem]
    _show(changes, unread)
    if stays and {"application", "class"} & set(names):
        say(_still_blocks(stays), sys.stderr)
    if unread:
        return UNREAD
    changed = any(one.is_changed for one in changes)
    return CHANGES if changed and not options.write else UNCHANGED


def _called(changes: Sequence[Change]) -> tuple[tuple[str, str], ...]:
    sources = [one.source for one in changes]
    return called((str(one.path), one.tree) for one in sources if one.tree is not None)


def _write_all(changes: Sequence[Change]) -> list[str]:
    """Write what has changed; return what could not be written."""
    failed = []
    for one in changes:
        try:
            if one.is_changed:
                write(one.source.path, one.changed.text)
        except (OSError, UnicodeError) as error:
            failed.append(f"{one.source.path}: cannot be written: {error}")
    return failed


def _show(changes: Sequence[Change], problems: Sequence[str]) -> None:
    for problem in problems:
        say(problem, sys.stderr)
    for one in changes:
        for name, left in one.left:
            where = f"{one.source.path}:{left.line}"
            say(f"{where}: {name}: not changed: {left.why}", sys.stderr)
        if one.is_changed:
            say(one.diff, end="")


def _still_blocks(stays: Sequence[str]) -> str:
    shown = ", ".join(stays[:_MOST]) + (", ..." if len(stays) > _MOST else "")
    return (
        f"fix: {many(len(stays), 'method')} of handlers will still block, since "
        f"coroutines, their hooks, and initialize stay on the loop thread: {shown}. "
        "Await what blocks in coroutines, with run_in_executor or a shim; `scan` shows "
        "it"
    )


def write(path: Path, text: str) -> None:
    """Put a text into a file: all of it or nothing; only lines that are new change.

    Args:
        path: Of the file; its encoding and its mode stay.
        text: Its lines end as `read` has them.
    """
    data = path.read_bytes()
    encoding = _encoding(data)
    new = _with_ends(text, data.decode(encoding)).encode(encoding)
    path = path.resolve()  # a link stays one
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "wb") as file:
            file.write(new)
        os.chmod(temporary, path.stat().st_mode & 0o7777)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _with_ends(text: str, old: str) -> str:
    """Return a text whose lines end as those of the old one did."""
    lines, new = lines_of(old), lines_of(text)
    bare = [line.rstrip("\r\n") for line in lines]
    ends = [line[len(words) :] for line, words in zip(lines, bare)]
    kinds = sorted(set(ends) - {""})
    usual = max(kinds, key=ends.count, default="\n")
    if len(kinds) < 2:
        return text.replace("\n", usual)
    words = [line.rstrip("\n") for line in new]
    matcher = difflib.SequenceMatcher(None, bare, words, autojunk=False)
    for _, begin, end, first, last in matcher.get_opcodes():
        for at in range(first, last):
            of = begin + at - first
            own = ends[of] if of < end else ""
            new[at] = new[at].replace("\n", own or usual)
    return "".join(new)


def _encoding(data: bytes) -> str:
    import io
    import tokenize

    return tokenize.detect_encoding(io.BytesIO(data).readline)[0]


# --- what the rules are told -------------------------------------------------------


def _facts(
    options: Any, sources: Sequence[Source]
) -> tuple[dict[str, Facts], Sequence[str]]:
    """Scan; return facts by file, and what blocks and will."""
    first = options.paths[0]
    settings = read_settings(first if first.is_dir() else first.parent)
    with room():
        bases = with_bases(settings, options.handler_base)
        scan = Scan(list(options.paths), bases, sources)
        entries = scan.entries()
        runs, applications = _runs(scan, entries), _applications(scan)
        facts = {
            module.path: Facts(
                applications=applications,
                classes=frozenset(_classes(scan, entries, module.path)),
                unblocked=scan.unblocked_by(module.path),
                on_loop=frozenset(_packages(runs, module.path, on_loop=True)),
                on_workers=frozenset(_packages(runs, module.path, on_loop=False)),
                leaves=tuple(_leaves(scan, entries, runs, module.path).items()),
            )
            for module in scan.project.modules
        }
        return facts, sorted({e.endpoint for e in entries if e.found and e.stays})


def _applications(scan: Scan) -> frozenset[str]:
    """Return the dotted names of the project's classes that are applications."""
    return frozenset(
        f"{module.name}.{cls.name}"
        for module in scan.project.modules
        for cls in scan.handlers.classes(module)
        if "tornado.web.Application" in scan.interpreter.mro(cls)
    )


def _classes(scan: Scan, entries: list[Entry], path: str) -> set[int]:
    """Return the lines of the handlers in a file that block; the bases are enough."""
    blocking = {
        entry.cls
        for entry in entries
        if entry.found and not entry.unblocked and not entry.stays
        if entry.name != "log_function"  # of all of them
        if scan.handlers.is_handler(entry.cls)  # and no UI module
    }
    return {
        cls.node.lineno
        for cls in blocking
        if cls.module.path == path and not _by_base(scan, cls, blocking)
    }


def _by_base(scan: Scan, cls: Class, blocking: set[Class]) -> bool:
    return any(base in blocking for base in scan.interpreter.mro(cls)[1:])


class _Run(NamedTuple):
    """What one entry reaches, or what the loop is given besides."""

    on_loop: bool
    found: list[Found]
    frames: list[Frame]


def _runs(scan: Scan, entries: list[Entry]) -> list[_Run]:
    runs = [_Run(not entry.unblocked, entry.found, entry.frames) for entry in entries]
    return [*runs, _Run(True, *scan.on_loop())]


def _packages(runs: list[_Run], path: str, on_loop: bool) -> set[str]:
    """Return the packages whose calls in a file are reached on the loop, or not."""
    return {
        _package(each.leaf.path)
        for run in runs
        if run.on_loop is on_loop
        for each in run.found
        if each.steps[-1].path == path
    }


def _package(path: str) -> str:
    """Return the package that a path of the table is from."""
    return path.partition(".")[0].partition("(")[0]


def _leaves(
    scan: Scan, entries: list[Entry], runs: list[_Run], path: str
) -> dict[int, bool]:
    """Return the functions of a file that block, and whether only workers call them."""
    found: dict[int, bool] = {}
    methods = {id(entry.node) for entry in entries}
    for run in runs:
        lines = {each.leaf.line for each in run.found}
        for frame in run.frames:
            node: Optional[Any] = frame.node
            if frame.module.path != path or id(node) in methods:
                continue
            if frame.cls is not None and scan.handlers.is_handler(frame.cls):
                continue
            blocks = frame.edges is not None and any(
                leaf.line in lines for leaf in frame.edges.leaves
            )
            if blocks and hasattr(node, "decorator_list"):
                line = frame.node.lineno
                found[line] = found.get(line, True) and not run.on_loop
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m tornado_unblock fix",
        description="Show what to change, as a diff; change it with --write.",
        epilog=_EXIT_CODES,
    )
    option = parser.add_argument
    option("paths", nargs="+", type=Path, metavar="PATH", help="files and folders")
    option("--write", action="store_true", help="change the files")
    option(
        "--rule",
        action="append",
        choices=list(RULES),
        help=f"what to do, more than once if need be ({DEFAULT})",
    )
    option(
        "--handler-base",
        action="append",
        default=[],
        metavar="NAME",
        help="a class whose subclasses are handlers, with or without its module",
    )
    return parser
