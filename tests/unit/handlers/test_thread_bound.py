"""What `initialize` opens for its thread is told when its class is unblocked."""

from __future__ import annotations

import re
import sqlite3
import threading
import types
import warnings
from typing import Any

import pytest
from tornado.web import Application, RequestHandler

from tornado_unblock import unblock, unblock_application

local = threading.local()


class Registry:
    """As a `scoped_session` of SQLAlchemy has one."""

    def __init__(self) -> None:
        self.registry = local


class Scoped:
    """As a `scoped_session` of SQLAlchemy is made."""

    def __init__(self) -> None:
        self.registry = Registry()

    def __call__(self) -> object:
        return object()


Session = Scoped()
models = types.ModuleType("models")
models.Session = Session  # type: ignore[attr-defined]
settings = {"a": 1}


class UsesLocal(RequestHandler):
    def initialize(self) -> None:
        local.session = object()


class UsesScoped(RequestHandler):
    def initialize(self) -> None:
        self.session = Session()


class UsesScopedOfModule(RequestHandler):
    def initialize(self) -> None:
        self.session = models.Session()


class UsesSqlite(RequestHandler):
    def initialize(self) -> None:
        self.database = sqlite3.connect(":memory:")


class Inherits(UsesScoped):
    def get(self) -> None: ...


class Harmless(RequestHandler):
    def initialize(self, key: str = "") -> None:
        self.value = settings.get(key), sqlite3.sqlite_version
        self.other = threading, types.Unknown  # type: ignore[attr-defined]

    def prepare(self) -> None:
        self.session = Session()


USING = [
    (UsesLocal, "local"),
    (UsesScoped, "Session"),
    (UsesScopedOfModule, "models.Session"),
    (UsesSqlite, "sqlite3.connect"),
    (Inherits, "Session"),
]


def told(what: Any, *args: Any, **kwargs: Any) -> list[Any]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        what(*args, **kwargs)
    assert all(warning.filename == __file__ for warning in caught)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize(("cls", "name"), USING)
def test_told_once(cls, name):
    """By class, line and name, and with what to do instead; by class or application."""
    where = "UsesScoped" if cls is Inherits else cls.__qualname__
    expected = (
        rf"{where}\.initialize \(.*test_thread_bound\.py:\d+\) uses {re.escape(name)}, "
        r"which each thread .* prepare instead"
    )
    (by_class,) = told(unblock, type("Handler", (cls,), {}))
    assert re.match(expected, by_class)
    app = Application([("/one", cls), ("/two", cls)])
    (by_application,) = told(unblock_application, app)
    assert by_application == by_class


def test_not_told():
    """Of what is harmless, left out, or no handler."""
    app = Application([("/x", UsesLocal), ("/y", Harmless), ("/z", print)])
    assert told(unblock, type("Handler", (Harmless,), {})) == []
    assert told(unblock_application, app, routes={"/x": None}) == []
