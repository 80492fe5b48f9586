"""What of a class runs where is decided by classes and verbs, not by requests."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tornado.httputil import HTTPServerRequest
from tornado.routing import Router
from tornado.testing import AsyncHTTPTestCase
from tornado.web import (
    Application,
    FallbackHandler,
    RequestHandler,
    StaticFileHandler,
    stream_request_body,
)
from tornado.websocket import WebSocketHandler

from tornado_unblock import configure, statistics, unblock, unblock_application
from tornado_unblock._handlers import plan
from tornado_unblock._handlers.one_method import _steps
from tornado_unblock._handlers.plan import decide
from tornado_unblock._handlers.whole_request import _known
from tornado_unblock._loop.portal import current_portal


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
        (PreparesCoroutine, False, False, False),
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


other = unblock(executor="others")


class Shared(RequestHandler):
    """Both verbs have the decorator that was made once."""

    @other
    def get(self):
        return {"verb": "get"}

    @other
    def post(self):
        self.write(threading.current_thread().name.rpartition("-")[0])


class Awaits(RequestHandler):
    """The verb of one request is a helper of another's."""

    @unblock
    def get(self):
        self.write("got ")

    async def post(self):
        await self.get()
        self.write("and posted")


class Coded(RequestHandler):
    @unblock
    def get(self):
        return [1]


@unblock
class CodedClass(RequestHandler):
    def get(self):
        return [1]


class Served(RequestHandler):
    def get(self):
        self.write("plain")


class TestRequests(AsyncHTTPTestCase):
    """Over a real connection."""

    def get_app(self):
        return unblock_application(
            Application(
                [
                    ("/shared", Shared),
                    ("/awaits", Awaits),
                    ("/coded", Coded),
                    ("/coded-class", CodedClass),
                    ("/plain", Served),
                ]
            ),
            routes={"/(shared|awaits|coded).*": None},
        )

    def test_one_decorator_on_many(self):
        """Each method has its plan, though the decorator was made once."""
        assert self.fetch("/shared").body == b'{"verb": "get"}'
        posted = self.fetch("/shared", method="POST", body=b"")
        assert posted.body.startswith(b"unblock-others")

    def test_verb_is_anothers_helper(self):
        """A GET that came first does not decide who finishes a POST."""
        assert self.fetch("/awaits").body == b"got "
        posted = self.fetch("/awaits", method="POST", body=b"")
        assert posted.body == b"got and posted"

    def test_encoder_is_the_configured_one(self):
        """It may be set at any time, after the first request too."""
        for path in ("/coded", "/coded-class"):
            assert self.fetch(path).body == b"[1]"
        configure(json_encoder=lambda value: f"<{value}>")
        for path in ("/coded", "/coded-class"):
            assert self.fetch(path).body == b"<[1]>"

    @pytest.mark.expect_log("tornado.access", "^405 ")
    def test_made_up_methods(self):
        """What a client makes up selects nothing, and leaves nothing behind."""
        self.fetch("/plain")
        names = [*(f"MADE-{i}" for i in range(50)), "FLUSH", "SET_STATUS", "get"]
        for name in names:
            for path in ("/plain", "/shared", "/coded-class"):
                answer = self.fetch(
                    path, method=name, allow_nonstandard_methods=True, body=b""
                )
                assert answer.code == 405, (path, name)
        endpoints = {name for s in statistics().values() for name in s.endpoints}
        assert not any("MADE" in name.upper() for name in endpoints)
        assert not any("set_status" in name for name in endpoints)


class ManyClasses(Router):
    """Makes a class for each request."""

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        class Handler(RequestHandler):
            @unblock
            def get(self) -> None:
                self.write("got")

        cls = unblock(Handler) if request.path == "/class" else Handler
        app = Application([("/.*", cls)])
        return app.find_handler(request)


def test_classes_that_are_made_for_a_request(monkeypatch, serve):
    """Their plans have a bound, whichever way they are unblocked."""
    monkeypatch.setattr(plan, "MOST_PLANS", 3)
    server = serve(ManyClasses())
    for path in ("/class", "/method") * 5:
        assert server.get(path).body == b"got"

    def kept() -> list[int]:
        portal = current_portal()
        return [len(table.of(portal)) for table in (_known, _steps)]

    assert max(server.call(kept)) <= 3
