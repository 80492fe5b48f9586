"""Where a response is finished that the body leaves to Tornado."""

from __future__ import annotations

import asyncio
import logging
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.http1connection import HTTP1Connection
from tornado.log import LogFormatter
from tornado.web import Application, RequestHandler

from tests.patience import WAIT
from tornado_unblock import shutdown, unblock, unblock_application
from tornado_unblock._connection.request_connection import RequestConnection
from tornado_unblock._handlers import results
from tornado_unblock._handlers.results import _LONG, _MANY
from tornado_unblock._limits.limiter import Limiter


@pytest.fixture
def threads(monkeypatch):
    """The threads that the body, and Tornado's own end of a request, ran in."""
    found: dict[str, int] = {}
    own = Application.log_request

    def log_request(self: Any, handler: RequestHandler) -> None:
        found["end"] = threading.get_ident()
        own(self, handler)

    monkeypatch.setattr(Application, "log_request", log_request)
    # It counts as Tornado's own.
    monkeypatch.setattr(results, "_LOG_REQUEST", log_request)
    return found


def body_of(threads: dict[str, int], *chunks: bytes) -> Any:
    def get(self: RequestHandler) -> None:
        threads["body"] = threading.get_ident()
        for chunk in chunks:
            self.write(chunk)

    return get


def ended_in_the_worker(server: Any, threads: dict[str, int]) -> bool:
    # The client may have its answer before.
    server.until(lambda: "end" in threads)
    return threads["end"] == threads["body"]


@pytest.mark.parametrize("mode", ["method", "class", "application"])
def test_short_plain_responses_end_on_the_loop_thread(make_server, threads, mode):
    """Nothing runs there but Tornado's own code, and little of it."""
    get = body_of(threads, b"done")
    handler: Any = type("Plain", (RequestHandler,), {"get": get})
    if mode == "method":
        handler.get = unblock(get)
    if mode == "class":
        handler = unblock(handler)
    server = make_server(("/", handler))
    if mode == "application":
        server.call(unblock_application, server.server.request_callback)
    assert server.get("/").body == b"done"
    assert not ended_in_the_worker(server, threads)


@pytest.mark.parametrize(
    ("chunks", "in_the_worker"),
    [
        ([b"x" * (_LONG - 1)], False),
        ([b"x" * _LONG], True),
        ([b"x"] * (_MANY - 1), False),
        ([b"x"] * _MANY, True),
    ],
)
def test_long_responses_end_in_the_worker(make_server, threads, chunks, in_the_worker):
    """To hash them for the Etag takes long enough to be felt on the loop thread."""
    handler: Any = type("Long", (RequestHandler,), {})
    handler.get = unblock(body_of(threads, *chunks))
    server = make_server(("/", handler))
    assert server.get("/").body == b"".join(chunks)
    assert ended_in_the_worker(server, threads) == in_the_worker


def on_finish(self: RequestHandler) -> None:
    """Maybe it blocks."""


def compute_etag(self: RequestHandler) -> str:
    return '"x"'


@pytest.mark.parametrize("own", [on_finish, compute_etag])
def test_what_a_class_adds_runs_in_the_worker(make_server, threads, own):
    """It may block."""
    handler: Any = type("Own", (RequestHandler,), {own.__name__: own})
    handler.get = unblock(body_of(threads, b"done"))
    server = make_server(("/", handler))
    assert server.get("/").body == b"done"
    assert ended_in_the_worker(server, threads)


def test_a_log_function_runs_in_the_worker(make_server, threads):
    """It may write to a database."""

    def log_function(handler: RequestHandler) -> None:
        threads["end"] = threading.get_ident()

    handler: Any = type("Logged", (RequestHandler,), {})
    handler.get = unblock(body_of(threads, b"done"))
    server = make_server(("/", handler), log_function=log_function)
    assert server.get("/").body == b"done"
    assert ended_in_the_worker(server, threads)


def test_compression_runs_in_the_worker(make_server, threads):
    """It takes long."""
    handler: Any = type("Small", (RequestHandler,), {})
    handler.get = unblock(body_of(threads, b"x" * 2000))
    server = make_server(("/", handler), compress_response=True)
    response = server.get("/", headers="Accept-Encoding: gzip\r\n")
    assert response.headers["Content-Encoding"] == "gzip"
    assert ended_in_the_worker(server, threads)


def test_an_applications_own_log_request_runs_in_the_worker(make_server, threads):
    """As does a log function."""

    class Logging(Application):
        def log_request(self, handler: RequestHandler) -> None:
            threads["end"] = threading.get_ident()

    handler: Any = type("Logged", (RequestHandler,), {})
    handler.get = unblock(body_of(threads, b"done"))
    server = make_server()
    server.server.request_callback = Logging([("/", handler)])
    assert server.get("/").body == b"done"
    assert ended_in_the_worker(server, threads)


def test_the_connection_itself_once_no_worker_comes_any_more(make_server, monkeypatch):
    """While the body runs something stands in for it; when Tornado goes on, nothing."""
    seen: list[Any] = []

    class Plain(RequestHandler):
        @unblock
        def get(self) -> None:
            seen.append(type(self.request.connection))

    def log_request(self: Application, handler: RequestHandler) -> None:
        seen.append(type(handler.request.connection))

    monkeypatch.setattr(Application, "log_request", log_request)
    # It counts as Tornado's own.
    monkeypatch.setattr(results, "_LOG_REQUEST", log_request)
    server = make_server(("/", Plain))
    assert server.get("/").status == 200
    server.until(lambda: len(seen) == 2)
    assert seen == [RequestConnection, HTTP1Connection]


def test_shutdown_begun_as_a_body_ends(make_server, threads, monkeypatch):
    """Nothing runs or waits then, but Tornado still has to finish the response."""
    ended: list[bool] = []
    own = Limiter.give_back

    def give_back(self: Limiter, endpoint: Any) -> None:
        own(self, endpoint)
        # Its first step comes before Tornado hears of the body's end.
        tasks.append(asyncio.ensure_future(end()))

    async def end() -> None:
        assert await shutdown(WAIT) == []
        ended.append("end" in threads)

    tasks: list[asyncio.Task[None]] = []
    handler: Any = type("Plain", (RequestHandler,), {})
    handler.get = unblock(body_of(threads, b"done"))
    server = make_server(("/", handler))
    monkeypatch.setattr(Limiter, "give_back", give_back)
    assert server.get("/").body == b"done"
    server.until(lambda: ended)
    assert ended == [True]


class OwnHandler(logging.NullHandler):
    """A handler of the user's."""


class OwnFormatter(logging.Formatter):
    """A formatter of the user's."""


class OwnLogger(logging.Logger):
    """A logger of the user's."""


def _filtered_logger(logger: logging.Logger) -> None:
    logger.addFilter(lambda record: True)


def _filtered_handler(logger: logging.Logger) -> None:
    handler = logging.NullHandler()
    handler.addFilter(lambda record: True)
    logger.addHandler(handler)


def _filtered_above(logger: logging.Logger) -> None:
    assert logger.parent is not None
    _filtered_handler(logger.parent)


def _own_handler(logger: logging.Logger) -> None:
    logger.addHandler(OwnHandler())


def _own_formatter(logger: logging.Logger) -> None:
    handler = logging.NullHandler()
    handler.setFormatter(OwnFormatter())
    logger.addHandler(handler)


def _plain(logger: logging.Logger) -> None:
    handler = logging.NullHandler()
    handler.setFormatter(LogFormatter())
    logger.addHandler(handler)


@pytest.fixture
def access(monkeypatch):
    """A logger in the place of Tornado's, with nothing of pytest's above it."""
    logger = logging.Logger("tornado.access", logging.INFO)
    logger.parent = logging.Logger("tornado")
    monkeypatch.setattr("tornado.web.access_log", logger)
    monkeypatch.setattr(results, "access_log", logger)
    return logger


@pytest.mark.parametrize("mode", ["method", "class"])
@pytest.mark.parametrize(
    ("change", "in_worker"),
    [
        (_plain, False),
        *((_filtered_logger, True), (_filtered_handler, True), (_filtered_above, True)),
        *((_own_handler, True), (_own_formatter, True)),
    ],
)
def test_what_logs_it(make_server, threads, access, mode, change, in_worker):
    """Where the user's code logs a request, it finds what the body left there."""
    change(access)
    get = body_of(threads, b"done")
    handler: Any = type("Plain", (RequestHandler,), {"get": get})
    if mode == "method":
        handler.get = unblock(get)
    else:
        handler = unblock(handler)
    server = make_server(("/", handler))
    assert server.get("/").body == b"done"
    assert ended_in_the_worker(server, threads) is in_worker


def test_loggers_that_do_not_log(make_server, threads, access):
    """A filter of what is not logged does not run."""
    access.setLevel(logging.WARNING)
    _filtered_logger(access)
    handler = type("Plain", (RequestHandler,), {"get": body_of(threads, b"done")})
    server = make_server(("/", unblock(handler)))
    assert server.get("/").body == b"done"
    assert not ended_in_the_worker(server, threads)


def test_loggers_of_the_users(monkeypatch, access):
    """A class of their own, a factory of records, and what does not propagate."""
    _filtered_above(access)
    assert not results._is_plain(access)
    access.propagate = False
    assert results._is_plain(access)
    assert not results._is_plain(OwnLogger("own"))
    logging.setLogRecordFactory(lambda *args, **kwargs: logging.makeLogRecord({}))
    try:
        assert not results._is_plain(access)
    finally:
        logging.setLogRecordFactory(logging.LogRecord)


@pytest.mark.parametrize(
    ("status", "level"),
    [(302, logging.INFO), (404, logging.WARNING), (503, logging.ERROR)],
)
def test_levels(access, status, level):
    """As Tornado logs them."""
    _filtered_logger(access)
    handler: Any = SimpleNamespace(application=Application(), _status_code=status)
    access.setLevel(level)
    assert not results._logs_plainly(handler)
    access.setLevel(level + 1)
    access._cache.clear()  # as `setLevel` does for loggers that have a manager
    assert results._logs_plainly(handler)
