"""A body's hop, for threads of its own that cannot ask `cancelled`."""

from __future__ import annotations

import threading

from tornado.web import RequestHandler

from tornado_unblock import Hop, cancelled, current_hop, run_in_executor, unblock

WAIT = 10.0


def test_no_hop_elsewhere():
    """Only workers have one."""
    assert current_hop() is None


def test_names_its_route(make_server):
    """As statistics do."""

    class Handler(RequestHandler):
        @unblock
        def get(self) -> str:
            hop = current_hop()
            assert hop is not None
            assert not hop.cancelled()
            return hop.endpoint

    assert make_server(("/", Handler)).get("/").body.endswith(b"Handler.get")


def test_function_has_one_too(make_server):
    """Not only handlers hop."""
    hop = make_server().call(run_in_executor, current_hop)
    assert isinstance(hop, Hop)
    assert hop.endpoint == "current_hop"
    assert not hop.cancelled()


def test_another_thread_learns_that_the_client_left(make_server):
    """Which the module's `cancelled` cannot tell it."""
    entered, told = threading.Event(), threading.Event()
    seen = []

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            hop = current_hop()
            assert hop is not None
            helper = threading.Thread(target=self.help_out, args=(hop,))
            helper.start()
            helper.join()
            seen.append((cancelled(), hop.cancelled()))
            told.set()

        def help_out(self, hop: Hop) -> None:
            seen.append((cancelled(), hop.cancelled()))
            entered.set()
            assert left.wait(WAIT)
            seen.append((cancelled(), hop.cancelled()))

        def on_connection_close(self) -> None:
            left.set()

    left = threading.Event()
    server = make_server(("/", Handler))
    client = server.send("/")
    assert entered.wait(WAIT)
    client.close()
    assert told.wait(WAIT)
    assert seen == [(False, False), (False, True), (True, True)]
