"""Files with something wrong: named, and the rest is read."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tornado_unblock._scan.source import parse, python2_tree, python_files, read

PLAIN = "x = 1\n"


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (b"def f(:\n", "syntax", "cannot be parsed"),
        (b"# coding: klingon\n", "encoding", "unknown encoding"),
        (b"# coding: utf-8\nx = '\xff'\n", "encoding", "utf-8"),
        (b"x = 1\0\n", "syntax", "cannot be parsed"),
        (b"-" * 100000 + b"1", "syntax", "cannot be parsed"),
        (b"(" * 5000 + b")" * 5000, "syntax", "cannot be parsed"),
        (b"\xef\xbb\xbf# coding: latin-1\n", "encoding", "unknown encoding"),
    ],
)
def test_broken(tmp_path: Path, data: bytes, kind: str, message: str) -> None:
    """What cannot be read is named, with what is wrong."""
    path = tmp_path / "broken.py"
    path.write_bytes(data)
    source = read(path)
    assert source.tree is None
    assert source.problem is not None
    assert (source.problem.kind, source.problem.path) == (kind, str(path))
    assert message in source.problem.message
    assert str(source.problem).startswith(f"{path}:")


def test_line_of_a_bad_byte(tmp_path: Path) -> None:
    """A byte that is none of the encoding's is found by its line."""
    path = tmp_path / "bad.py"
    path.write_bytes(b"a = 1\nb = '\xe9'\n")
    problem = read(path).problem
    assert problem is not None
    assert problem.line == 2


def test_missing(tmp_path: Path) -> None:
    """A file that is not there is named."""
    problem = read(tmp_path / "nowhere.py").problem
    assert problem is not None
    assert problem.kind == "missing"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_no_regular_file(tmp_path: Path) -> None:
    """A pipe is not waited for."""
    path = tmp_path / "pipe.py"
    os.mkfifo(path)
    problem = read(path).problem
    assert problem is not None
    assert problem.kind == "unreadable"


def test_encodings(tmp_path: Path) -> None:
    """Declared encodings, a mark at the beginning, and all line ends are read."""
    latin = tmp_path / "latin.py"
    latin.write_bytes("# coding: latin-1\r\nx = 'é'\r\n".encode("latin-1"))
    marked = tmp_path / "marked.py"
    marked.write_bytes(b"\xef\xbb\xbfx = 1\r")
    assert read(latin).text == "# coding: latin-1\nx = 'é'\n"
    assert read(marked).tree is not None


@pytest.mark.parametrize(
    "line",
    [
        'print "x"',
        'print "x",',
        'print >>sys.stderr, "x"',
        "print",
        'if x: print "y"',
        "raise ValueError, 'x'",
        "x = `y`",
        "x = 0755",
        "x = 10L",
        "x = a <> b",
        'exec "x = 1"',
        "x = ur'a'",
    ],
)
def test_python2_lines(line: str) -> None:
    """What Python 2 wrote differently is put right, and nothing else is lost."""
    text = f"import sys\n{line}\nprint 1\nclass A(B):\n    def get(self): pass\n"
    source = parse(Path("old.py"), text)
    assert source.problem is not None
    assert source.problem.kind == "python2"
    assert source.tree is not None
    assert source.tree.body[-1].lineno == 4


def test_python2_except_and_tabs() -> None:
    """Handlers of exceptions, prints over lines, and mixed tabs are read."""
    text = (
        "def f():\n\ttry:\n\t    g()\n        except (A, B), e:\n"
        '\t    print "a %s" % (\n\t\te,\n\t    )\n'
    )
    tree = python2_tree(text)
    assert tree is not None
    assert "except (A, B) as e" in __import__("ast").unparse(tree)


def test_python2_classes_only() -> None:
    """Where too much is unreadable, classes, bases and imports are kept."""
    bad = "\n".join(f"print >>, {n} $" for n in range(100))
    tree = python2_tree(f"import a\nclass A(a.B):\n  x = 1\n{bad}\nclass C: pass\n")
    assert tree is not None
    assert [type(node).__name__ for node in tree.body] == [
        "Import",
        "ClassDef",
        "ClassDef",
    ]


def test_python2_indents() -> None:
    """A line that is no Python even without what it does ends the attempt."""
    tree = python2_tree("import a\nprint 'x'\n        y = 1\n")
    assert tree is not None
    assert [type(node).__name__ for node in tree.body] == ["Import"]


def test_python2_broken_classes() -> None:
    """Where not even those hold together, there is no tree."""
    assert python2_tree("class A($): pass\n" + "print $$ `\n" * 100) is None


def test_python2_nothing() -> None:
    """Where nothing at all is readable, there is no tree."""
    source = parse(Path("old.py"), "print $$ `\n" * 100)
    assert source.tree is None
    assert source.problem is not None
    assert source.problem.kind == "syntax"


def test_python_files(tmp_path: Path) -> None:
    """Environments, hidden folders and what is no Python are left out; each once."""
    for name in (
        "a.py",
        "b/c.py",
        ".git/d.py",
        "venv/pyvenv.cfg",
        "venv/e.py",
        "f.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(PLAIN)
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "g.py").write_text(PLAIN)
    found = list(python_files([tmp_path, tmp_path / "a.py", tmp_path / "none.py"]))
    names = [path.relative_to(tmp_path).as_posix() for path in found]
    assert names == ["a.py", "b/c.py", "none.py"]
