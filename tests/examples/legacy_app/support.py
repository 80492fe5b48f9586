"""The application on a loop of its own, and those who visit it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import requests
from sqlalchemy import event
from tornado.httpclient import HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.websocket import WebSocketClientConnection, websocket_connect

from examples.legacy_app import models
from examples.legacy_app.app import make_app
from examples.legacy_app.chat import ChatSocketHandler
from tests.patience import WAIT
from tornado_unblock import unblock_application

HELLO = "Hello"


class Office:
    """A running application, on one database.

    Attributes:
        unblocked: Whether its handlers run on workers.
        app: The application.
        address: Where it is served, without a slash at the end.
        uploads: Where it stores files.
        loop_thread: The thread of its loop.
        query_threads: The threads that have queried, one for each query.
    """

    def __init__(self, url: str, unblocked: bool, uploads: Path) -> None:
        self.unblocked = unblocked
        self.uploads = uploads
        self.address = ""
        self.query_threads: list[threading.Thread] = []
        self._closing = contextlib.ExitStack()
        self._connections = 0  # in use; guarded by the condition
        self._changed = threading.Condition()
        self.engine = models.connect(url)
        self._closing.callback(models.drop, self.engine)
        self._closing.callback(ChatSocketHandler.present.clear)
        models.create(self.engine, sales=400)
        self._observe()
        self.app = make_app(str(uploads))
        if unblocked:
            unblock_application(self.app)
        self._loop = asyncio.new_event_loop()
        self.loop_thread = threading.Thread(target=self._run, name="loop")
        self.loop_thread.start()
        self._closing.callback(self._stop)
        self.call(self._serve)

    def _observe(self) -> None:
        def used(change: int) -> None:
            with self._changed:
                self._connections += change
                self._changed.notify_all()

        def query(*args: Any) -> None:
            self.query_threads.append(threading.current_thread())

        event.listen(self.engine, "checkout", lambda *args: used(1))
        event.listen(self.engine, "checkin", lambda *args: used(-1))
        event.listen(self.engine, "before_cursor_execute", query)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _serve(self) -> None:
        sockets = bind_sockets(0, "127.0.0.1")
        self.address = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        self._server = HTTPServer(self.app)
        self._server.add_sockets(sockets)

    def _stop(self) -> None:
        async def close() -> None:
            self._server.stop()
            await self._server.close_all_connections()

        self.call(close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self.loop_thread.join(WAIT)
        self._loop.close()

    def call(self, fn: Callable[[], Any]) -> Any:
        """Run a function, or coroutine function, on the loop thread."""

        async def run() -> Any:
            result = fn()
            return await result if isinstance(result, Awaitable) else result

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(WAIT)

    def visitor(self, name: str = "") -> Visitor:
        """Return a new visitor, logged in if there is a name."""
        visitor = self._closing.enter_context(Visitor(self.address))
        if name:
            assert visitor.log_in(name).status_code == 200
        return visitor

    def settle(self) -> None:
        """Wait until every request has removed its session."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._connections == 0, WAIT)

    def close(self) -> None:
        with self._closing:
            self.settle()

    @contextlib.contextmanager
    def slow_report(self) -> Iterator[Report]:
        """Provide the means to hold the report's query; it goes on after the block."""
        report = Report()
        event.listen(self.engine, "before_cursor_execute", report.hold)
        try:
            yield report
        finally:
            report.go_on.set()
            event.remove(self.engine, "before_cursor_execute", report.hold)


class Report:
    """The report's query, held until it may go on."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.threads: list[threading.Thread] = []
        self._arrived = threading.Condition()

    def hold(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "running_total" in statement:
            with self._arrived:
                self.threads.append(threading.current_thread())
                self._arrived.notify_all()
            assert self.go_on.wait(WAIT)

    def wait_for(self, number: int) -> None:
        """Wait until a number of queries are held at once."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.threads) >= number, WAIT)


class Visitor(requests.Session):
    """A browser's cookies and forms, without the browser."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.trust_env = False
        self.address = address
        self.name = ""

    def request(self, method: Any, url: Any, **options: Any) -> requests.Response:
        options.setdefault("timeout", WAIT)
        return super().request(method, f"{self.address}{url}", **options)

    def submit(
        self, path: str, page: str = "/login", files: Any = None, **fields: str
    ) -> requests.Response:
        """Open a page, and send its form with its hidden field."""
        found = re.search(r'name="_xsrf" value="([^"]+)"', self.get(page).text)
        assert found is not None
        return self.post(path, data={"_xsrf": found[1], **fields}, files=files)

    def log_in(self, name: str, password: str = "", **fields: str) -> requests.Response:
        self.name = name
        password = password or models.USERS[name]
        return self.submit("/login", name=name, password=password, **fields)

    async def enter_chat(self, **headers: str) -> Chatter:
        """Open a socket to the chat room."""
        cookies = "; ".join(f"{c.name}={c.value}" for c in self.cookies)
        request = HTTPRequest(
            f"{self.address.replace('http', 'ws', 1)}/chat/socket",
            headers={"Cookie": cookies, **headers},
        )
        return Chatter(await websocket_connect(request), self.name)


class Chatter:
    """One who is in the chat room."""

    def __init__(self, socket: WebSocketClientConnection, name: str) -> None:
        self.socket = socket
        self.name = name
        self._open = True
        self._heard: set[int] = set()

    def say(self, text: str) -> None:
        self.socket.write_message(text)

    async def hear(self) -> Optional[tuple[str, str]]:
        """Return the next message's author and text; None if there is no more."""
        while True:
            raw = await asyncio.wait_for(self.socket.read_message(), WAIT)
            if raw is None:
                self._open = False
                return None
            message = json.loads(raw)
            if message["id"] not in self._heard:  # the page does the same
                self._heard.add(message["id"])
                return message["author"], message["text"]

    async def hear_many(self, number: int) -> list[Any]:
        return [await self.hear() for _ in range(number)]

    async def hear_words(self, number: int) -> list[Any]:
        """Return a number of messages, hellos aside."""
        heard: list[Any] = []
        while len(heard) < number:
            message = await self.hear()
            if message is None or message[1] != HELLO:
                heard.append(message)
        return heard

    async def join(self) -> None:
        """Say hello, and wait until one is surely in the room."""
        self.say(HELLO)
        while await self.hear() != (self.name, HELLO):
            pass

    async def leave(self) -> None:
        """Leave, and wait until the server knows."""
        self.socket.close()
        while self._open:
            await self.hear()
