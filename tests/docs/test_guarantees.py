"""docs/guarantees.md: each test that it names exists, and its tables are what runs."""

from __future__ import annotations

import ast
import contextvars
import itertools
import re
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from tornado.web import Application, RequestHandler

from tests.docs.pages import DOCS, ROOT
from tests.docs.runner import serve
from tests.patience import WAIT
from tornado_unblock import report, unblock, unblock_application
from tornado_unblock._loop.lease import innermost_lease

PAGE = DOCS / "guarantees.md"
FORMS = ("method", "class", "application")
KINDS = ("sync", "async", "decorated")
HEADER = "| form | `prepare` | verb | when it returns | when the verb raises |"

mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark")


def text() -> str:
    return PAGE.read_text(encoding="utf-8")


def names_in(path: str) -> set[str]:
    """Return the tests of a file as pytest calls them, without their parameters."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.add(node.name)
        elif isinstance(node, ast.Assign):  # the test of a state machine
            found |= {
                target.id for target in node.targets if isinstance(target, ast.Name)
            }
        elif isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}::{inner.name}"
                for inner in node.body
                if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef))
            }
    return found


def test_every_test_named_exists() -> None:
    """No guarantee leans on a test that is gone."""
    named = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", text())
    assert len(named) >= 30
    gone = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).is_file() or name not in names_in(path)
    ]
    assert gone == []


def test_every_guarantee_names_a_test() -> None:
    """Each row of the lists of promises ends with what shows it."""
    tables = text().split("| promise | shown by |")[1:]
    promises = [
        row
        for table in tables
        for row in table.partition("\n\n")[0].strip().splitlines()[1:]
    ]
    assert len(promises) >= 30
    assert [row for row in promises if "`tests/" not in row] == []


# --- the table of threads and order ---------------------------------------------


class Trace:
    """The steps of one request, and where each ran."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.threads: dict[object, set[int]] = {}
        self.contexts: list[str] = []
        self.done = threading.Event()
        self._leases: list[object] = []

    def take(self, step: str) -> None:
        """Note that ``step`` runs here: on the loop thread, or in which hop."""
        lease = innermost_lease()
        if lease is None:
            place = "loop"
        else:
            if not any(known is lease for known in self._leases):
                self._leases.append(lease)
            (number,) = [n for n, known in enumerate(self._leases) if known is lease]
            place = "abcdef"[number]
        self.threads.setdefault(place, set()).add(threading.get_ident())
        self.steps.append(f"{step} {place}")


def method(kind: str, run: Callable[[Any], None]) -> Any:
    """Return a method of the wanted kind that does ``run``."""

    async def coroutine(self: Any) -> None:
        run(self)

    def plain(self: Any) -> None:
        run(self)

    return (
        coroutine
        if kind == "async"
        else unblock(plain)
        if kind == "decorated"
        else plain
    )


def handler_class(
    trace: Trace, prepare: str, verb: str, raises: bool
) -> type[RequestHandler]:
    """Return a class whose methods are of the kinds given."""

    def run_prepare(self: RequestHandler) -> None:
        trace.take("prepare")
        self.token = mark.set("prepare")

    def run_verb(self: RequestHandler) -> None:
        trace.take("verb")
        trace.contexts.append(mark.get("lost"))
        mark.set("verb")
        if raises:
            raise ValueError("as asked")
        self.write("done")

    def write_error(self: RequestHandler, status_code: int, **kwargs: Any) -> None:
        trace.take("write_error")
        self.finish("failed")

    def on_finish(self: RequestHandler) -> None:
        trace.take("on_finish")
        trace.contexts.append(mark.get("lost"))
        mark.reset(self.token)
        trace.contexts.append(mark.get("reset"))
        trace.done.set()

    names = {
        "prepare": method(prepare, run_prepare),
        "get": method(verb, run_verb),
        "write_error": write_error,
        "on_finish": on_finish,
    }
    return type("Combined", (RequestHandler,), names)


def make(form: str, prepare: str, verb: str, raises: bool) -> tuple[Application, Trace]:
    trace = Trace()
    with warnings.catch_warnings():
        # The method form says that hooks stay behind; here they are meant to.
        warnings.simplefilter("ignore")
        cls = handler_class(trace, prepare, verb, raises)
        if form == "class":
            cls = unblock(cls)
        app = Application([("/", cls)])
        return (unblock_application(app) if form == "application" else app), trace


def run(form: str, prepare: str, verb: str, raises: bool) -> Trace:
    app, trace = make(form, prepare, verb, raises)
    with serve(app) as client:
        response = client.get("/")
        assert trace.done.wait(WAIT)
    assert (response.status, response.text) == (
        (500, "failed") if raises else (200, "done")
    )
    return trace


def written() -> dict[tuple[str, str, str], tuple[str, str]]:
    """Return the rows of the page's table."""
    _, _, after = text().partition(HEADER)
    rows: dict[tuple[str, str, str], tuple[str, str]] = {}
    for line in after.strip().splitlines()[1:]:
        if not line.startswith("|"):
            break
        form, prepare, verb, returns, fails = (
            cell.strip() for cell in line.strip("|").split("|")
        )
        rows[form, prepare, verb] = (returns, fails)
    return rows


def cell(trace: Trace) -> str:
    return ", ".join(trace.steps)


COMBINATIONS = list(itertools.product(FORMS, KINDS, KINDS))


@pytest.mark.parametrize("raises", [False, True], ids=["returns", "raises"])
@pytest.mark.parametrize(("form", "prepare", "verb"), COMBINATIONS)
def test_threads_and_order(
    form: str, prepare: str, verb: str, raises: bool, allow_log: Any
) -> None:
    """What each combination runs where, in which order, is what the page says."""
    if raises:
        allow_log("tornado.application", "Uncaught exception GET /")
        allow_log("tornado.access", "500 GET /")
    trace = run(form, prepare, verb, raises)
    assert cell(trace) == written()[form, prepare, verb][raises]
    assert trace.contexts == ["prepare", "verb", "reset"]
    # A hop has one thread, and the loop's is no worker's.
    assert all(len(threads) == 1 for threads in trace.threads.values())
    hops = {name for name in trace.threads if name != "loop"}
    assert all(
        trace.threads["loop"] != trace.threads[hop]
        for hop in hops
        if "loop" in trace.threads
    )


@pytest.mark.parametrize(("form", "prepare", "verb"), COMBINATIONS)
def test_report_says_the_same(form: str, prepare: str, verb: str) -> None:
    """What `report` says of a combination is what the page's table says."""
    app, _ = make(form, prepare, verb, False)
    (row,) = report(app)
    steps = dict(step.split() for step in written()[form, prepare, verb][0].split(", "))
    where = {"loop": "loop"}
    assert (row.prepare, row.body) == (
        where.get(steps["prepare"], "worker"),
        where.get(steps["verb"], "worker"),
    )


def test_the_table_is_complete() -> None:
    """It has a row for each combination, and no other."""
    assert list(written()) == COMBINATIONS
