"""Bodies that use the running loop, and bodies that run loops of their own."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from tornado.httpclient import HTTPClient
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler, websocket_connect

from tornado_unblock import unblock, unblock_application
from tornado_unblock._handlers.running_loop import shows_loop


class Broadcaster(WebSocketHandler):
    """In the shape of mitmweb: a queue and a task for each socket."""

    queue: asyncio.Queue[str]
    ended: asyncio.Event

    def open(self) -> None:
        self.queue = asyncio.Queue()
        self.task = asyncio.create_task(self.send_all(), name="send")

    async def send_all(self) -> None:
        while True:
            await self.write_message(await self.queue.get())

    def on_message(self, message: Any) -> None:
        self.queue.put_nowait(message.upper())
        on_loop = threading.current_thread().name == "loop"
        self.queue.put_nowait("loop" if on_loop else "worker")

    def on_close(self) -> None:
        self.task.cancel()
        closed.append(self.task)


closed: list[Any] = []


class Session:
    """In the shape of Streamlit: what is behind the handler asks for the loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.event = asyncio.Event()
        self.task = self.loop.create_task(self.wait())

    async def wait(self) -> str:
        await self.event.wait()
        return "rerun"


class Browser(WebSocketHandler):
    def open(self) -> None:
        self.session = Session()

    def on_message(self, message: Any) -> None:
        self.session.loop.call_soon_threadsafe(self.session.event.set)
        self.session.task.add_done_callback(
            lambda task: self.write_message(task.result())
        )


async def talk(url: str, count: int) -> list[Any]:
    client = await websocket_connect(url)
    await client.write_message("hello")
    answers = [await client.read_message() for _ in range(count)]
    client.close()
    assert await client.read_message() is None
    return answers


@pytest.mark.parametrize(
    ("handler", "answers"),
    [(Broadcaster, ["HELLO", "worker"]), (Browser, ["rerun"])],
)
def test_sockets_that_use_the_running_loop(make_server, handler, answers):
    """With `unblock_application` they work as they are, in a worker."""
    server = make_server(("/", handler))
    unblock_application(server.server.request_callback)
    url = f"ws://127.0.0.1:{server.port}/"
    assert server.call(talk, url, len(answers)) == answers
    server.until(lambda: all(task.done() for task in closed))


def test_a_verb_that_starts_a_task(make_server):
    """It may start one, and ask for the loop; the task runs on the loop's thread."""
    tasks: list[Any] = []

    @unblock
    class Handler(RequestHandler):
        async def later(self) -> int:
            return threading.get_ident()

        def start(self) -> None:
            tasks.append(asyncio.create_task(self.later()))

        def get(self) -> None:
            self.start()
            self.write(str(threading.get_ident() != server.thread.ident))

    server = make_server(("/", Handler))
    assert server.get("/").body == b"True"
    assert server.call(lambda: tasks[0]) == server.thread.ident


def test_a_method_that_starts_a_task(make_server):
    """Likewise one method alone."""

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            self.write(str(asyncio.get_running_loop() is server.loop))

    server = make_server(("/", Handler))
    assert server.get("/").body == b"True"


class Anything:
    """An object that answers whatever it is asked, and raises at some of it."""

    def __getattr__(self, name: str) -> Any:
        if name == "__wrapped__":
            raise RuntimeError
        return self

    @property
    def __class__(self) -> Any:
        raise RuntimeError


class Names(RequestHandler):
    """Bodies of all kinds."""

    def plain(self) -> None:
        self.write("x")

    def task(self) -> None:
        asyncio.create_task(self.coroutine())  # noqa: RUF006

    async def coroutine(self) -> None: ...

    def by_helper(self) -> None:
        self.task()

    def inner(self) -> Any:
        return [asyncio.get_running_loop() for _ in "x"]

    def runs(self) -> None:
        asyncio.run(self.coroutine())

    def fetches(self) -> None:
        HTTPClient().fetch("/")

    @staticmethod
    def static() -> None:
        asyncio.get_running_loop()

    @unblock
    def moved(self) -> None:
        self.static()

    def of_no_module(self) -> None:
        asyncio.get_running_loop()

    of_no_module.__module__ = None  # type: ignore[assignment]

    db: Any = Anything()

    def uses(self) -> None:
        self.db()


class Socket(Names, WebSocketHandler):
    """The same."""


@pytest.mark.parametrize(
    ("name", "verb", "hook"),
    [
        ("plain", False, True),
        ("task", True, True),
        ("by_helper", True, True),
        ("inner", True, True),
        ("runs", False, False),
        ("fetches", False, False),
        ("static", True, True),
        ("moved", True, True),
        ("of_no_module", True, True),
        ("uses", False, True),
        ("not_there", False, True),
    ],
)
def test_what_the_code_names(name, verb, hook):
    """A method, its inner functions and those it calls are asked; Tornado's are not."""
    assert (shows_loop(Names, name), shows_loop(Socket, name)) == (verb, hook)
