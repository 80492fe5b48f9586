"""Files as text and as trees, whatever is wrong with them.

Python 2 is read as well as it can be: what its print statements and the like are
today is put in their place, line by line, so that all else keeps its line.
"""

from __future__ import annotations

import ast
import io
import os
import re
import tokenize
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Optional

#: Folders that are not the code base.
_SKIPPED = {"__pycache__", "node_modules", "site-packages"}
#: How many lines of a Python 2 file may be left out before only its classes are read.
_MOST_DROPPED = 40

_PYTHON2 = re.compile(
    r"^\s*print(?:\s+(?![=(.,\[])\S|\s*>>)"
    r"|^\s*except\s+[\w.() ,]+,\s*\w+\s*:"
    r"|^\s*raise\s+[\w.]+\s*,"
    r"|^\s*exec\s+[\"'\w]"
    r"|\bur[\"']|\b0[0-7]+\b(?!\.)|\b\d+[lL]\b|<>|`",
    re.MULTILINE,
)
_PRINT = re.compile(
    r"^(\s*)(.*?:\s*|.*?;\s*|)print\b(?!\s*\()\s*(>>\s*[^,\n]+,?)?(.*)$"
)
_RAISE = re.compile(r"^((?:\s*|.*:\s+)raise\s+[\w.]+)\s*,\s*(.+)$")
_LONG_STRING = re.compile(r'"""(?:\\.|[^\\])*?"""' r"|'''(?:\\.|[^\\])*?'''")
_STRING = re.compile(r'"(?:\\.|[^"\\])*"' r"|'(?:\\.|[^'\\])*'")
_FUNCTION = re.compile(r"^(\s*)def\s+(\w+)")
_REWRITES = (
    (re.compile(r"^(\s*except\s+.+?),\s*(\w+)\s*:"), r"\1 as \2:"),
    (re.compile(r"^(\s*)exec\s+(?!\()(.+)$"), r"\1exec(\2)"),
    (re.compile(r"\bu?r?([\"'])(?<=ur[\"'])"), r"\1"),
    (re.compile(r"(?<![\w.])0([0-7]+)(?![\w.])"), r"0o\1"),
    (re.compile(r"\b(\d+)[lL]\b"), r"\1"),
    (re.compile(r"<>"), "!="),
    (re.compile(r"`([^`]*)`"), r"repr(\1)"),
)
_KEPT = re.compile(
    r"^class\s+(\w+)\s*(\([^)]*\))?\s*:|^(?:from\s+[\w.]+\s+import\s+[\w., ]+"
    r"|import\s+[\w., ]+)$"
)


class Problem(NamedTuple):
    """What is wrong with one file."""

    path: str
    line: int
    #: "python2", "syntax", "encoding", "unreadable", "missing" or "cyclic-import".
    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(eq=False)
class Source:
    """One file.

    Attributes:
        path: As the user knows it.
        text: All of it, as it is on the disk.
        tree: Parsed, unless that is impossible.
        problem: What is wrong with it, if anything.
    """

    path: Path
    text: str
    tree: Optional[ast.Module]
    problem: Optional[Problem] = None


def python_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the Python files that paths name or contain, each once, in order.

    A path that does not exist is yielded as it is; reading it says so.
    """
    seen = set()
    for path in paths:
        for found in _walk(path) if path.is_dir() else [path]:
            key = os.path.realpath(found)
            if key not in seen:
                seen.add(key)
                yield found


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _SKIPPED
            and not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
        )
        for name in sorted(files):
            if name.endswith(".py"):
                yield Path(folder, name)


def read(path: Path) -> Source:
    """Read and parse one file. Any thread; never raises for what the file holds."""
    try:
        if path.exists() and not path.is_file():
            raise OSError("not a regular file")
        data = path.read_bytes()
    except FileNotFoundError:
        return _broken(path, 1, "missing", "no such file")
    except OSError as error:
        return _broken(path, 1, "unreadable", f"cannot be read: {error}")
    if b"\0" in data:
        # Newer Pythons find it while they look for the encoding, older ones later.
        return _broken(path, 1, "syntax", "cannot be parsed: it contains null bytes")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except (SyntaxError, LookupError) as error:
        return _broken(path, 1, "encoding", f"unknown encoding: {error}")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return _broken(
            path, line, "encoding", f"is not {error.encoding}: {error.reason}"
        )
    return parse(path, text.replace("\r\n", "\n").replace("\r", "\n"))


def parse(path: Path, text: str) -> Source:
    """Parse text that stands in a file. Any thread."""
    try:
        return Source(path, text, _tree(text))
    except SyntaxError as error:
        if _PYTHON2.search(text) or "print" in str(error.msg):
            tree, how = _mended(text), "read as far as it goes"
            if tree is None:
                tree = _classes_only(text)
                how = "only the names of its classes, and imports, are read"
            if tree is not None:
                message = f"is Python 2 ({error.msg}): {how}"
                problem = Problem(str(path), error.lineno or 1, "python2", message)
                return Source(path, text, tree, problem)
        message = f"cannot be parsed: {error.msg}"
        return _broken(path, error.lineno or 1, "syntax", message, text)
    except (ValueError, RecursionError, MemoryError) as error:
        return _broken(path, 1, "syntax", f"cannot be parsed: {error}", text)


def _broken(path: Path, line: int, kind: str, message: str, text: str = "") -> Source:
    return Source(path, text, None, Problem(str(path), line, kind, message))


def _tree(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes, and the like
        return ast.parse(text)


def python2_tree(text: str) -> Optional[ast.Module]:
    """Return a tree of Python 2 text, line for line, or None.

    What cannot be said today is left out: a line, or the function that it is in.
    Where too much is, only the classes, with their bases, and the imports are there.
    """
    return _mended(text) or _classes_only(text)


def _mended(text: str) -> Optional[ast.Module]:
    lines = [_rewritten(line.expandtabs(8)) for line in text.split("\n")]
    for _ in range(_MOST_DROPPED):
        try:
            return _tree("\n".join(lines))
        except SyntaxError as error:
            number = (error.lineno or 1) - 1
            if number < len(lines) and lines[number].strip() not in ("", "pass"):
                lines[number] = _indent(lines[number]) + "pass"
            elif not _drop_function(lines, number):
                return None
        except (
            ValueError,
            RecursionError,
            MemoryError,
        ):  # pragma: no cover - Python 3.9
            return None
    return None


def _drop_function(lines: list[str], number: int) -> bool:
    """Leave out the body of the function that a line is in; tell whether it is in one.

    It may be the line behind one.
    """
    for start in range(min(number, len(lines) - 1), -1, -1):
        found = _FUNCTION.match(lines[start])
        if found is None:
            continue
        end = start + 1
        while end < len(lines) and (
            not lines[end].strip() or len(_indent(lines[end])) > len(found[1])
        ):
            end += 1
        if end < number or not any(line.strip() for line in lines[start + 1 : end]):
            return False
        lines[start] = f"{found[1]}def {found[2]}(*args, **kwargs): pass"
        lines[start + 1 : end] = [""] * (end - start - 1)
        return True
    return False


def _classes_only(text: str) -> Optional[ast.Module]:
    kept = [_kept(line) for line in text.split("\n")]
    try:
        return _tree("\n".join(kept)) if any(kept) else None
    except (SyntaxError, ValueError):
        return None


def _kept(line: str) -> str:
    found = _KEPT.match(line.rstrip())
    if found is None:
        return ""
    return f"class {found[1]}{found[2] or ''}: pass" if found[1] else line.rstrip()


def _rewritten(line: str) -> str:
    found = _PRINT.match(line)
    if found is not None and not line.lstrip().startswith("#"):
        rest = found[4].strip()
        # It may go on in the next line, as an expression that stands alone.
        printed = rest if _goes_on(rest) else f"print({rest.rstrip(',')})"
        line = f"{found[1]}{found[2]}{printed}"
    found = _RAISE.match(line)
    if found is not None:
        goes_on = _goes_on(found[2])
        line = f"{found[1]} from {found[2]}" if goes_on else f"{found[1]}({found[2]})"
    for pattern, replacement in _REWRITES:
        line = pattern.sub(replacement, line)
    return line


def _goes_on(text: str) -> bool:
    """Tell whether no bracket may be put behind a line: an expression goes on."""
    code = _LONG_STRING.sub("", text)
    if '"""' in code or "'''" in code:
        return True
    code = _STRING.sub("", code)
    opened = sum(map(code.count, "([{")) - sum(map(code.count, ")]}"))
    return opened > 0 or code.endswith("\\") or "#" in code


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
