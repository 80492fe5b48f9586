"""A body's hop, for threads of its own that cannot ask `cancelled`."""

from __future__ import annotations

import threading

from tornado.web import RequestHandler

from tests.patience import WAIT
from tornado_unblock import (
    Hop,
    cancelled,
    configure,
    current_hop,
    run_in_executor,
    unblock,
)


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


def test_budget(make_server, gate):
    """A body learns how long it has waited, and how long it still may run."""
    configure("reports", max_workers=1, timeout=60.0)
    configure("endless", max_workers=1)

    def body():
        hop = current_hop()
        return hop.executor, hop.queue_time, hop.time_left

    async def wait_in_line():
        held = await gate.hold_worker(executor="reports")
        waiting = run_in_executor(body, executor="reports")
        gate.open.set()
        await held
        return await waiting

    server = make_server()
    executor, queue_time, time_left = server.call(wait_in_line)
    assert executor == "reports"
    assert queue_time > 0
    assert 0 < time_left <= 60
    _, _, endless = server.call(lambda: run_in_executor(body, executor="endless"))
    assert endless is None


def test_number_of_a_hop(make_server):
    """It is the same whoever asks, and no other hop has it."""

    def ids():
        return current_hop().id, current_hop().id

    server = make_server()
    first, again = server.call(run_in_executor, ids)
    second, _ = server.call(run_in_executor, ids)
    assert first == again != second
