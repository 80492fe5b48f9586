"""`SystemExit` and the like from what makes an error page: the client is answered."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tornado.web import HTTPError, RequestHandler

from tests.patience import WAIT
from tests.unit.conftest import all_quiet
from tests.unit.test_errors import RudeExit
from tornado_unblock import AbandonedError, unblock, unblock_application
from tornado_unblock._handlers.error_page import answer_error


class Failing(RequestHandler):
    """It fails, and its error page as well."""

    exit: Any

    def get(self) -> None:
        raise LookupError

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.write("half a page")
        raise self.exit()


class FailingEarly(Failing):
    """The same, before there is a status."""

    def log_exception(self, *args: Any) -> None:
        raise self.exit()


class FailingLate(Failing):
    """The same, once headers have been sent."""

    def get(self) -> None:
        self.write("begun")
        self.flush()
        raise LookupError

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        raise self.exit()


@pytest.mark.parametrize("exit", [SystemExit, KeyboardInterrupt, RudeExit])
@pytest.mark.parametrize("cls", [Failing, FailingEarly, FailingLate])
def test_exit_from_an_error_page(make_server, allow_log, cls, exit):
    """The client gets its 500, or the end of what had begun; the server lives."""
    allow_log("tornado", "(?s)Uncaught exception GET /.*|for an error page|500 GET /")
    handler = type(cls.__name__, (cls,), {"exit": exit})
    server = make_server(("/", handler))
    unblock_application(server.server.request_callback)
    for _ in range(2):
        answer = server.get("/")
        assert answer.status == (200 if cls is FailingLate else 500)
        assert b"half" not in answer.body
    server.call(all_quiet)


def test_exit_from_the_page_of_a_timeout(make_server, allow_log):
    """It is made on the loop thread: only the request ends there too."""
    allow_log("tornado", "still running|for an error page|50[04] GET /")
    gate = threading.Event()

    @unblock(timeout=0.05)
    class Handler(RequestHandler):
        def get(self) -> None:
            assert gate.wait(WAIT)

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            raise SystemExit

    server = make_server(("/", Handler))
    assert server.get("/").status == 500
    gate.set()
    server.call(all_quiet)


def test_ctrl_c_on_the_loop_thread(make_server):
    """That is meant for the process."""

    class Handler(RequestHandler):
        def get(self) -> None:
            with pytest.raises(KeyboardInterrupt):
                answer_error(self, HTTPError(500))
            self.set_status(200)
            self.finish("went on")

        def log_exception(self, *args: Any) -> None:
            raise KeyboardInterrupt

    assert make_server(("/", Handler)).get("/").body == b"went on"


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("exit", [SystemExit, LookupError])
def test_what_was_finished_stays_so(make_server, expect_log, allow_log, exit, finished):
    """What is not gets a plain 500; an `Exception` is logged in Tornado's words."""
    allow_log("tornado.access", "")

    class Handler(RequestHandler):
        def get(self) -> None:
            answer_error(self, HTTPError(500))

        def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
            if finished:
                self.finish("page")
            raise exit

        def log_exception(self, *args: Any) -> None:
            """Nothing."""

    plain = exit is LookupError
    message = "Exception in exception handler" if plain else "for an error page"
    expect_log("tornado.application", message)
    answer = make_server(("/", Handler)).get("/")
    assert answer.status == (200 if finished else 500)
    assert answer.body == (b"page" if finished else b"")


@pytest.mark.parametrize("error", [AbandonedError, LookupError])
def test_page_that_cannot_be_sent(make_server, allow_log, error):
    """Not even a plain one: the connection is closed, and its client waits no more."""
    allow_log("tornado", "")

    class Handler(RequestHandler):
        def get(self) -> None:
            self._auto_finish = False
            answer_error(self, HTTPError(500))

        def finish(self, chunk: Any = None) -> Any:
            raise error("never")

    assert make_server(("/", Handler)).get("/").raw == b""
