"""What of a class runs where, decided once for each verb."""

from __future__ import annotations

import pytest
from tornado.web import (
    FallbackHandler,
    RequestHandler,
    StaticFileHandler,
    stream_request_body,
)
from tornado.websocket import WebSocketHandler

from tornado_unblock._handlers.plan import decide


def test_plan_of_a_verb_that_does_not_exist():
    """A method that Tornado answers itself has nothing to move."""
    assert decide(RequestHandler, "brew").why == "Tornado answers 405 itself"


class Plain(RequestHandler):
    def get(self) -> None: ...


class Prepares(Plain):
    def prepare(self) -> None: ...


class Coroutine(RequestHandler):
    async def get(self) -> None: ...


class PreparesCoroutine(Coroutine):
    def prepare(self) -> None: ...


class AsyncPrepare(Plain):
    async def prepare(self) -> None: ...


@stream_request_body
class Streams(Plain):
    def data_received(self, chunk: bytes) -> None: ...


@stream_request_body
class PreparesStream(Streams):
    def prepare(self) -> None: ...


class Socket(WebSocketHandler):
    def on_message(self, message: object) -> None: ...


class AskingSocket(Socket):
    def check_origin(self, origin: str) -> bool:
        return True


class ServingSocket(Socket):
    def get(self) -> None: ...


@pytest.mark.parametrize(
    ("cls", "prepare_hops", "verb_hops", "together"),
    [
        (Plain, True, True, True),
        (Prepares, True, True, True),
        (Coroutine, False, False, False),
        (PreparesCoroutine, True, False, False),
        (AsyncPrepare, False, True, False),
        (Streams, False, True, False),
        (PreparesStream, True, True, False),
        (StaticFileHandler, True, True, True),
        (FallbackHandler, False, False, False),
        (Socket, False, False, False),
        (AskingSocket, True, False, False),
        (ServingSocket, True, True, True),
    ],
)
def test_what_hops(cls, prepare_hops, verb_hops, together):
    """As much as is sync goes to a worker, in one hop where nothing comes between."""
    where = decide(cls, "get")
    assert where.prepare_hops is prepare_hops
    assert where.verb_hops is verb_hops
    assert where.together is together
    assert where.why
