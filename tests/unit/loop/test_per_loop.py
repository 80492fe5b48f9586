"""Loops, test cases, processes: wherever Tornado runs, this runs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from typing import Any

import pytest
import tornado
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.testing import AsyncHTTPTestCase, gen_test
from tornado.web import Application, RequestHandler

from tests.patience import PROGRAM
from tornado_unblock import LoopThreadError, run_in_executor, shutdown, unblock
from tornado_unblock._loop.per_loop import ClosedPerLoop, PerLoop
from tornado_unblock._loop.portal import current_portal


def test_each_loop_has_its_own_value():
    """Made on first use there, and kept while the loop lives."""
    made: list[list[int]] = []

    def make() -> list[int]:
        made.append([])
        return made[-1]

    kept: PerLoop[list[int]] = PerLoop(make)

    async def use() -> list[int]:
        portal = current_portal()
        assert kept.peek(portal) is None
        value = kept.get()
        assert kept.peek(portal) is kept.of(portal) is kept.get() is value
        return value

    assert asyncio.run(use()) is made[0]
    assert asyncio.run(use()) is made[1]
    assert len(made) == 2
    with pytest.raises(LoopThreadError):
        kept.get()


class Closing:
    """Two values for each loop that have to be closed, and how each was."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.first, self.second = (
            ClosedPerLoop(lambda n=n: n, self.close, self.drop) for n in ("1", "2")
        )

    async def close(self, value: str) -> None:
        await asyncio.sleep(0)
        self.log.append(f"closed {value}")

    def drop(self, value: str) -> None:
        self.log.append(f"dropped {value}")


def test_closed_when_the_loop_is_drained():
    """Awaited while the loop runs, and not dropped as well."""
    values = Closing()

    async def main() -> None:
        assert (values.first.get(), values.second.get()) == ("1", "2")
        assert await shutdown() == []
        assert sorted(values.log) == ["closed 1", "closed 2"]

    asyncio.run(main())
    assert len(values.log) == 2


def test_dropped_when_the_loop_is_just_closed():
    """Each of them, at once."""
    values = Closing()

    async def main() -> None:
        values.first.get()
        values.second.get()

    asyncio.run(main())
    assert sorted(values.log) == ["dropped 1", "dropped 2"]


def test_closed_by_hand():
    """It is gone then, is made again when it is wanted, and closed no second time."""
    values = Closing()

    async def main() -> None:
        await values.first.close()
        values.first.get()
        await values.first.close()
        await values.first.close()
        assert values.log == ["closed 1"]
        values.first.get()

    asyncio.run(main())
    assert values.log == ["closed 1", "dropped 1"]


class Where(RequestHandler):
    @unblock
    def get(self) -> Any:
        return threading.current_thread().name.rpartition("-")[0]


class TestInAsyncHTTPTestCase(AsyncHTTPTestCase):
    """A new loop for each test, as Tornado's users have it."""

    def get_app(self) -> Application:
        return Application([("/", Where)])

    def test_first(self):
        """With ``self.fetch``."""
        assert self.fetch("/").body == b"unblock-default"

    def test_second(self):
        """On a second loop."""
        assert self.fetch("/").body == b"unblock-default"

    @gen_test
    async def test_coroutine(self):
        """With a coroutine test."""
        response = await self.http_client.fetch(self.get_url("/"))
        assert response.body == b"unblock-default"


def test_many_loops_in_many_threads(make_server):
    """They share the executor's threads, and nothing else."""
    servers = [make_server(("/", Where)) for _ in range(4)]
    clients = [server.send("/") for server in servers for _ in range(10)]
    for client in clients:
        data = b""
        while part := client.recv(4096):
            data += part
        assert data.endswith(b"unblock-default")


@pytest.mark.parametrize("debug", [False, True])
def test_uvloop(make_server, debug):
    """The same on uvloop, timers and tasks of a body included."""
    uvloop = pytest.importorskip("uvloop")
    ran: list[Any] = []

    class Handler(RequestHandler):
        @unblock
        def get(self) -> str:
            done = threading.Event()
            IOLoop.current().call_later(0, ran.append, "timer")
            task = asyncio.ensure_future(self.task(done))
            assert done.wait(10)
            self.tasks = [task]
            return "served"

        async def task(self, done: threading.Event) -> None:
            ran.append(threading.current_thread())
            done.set()

    server = make_server(("/", Handler), new_loop=uvloop.new_event_loop, debug=debug)
    assert server.get("/").body == b"served"
    assert set(ran) == {"timer", server.thread}


def test_loop_stopped_and_started_again():
    """A body that ends meanwhile is answered when the loop runs again."""
    loop = asyncio.new_event_loop()
    gate = threading.Event()

    async def begin() -> Any:
        return [run_in_executor(gate.wait, 10)]

    async def end(future: Any) -> Any:
        return await future

    (future,) = loop.run_until_complete(begin())
    gate.set()
    assert loop.run_until_complete(end(future))
    loop.close()


SERVER = """
import asyncio, os, socket, sys, urllib.request
from concurrent.futures import ThreadPoolExecutor
import tornado.process
from tornado.httpserver import HTTPServer
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from tornado_unblock import run_in_executor, unblock

class Handler(RequestHandler):
    @unblock
    def get(self):
        return str(os.getpid())

def use():
    async def main():
        assert await asyncio.gather(*(run_in_executor(int, n) for n in range(20)))
    asyncio.run(main())

sockets = bind_sockets(0, "127.0.0.1")
port = sockets[0].getsockname()[1]
app = Application([("/", Handler)])
"""

FORK_PROCESSES = """
use()
if os.fork() == 0:
    tornado.process.fork_processes(2)
    async def main():
        HTTPServer(app).add_sockets(sockets)
        await asyncio.Event().wait()
    asyncio.run(main())
"""

START_N = """
use()
if os.fork() == 0:
    server = HTTPServer(app)
    def add_sockets(ready):
        asyncio.set_event_loop(asyncio.new_event_loop())
        HTTPServer.add_sockets(server, ready)
    server.add_sockets = add_sockets
    server._pending_sockets.extend(sockets)
    server.start(2)
    IOLoop.current().start()
"""

CLIENT = """
import signal, time
os.setpgrp if False else None
pids = set()
for _ in range(20):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
        pids.add(int(answer.read()))
print("answered by", len(pids) >= 1 and os.getpid() not in pids)
for pid in pids:
    os.kill(pid, signal.SIGKILL)
os.killpg(0, signal.SIGTERM)
"""


@pytest.mark.parametrize("how", ["fork_processes", "start"])
def test_forked_after_use_in_the_parent(how, child_env, tmp_path):
    """Children of `fork_processes` and `start(n)` have workers of their own."""
    script = SERVER + (FORK_PROCESSES if how == "fork_processes" else START_N)
    result = run_script(script + CLIENT, child_env, tmp_path)
    assert "answered by True" in result.stdout, result.stderr


def test_fork_from_a_worker(child_env, tmp_path):
    """A child forked in a body is a process like any other."""
    script = """
    import asyncio, os
    from tornado_unblock import cancelled, run_in_executor

    async def main():
        return await run_in_executor(int, "7")

    def body():
        pid = os.fork()
        if pid == 0:
            os._exit(asyncio.run(main()) if not cancelled() else 1)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    async def parent():
        assert await main() == 7
        print("child says", await run_in_executor(body))

    asyncio.run(parent())
    """
    result = run_script(textwrap.dedent(script), child_env, tmp_path)
    assert "child says 7" in result.stdout, result.stderr


def test_ctrl_c_is_not_held_up_by_a_running_body(child_env, tmp_path):
    """The process ends at once, however long the body would have run."""
    script = """
    import asyncio, os, signal, threading
    from tornado_unblock import run_in_executor

    async def main():
        started = threading.Event()
        def body():
            started.set()
            threading.Event().wait(600)
        future = run_in_executor(body)
        assert started.wait(10)
        os.kill(os.getpid(), signal.SIGINT)
        await future

    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("interrupted")
    """
    result = run_script(textwrap.dedent(script), child_env, tmp_path)
    assert result.stdout.strip() == "interrupted"
    assert result.returncode == 0, result.stderr


def run_script(script: str, env: dict[str, str], where: Any) -> Any:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env=env,
        cwd=where,
        capture_output=True,
        text=True,
        timeout=PROGRAM,
        start_new_session=True,
    )


def test_loop_closed_between_response_and_end_of_its_body(allow_log):
    """Nobody misses anything, so nothing is said: tests close loops like this."""
    if tornado.version_info < (6, 6):
        allow_log("asyncio", "Exception in callback _HandlerDelegate.execute")
    gate, ended = threading.Event(), threading.Event()

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            self.finish("sent")
            assert gate.wait(10)

        def on_finish(self) -> None:
            assert gate.wait(10)
            ended.set()

    async def main() -> None:
        server = HTTPServer(Application([("/", Handler)]))
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        port = sockets[0].getsockname()[1]
        response = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/")
        assert response.body == b"sent"
        server.stop()
        await server.close_all_connections()

    asyncio.run(main())
    gate.set()
    assert ended.wait(10)
