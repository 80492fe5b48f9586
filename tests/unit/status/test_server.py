"""`status.serve`: a page that answers while the application's loop stands still."""

from __future__ import annotations

import re
import socket
import threading

import pytest
from tornado.web import Application, RequestHandler

from tests.patience import WAIT
from tests.unit.status.conftest import Client
from tornado_unblock import ConfigurationError, status, testing, unblock, watch
from tornado_unblock._stalls.watching import current_watch

pytestmark = pytest.mark.allow_log("tornado_unblock.stalls", "Event loop stalled")


def hold_the_loop(gate):
    gate.hold()


class Stalling(RequestHandler):
    def initialize(self, gate):
        self.gate = gate

    def get(self):
        hold_the_loop(self.gate)


def test_it_answers_while_the_loop_stands_still(make_server, serve_status, gate):
    """The page names who holds the loop, and the line on which it stands."""
    page = serve_status()
    server = make_server(("/(?:.*)", Stalling, {"gate": gate}))
    server.send("/")
    assert gate.wait()
    events = page.events()
    alarms = ""
    while "has been stalled" not in alarms:
        alarms = events.next().get("alarms", "")
    assert "Stalling.get GET" in alarms
    assert "hold_the_loop" in alarms
    assert "to do" in alarms
    (stalled,) = page.json()["stalled"]
    assert "hold_the_loop" in [line["function"] for line in stalled["chain"]]
    assert stalled["endpoint"] == "Stalling.get"
    assert "hold_the_loop" in page.get("/").body.decode()
    gate.open.set()
    while "stalled for" in alarms:
        alarms = events.next().get("alarms", alarms)
    events.close()
    assert page.json()["stalls"][0]["count"] == 1


def test_stop_ends_the_watch_that_was_begun(serve_status):
    """A server that is stopped leaves no port, thread or watch; twice is once."""
    server = status.serve(0)
    assert current_watch() is not None
    assert repr(server) == f"<status.Server port={server.port}>"
    with Client(server.port).open("/events") as listening:
        listening.recv(1)
        server.stop()
    server.stop()
    assert current_watch() is None
    assert repr(server) == "<status.Server stopped>"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), WAIT)
    assert not [t for t in threading.enumerate() if t.name.startswith("unblock-status")]


def test_a_watch_that_is_kept_stays(serve_status):
    """A watch with values of its own is used, and stays when the page is gone."""
    own = watch(threshold=7.0)
    server = status.serve(0)
    server.stop()
    assert current_watch() is own


def test_without_a_watch(serve_status):
    """Whoever wants no watch has none, and the page says what is not known."""
    page = serve_status(watch=False)
    assert current_watch() is None
    assert b"Nobody watches the event loop" in page.get("/").body


def test_reset_stops_it():
    """`testing.reset` ends the servers that a test has left."""
    server = status.serve(0)
    testing.reset()
    assert repr(server) == "<status.Server stopped>"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"address": "0.0.0.0"}, "can be reached from other machines"),
        ({"authorize": True}, "authorize must be a function"),
        ({"hosts": "ops.internal"}, "hosts must be a list of names"),
        ({"hosts": ["ops.internal:80"]}, "names without a port"),
        ({"hosts": [7]}, "names without a port"),
    ],
)
def test_bad_arguments(options, message):
    """What makes no sense, or is not safe, is refused before anything is opened."""
    with pytest.raises(ConfigurationError, match=message):
        status.serve(0, **options)
    assert current_watch() is None


def test_other_machines_with_authorize(serve_status):
    """With `authorize` an address that others can reach may be served."""
    page = serve_status(address="0.0.0.0", authorize=lambda handler: True)
    assert page.get("/").status == 200


def test_a_port_that_is_taken(serve_status):
    """The error is the caller's, and nothing is left."""
    page = serve_status()
    with pytest.raises(OSError, match=r"in use: this process .* already"):
        status.serve(page.port)
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        with pytest.raises(OSError, match="not by a status page of this user"):
            status.serve(foreign.getsockname()[1])


def test_routes_of_the_application(serve_status):
    """What runs where is told of the application that is given."""

    @unblock
    class Orders(RequestHandler):
        def get(self): ...

    page = serve_status(app=Application([(r"/orders/(\d+)", Orders)]))
    (route,) = page.json()["routes"]
    assert (route["body"], route["verb"]) == ("worker", "GET")
    assert b"/orders/" in page.get("/").body


@pytest.mark.expect_log("tornado.application", "status page answered 500")
@pytest.mark.expect_log("tornado.application", "Uncaught exception")
def test_an_authorize_that_fails(serve_status):
    """What it raises is logged for the operator, and not sent."""

    def authorize(handler):
        raise ValueError("TOP-SECRET")

    page = serve_status(authorize=authorize)
    response = page.get("/")
    assert (response.status, response.body) == (500, b"500\n")
    assert b"TOP-SECRET" not in response.raw


def test_a_forked_child_holds_no_socket(run_program):
    """The page stays the parent's: the child can serve one of its own on its port."""
    output = run_program(
        """
        import os
        from http.client import IncompleteRead
        from urllib.request import urlopen
        from tornado_unblock import status

        def ask(server):
            return urlopen(f"http://127.0.0.1:{server.port}/status.json", timeout=20)

        parent = status.serve(0)
        watching = urlopen(f"http://127.0.0.1:{parent.port}/events", timeout=20)
        watching.readline()
        leave = os.pipe()
        pid = os.fork()
        if pid == 0:
            print(parent, flush=True)
            own = status.serve(0)
            assert f'"process": {os.getpid()}' in ask(own).read().decode()
            own.stop()
            os.read(leave[0], 1)
            os._exit(0)
        assert f'"process": {os.getpid()}' in ask(parent).read().decode()
        parent.stop()
        try:
            watching.read()  # ends although the child lives
        except IncompleteRead:
            pass
        again = status.serve(parent.port)
        os.write(leave[1], b"x")
        assert os.waitpid(pid, 0)[1] == 0
        again.stop()
        print("done")
        """
    )
    assert re.fullmatch(r"<status.Server port=\d+>\ndone\n", output)


def test_forked_children_serve_one_page(run_program):
    """Called once before the fork, each child is there once it runs a loop."""
    output = run_program(
        """
        import asyncio, json, os, signal, sys
        from urllib.request import urlopen
        from tornado_unblock import status

        def ask(path):
            address = f"http://127.0.0.1:{server.port}{path}"
            return json.loads(urlopen(address, timeout=60).read())

        def numbers():
            return {one["process"] for one in ask("/processes.json")["processes"]}

        async def run():
            await asyncio.Event().wait()

        def end(*args):
            server.stop()
            sys.exit(0)

        server = status.serve(0)
        children = []
        for number in range(3):
            pid = os.fork()
            if not pid:
                if number == 2:  # it runs no loop
                    signal.pause()
                signal.signal(signal.SIGTERM, end)
                asyncio.run(run())
            children.append(pid)
        one, two, three = children
        while numbers() != {os.getpid(), one, two}:
            pass
        def loops():
            told = ask(f"/p/{two}/status.json")
            return [loop["name"] for loop in told["loops"]]

        while loops() != ["MainThread"]:  # it joins before its loop is known
            pass
        os.kill(one, signal.SIGKILL)
        os.waitpid(one, 0)
        assert numbers() == {os.getpid(), two}
        server.stop()  # the port is the child's as well
        assert numbers() == {two}
        os.kill(two, signal.SIGTERM)
        assert os.waitpid(two, 0)[1] == 0
        again = status.serve(server.port)
        os.kill(three, signal.SIGKILL)
        again.stop()
        print("done")
        """
    )
    assert output == "done\n"


def test_a_child_may_call_it_too(run_program):
    """Before its loop runs, and with values of its own."""
    output = run_program(
        """
        import asyncio, os
        from tornado_unblock import status

        server = status.serve(0)
        pid = os.fork()
        if not pid:
            own = status.serve(server.port, hosts=["own"])
            print(server, own.port == server.port)
            asyncio.run(asyncio.sleep(0))
            own.stop()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        pid = os.fork()
        if not pid:
            server.stop()
            asyncio.run(asyncio.sleep(0))
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """
    )
    assert output == "<status.Server stopped> True\n"


def test_a_child_that_cannot_join_says_so(run_program):
    """Its application goes on."""
    output = run_program(
        """
        import asyncio, os, socket, tempfile
        from tornado_unblock import status

        server = status.serve(0)
        pid = os.fork()
        if not pid:
            tempfile.tempdir = "/none"
            server._place = server._place._replace(directory="/none")

            async def run():
                server._serving.ready.wait()

            asyncio.run(run())
            server.stop()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """
    )
    assert "No status page is served in this process: [Errno 2]" in output


def test_nothing_is_left_when_it_is_refused(serve_status, monkeypatch):
    """The port is free, and nobody finds what is not there."""
    from tornado_unblock.status.group import current_group

    monkeypatch.setattr(status.server, "start_thread", refuse)
    with pytest.raises(RuntimeError):
        status.serve(0, watch=False)
    assert current_group() is None


def refuse(*args):
    raise RuntimeError("no more threads")
