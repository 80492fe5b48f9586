"""Modules by name, as an importer in a package, beside or elsewhere sees them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.scan.conftest import WriteFiles
from tornado_unblock._scan.project import Project
from tornado_unblock._scan.source import python_files, read

FILES = """
#: file top.py
#: file app/__init__.py
#: file app/a.py
#: file app/sub/__init__.py
#: file app/sub/b.py
#: file src/lib/c.py
#: file one/util.py
#: file one/main.py
#: file two/util.py
#: file two/main.py
#: file loose/redis.py
"""


@pytest.fixture
def project(code_base: WriteFiles) -> Project:
    folder = code_base(FILES)
    made = Project([folder])
    made.load(map(read, python_files([folder])))
    return made


def found(project: Project, name: str, importer: str, foreign: bool = False) -> str:
    module = project.named(importer)
    assert module is not None
    other = project.find(name, module, foreign)
    return other.name if other is not None else ""


@pytest.mark.parametrize(
    ("name", "importer", "module"),
    [
        ("app.a", "top", "app.a"),
        ("a", "app.sub.b", "app.a"),
        ("b", "app.a", "app.sub.b"),
        ("lib.c", "top", "src.lib.c"),
        ("c", "top", "src.lib.c"),
        ("util", "one.main", "one.util"),
        ("util", "two.main", "two.util"),
        ("nothing", "top", ""),
        ("top", "top", ""),
    ],
)
def test_find(project: Project, name: str, importer: str, module: str) -> None:
    """The exact name, then what is beside, then what is nearest."""
    assert found(project, name, importer) == module
    assert found(project, name, importer) == module


def test_foreign(project: Project) -> None:
    """A well-known name is somebody else's, unless a file has exactly that place."""
    assert found(project, "redis", "top", foreign=True) == ""
    assert found(project, "redis", "top") == "loose.redis"


@pytest.mark.parametrize(
    ("importer", "level", "name", "absolute"),
    [
        ("app.sub.b", 0, "x", "x"),
        ("app.sub.b", 1, "x", "app.sub.x"),
        ("app.sub.b", 2, "x", "app.x"),
        ("app.sub.b", 2, None, "app"),
        ("app.sub", 1, "b", "app.sub.b"),
        ("top", 0, None, ""),
    ],
)
def test_relative(
    project: Project, importer: str, level: int, name: str | None, absolute: str
) -> None:
    """Dots are counted from the package."""
    module = project.named(importer)
    assert module is not None
    assert Project.absolute(module, level, name) == absolute


def test_one_file_of_a_package(code_base: WriteFiles) -> None:
    """A file that is scanned alone is known by the package it is in."""
    folder = code_base(FILES)
    path = folder / "app" / "sub" / "b.py"
    project = Project([path])
    project.load(map(read, [path, Path("nowhere.py")]))
    assert [module.name for module in project.modules] == ["app.sub.b"]
    assert [problem.kind for problem in project.problems] == ["missing"]


def test_lines(project: Project) -> None:
    """A line is given as text; there are no others."""
    module = project.named("top")
    assert module is not None
    assert module.line(0) == module.line(99) == ""
