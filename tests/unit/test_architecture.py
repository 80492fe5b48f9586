"""The shape of the library: who imports whom, who opens which door, what is public."""

from __future__ import annotations

import ast
import builtins
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.util import import_object

import tornado_unblock

PACKAGE = Path(tornado_unblock.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
TREES = {path: ast.parse((PACKAGE / path).read_text()) for path in MODULES}
#: Nine in ten functions are no longer than this; tests/packaging holds the limit.
USUAL_FUNCTION_LINES = 25
#: The ways between the loop thread and the workers, and who may use them.
DOORS = {
    "call_soon_threadsafe": {
        "_loop.futures",
        "_loop.portal",
        "_shutdown.signals",
        "_stalls.clock",
    },
    "run_coroutine_threadsafe": set(),
    "run_in_executor": set(),
    "submit": {"_executors.processes", "_offload.offload", "_offload.remote"},
    # The last one is the HTTP method.
    "put": {
        "_executors.threads",
        "_offload.offload",
        "shim._crossing.lane",
        "shim.requests._session",
    },
}

Function = (ast.FunctionDef, ast.AsyncFunctionDef)
Definition = (*Function, ast.ClassDef)

by_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.as_posix())


def name_of(path: Path) -> str:
    """Return what the table of ranks calls a module: a package goes by its name."""
    parts = list(path.with_suffix("").parts)
    if len(parts) > 1 and parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def imports(path: Path) -> Iterator[str]:
    """Return the modules of the package that a module imports, wherever it does."""
    known = {name_of(path) for path in MODULES}
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports say where from"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, inner = name.partition(".")
            if package == "tornado_unblock":
                while inner and inner not in known:
                    inner = inner.rpartition(".")[0]
                yield inner or "__init__"


def test_the_package_imports_only_names():
    """`__init__` gathers, and names what it has gathered; nothing is defined there."""
    *body, loop, clean_up = TREES[Path("__init__.py")].body[1:]
    assert {type(node) for node in body} == {ast.ImportFrom, ast.Assign}
    assert (type(loop), type(clean_up)) == (ast.For, ast.Delete)
    assert "__init__" not in set(imports(Path("__init__.py")))


#: What only some programs need, or only later, and is slow to import. A program that
#: imports the library waits for none of it; tornado.web brings none of it either.
NOT_AT_START = {
    "concurrent.futures.process",
    "difflib",
    "importlib.metadata",
    "multiprocessing.context",
    "multiprocessing.queues",
    "sqlite3",
    "tornado.websocket",
    "tornado.wsgi",
    "wrapt",
}


def test_what_is_not_imported_at_start(child_env, tmp_path):
    """The library is quick to import; of its own, what serves some is left out too."""
    code = (
        "import sys, tornado.web\n"
        "before = set(sys.modules)\n"
        "import tornado_unblock\n"
        "print(*sys.modules.keys() - before)"
    )
    command = [sys.executable, "-c", code]
    brought = subprocess.run(
        command, env=child_env, cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.split()
    assert NOT_AT_START.isdisjoint(brought)
    rooms = ("_scan", "jobs", "prometheus", "shim", "status", "testing")
    own = tuple(f"tornado_unblock.{room}" for room in rooms)
    assert [name for name in brought if name.startswith(own)] == []
    # Each costs as much to find as it takes to run.
    assert {
        name for name in brought if name.startswith("tornado_unblock._stalls.")
    } == {
        "tornado_unblock._stalls.records",
        "tornado_unblock._stalls.watching",
    }


def attributes(path: Path) -> set[str]:
    """Return the names of all the attributes that a module uses."""
    return {n.attr for n in ast.walk(TREES[path]) if isinstance(n, ast.Attribute)}


@pytest.mark.parametrize(("door", "keepers"), DOORS.items())
def test_doors(door, keepers):
    """Each way between loop thread and workers is used by its keepers alone."""
    users = {name_of(path) for path in MODULES if door in attributes(path)}
    assert users == keepers


def test_threads_are_started_in_one_module():
    """No module but `_executors.threads` makes a thread or a pool of its own."""
    made = {
        name_of(path)
        for path in MODULES
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("Thread", "Timer", "ThreadPoolExecutor")
    }
    assert made <= {"_executors.threads"}


def test_most_functions_are_short():
    """Nine in ten can be read at a glance."""
    sizes = [
        node.body[-1].end_lineno - node.body[bool(ast.get_docstring(node))].lineno + 1
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, Function) and len(node.body) > bool(ast.get_docstring(node))
    ]
    assert sum(size <= USUAL_FUNCTION_LINES for size in sizes) >= 0.9 * len(sizes)


def definitions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Return what a module defines and what its classes do, with dotted names."""
    for node in tree.body:
        if isinstance(node, Definition):
            yield node.name, node
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, Definition):
                    yield f"{node.name}.{inner.name}", inner


def is_public(name: str) -> bool:
    return not any(part.startswith("_") for part in name.split("."))


@by_module
def test_docstrings(path):
    """Each module says what it is for, and so does each public name in it."""
    tree = TREES[path]
    assert ast.get_docstring(tree)
    bare = [
        name
        for name, node in definitions(tree)
        if is_public(name)
        and not ast.get_docstring(node)  # type: ignore[arg-type]
        and not any(
            isinstance(d, ast.Name) and d.id == "overload"
            for d in node.decorator_list  # type: ignore[attr-defined]
        )
    ]
    assert bare == []


def raised(tree: ast.AST) -> Iterator[str]:
    """Return the exceptions named in the `Raises` sections of a module."""
    for node in ast.walk(tree):
        if isinstance(node, (*Definition, ast.Module)):
            text = ast.get_docstring(node) or ""
            for section in re.findall(r"^Raises:\n((?:    .*\n?|\n)+)", text, re.M):
                yield from re.findall(r"^    ([\w.]+):", section, re.M)


def exception_named(name: str, path: Path) -> object:
    module = importlib.import_module(f"tornado_unblock.{name_of(path)}".rstrip("."))
    package = importlib.import_module(module.__package__ or module.__name__)
    for namespace in map(vars, (builtins, tornado_unblock, package, module)):
        if name in namespace:
            return namespace[name]
    return import_object(name)


@by_module
def test_raises_sections(path):
    """Every exception that a docstring promises exists, and is one."""
    if path == Path("jobs/broker.py"):
        pytest.importorskip("dramatiq")  # it needs Python 3.10
    for name in raised(TREES[path]):
        error = exception_named(name, path)
        assert isinstance(error, type), name
        assert issubclass(error, BaseException), name


def test_raises_sections_are_found():
    """The search knows a section when it sees one."""
    found = set(raised(TREES[Path("_offload/run_in_executor.py")]))
    assert {"TypeError", "RejectedError", "RunTimeoutError"} <= found


def test_all_of_the_package():
    """`__all__` is what a user can import: sorted, complete, and nothing private."""
    names = tornado_unblock.__all__
    assert sorted(names) == names
    assert len(set(names)) == len(names)
    imported = {
        alias.asname or alias.name
        for node in TREES[Path("__init__.py")].body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == set(names)
    assert all(is_public(name) and hasattr(tornado_unblock, name) for name in names)


def test_version():
    """The package says which version it is."""
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.?\w+)*", tornado_unblock.__version__)
    assert (PACKAGE / "py.typed").exists()


# -- the tests -----------------------------------------------------------------------

UNIT = Path(__file__).parent
#: Files of tests that are about the package as a whole.
ABOUT_THE_PACKAGE = {"test_architecture", "test_pytest_plugin"}
#: What shows only as a whole is tested as a whole; keep it short.
TESTED_TOGETHER: dict[str, list[str]] = {}


def where_tested(path: Path) -> str:
    """Return the file of tests of a module: `limits/test_limiter`, and so on.

    A facade of the shim is one module here, though it may be a package; what all the
    facades cross by is tested beside them.
    """
    parts = [part.strip("_") for part in path.with_suffix("").parts]
    if parts[0] == "shim":
        parts = ["shim", parts[2] if parts[1] == "crossing" else parts[1]]
    *room, module = parts
    return "/".join([*room, f"test_{module}"])


def test_modules_have_tests_of_their_name():
    """Each module has its file of tests, and may have more: `test_portal_end.py`."""
    modules = {where_tested(p) for p in MODULES if not p.match("__init__.py")}
    files = {
        path.relative_to(UNIT).with_suffix("").as_posix()
        for path in UNIT.rglob("test_*.py")
    } - ABOUT_THE_PACKAGE
    together = {
        f"{file.partition('/')[0]}/test_{name}"
        for file, names in TESTED_TOGETHER.items()
        for name in names
    }
    untested = {m for m in modules if not any(covers(f, m) for f in files)}
    assert untested == together, "write tests for these, in files of these names"
    nameless = {f for f in files if not any(covers(f, m) for m in modules)}
    assert nameless <= set(TESTED_TOGETHER), "name these after what they test"


def covers(file: str, module: str) -> bool:
    return file == module or file.startswith(f"{module}_")
