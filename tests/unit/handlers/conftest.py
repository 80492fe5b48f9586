"""Handlers that several files of tests use."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tornado.web import (
    RequestHandler,
)
from tornado.websocket import WebSocketHandler

from tests.unit.gates import Gate
from tornado_unblock import (
    AbandonedError,
    cancelled,
    unblock,
)

TIMEOUT = 0.05  # seconds; bodies wait for events, not for this


def slow_handler(gate: Gate, **more: Any) -> type[RequestHandler]:
    """A handler whose body outlives its timeout, and then tries to write."""

    class Slow(RequestHandler):
        @unblock(timeout=TIMEOUT)
        def get(self) -> None:
            self.write("partial")
            self.set_cookie("seen", "yes")
            gate.hold()
            gate.notes.append(cancelled())
            for attempt in (
                lambda: self.write("late"),
                self.finish,
                lambda: self.render_late(),
                lambda: self.redirect("/elsewhere"),
                self.flush,
            ):
                try:
                    attempt()
                except AbandonedError as error:
                    gate.notes.append(str(error))

        def render_late(self) -> None:
            self.finish("late")

        def on_finish(self) -> None:
            gate.notes.append(threading.current_thread().name)
            gate.notes.append(self._finished)
            gate.done.set()

    for name, value in more.items():
        setattr(Slow, name, value)
    return Slow


@pytest.fixture
def timeout_logs(expect_log):
    expect_log("tornado.application", r"(?s)Slow.get: still running after 0.05 s.*hold")
    expect_log("tornado.general", r"504 GET / .*Slow.get ran longer than 0.05 s")
    expect_log("tornado.access", "504 GET /")


class Where(RequestHandler):
    def get(self) -> None:
        self.write(threading.current_thread().name)


class AsyncWhere(RequestHandler):
    async def get(self) -> None:
        self.write(threading.current_thread().name)


class NotFound(RequestHandler):
    def prepare(self) -> None:
        self.set_status(404)
        self.finish("nothing here, says " + threading.current_thread().name)


class Socket(WebSocketHandler):
    def on_message(self, message: Any) -> None: ...
