"""Runs the Python blocks of a page; what they find defined.

==================  =============================================================
``serve(app)``      a context manager: a real server with the application (or a
                    list of endpoints) on a loop of its own, which gives a client
                    with ``get``, ``post`` and ``request``; also ``server.call(fn)``
``program(text)``   a context manager: ``text`` as a program of its own, with a
                    free port in place of 8888; gives a client and its process
``shown``           the texts of the page's visible blocks so far
``allow_log``       as in tests/conftest.py
``run_pytest``      ``run_pytest(**files)`` runs test files and returns the output
==================  =============================================================

TestCase classes that a page defines are run at its end.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import http.client
import inspect
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import types
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from tests.docs.pages import Block, blocks
from tests.patience import WAIT


class Response:
    """What a server answered."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = dict(response.getheaders())
        self.body = response.read()
        self.text = self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Asks one server; each request on a connection of its own."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str, **headers: str) -> Response:
        return self.request("GET", path, **headers)

    def post(self, path: str, body: str = "", **headers: str) -> Response:
        return self.request("POST", path, body, **headers)

    def request(
        self, method: str, path: str, body: str = "", **headers: str
    ) -> Response:
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        ) as connection:
            connection.request(method, path, body or None, headers)
            return Response(connection.getresponse())


class Served(Client):
    """A server in this process, on a loop of its own."""

    def __init__(self, app: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.app = app if isinstance(app, Application) else Application(list(app))
        self._thread = threading.Thread(target=self._run, name="docs-loop")
        self._thread.start()
        super().__init__(self.call(self._listen))

    def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Run a function or coroutine function on the server's loop thread."""

        async def run() -> Any:
            result = fn(*args)
            return await result if inspect.isawaitable(result) else result

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(WAIT)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def _listen(self) -> int:
        sockets = bind_sockets(0, "127.0.0.1")
        self.server = HTTPServer(self.app)
        self.server.add_sockets(sockets)
        return int(sockets[0].getsockname()[1])

    async def _end(self) -> None:
        self.server.stop()
        await self.server.close_all_connections()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=WAIT)

    def close(self) -> None:
        self.call(self._end)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(WAIT)
        self.loop.close()


@contextlib.contextmanager
def serve(app: Any) -> Iterator[Served]:
    """Serve an application, or a list of endpoints."""
    served = Served(app)
    try:
        yield served
    finally:
        served.close()


class Program(Client):
    """A program of its own that serves."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        super().__init__(port)
        self.process = process

    def stop(self, number: int = signal.SIGTERM, *, group: bool = False) -> str:
        """Send a signal; return what the program printed until its end."""
        pid = self.process.pid
        if group:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
        rest, _ = self.process.communicate(timeout=WAIT)
        return rest


@contextlib.contextmanager
def program(text: str, folder: Path, env: dict[str, str]) -> Iterator[Program]:
    """Run ``text``; it prints a line once it serves."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "app.py").write_text(re.sub(r"\b8888\b", str(port), text))
    with subprocess.Popen(
        [sys.executable, "-u", "app.py"],
        cwd=folder,
        env={**env, "PYTHONWARNINGS": "default"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert str(port) in line, line + process.stdout.read()
            yield Program(process, port)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


class Page:
    """One page's namespace, and the loop on which its ``await`` runs."""

    def __init__(self, path: Path, given: dict[str, Any]) -> None:
        self.path = path
        self._given = {**given, "serve": serve, "shown": []}
        self._loop = asyncio.new_event_loop()
        self._names: dict[str, Any] = {}
        self._modules: list[str] = []
        self._begin()

    def _begin(self) -> None:
        # A module, for dataclasses, pickle and annotations to find it.
        name = f"docs_page_{len(self._modules)}"
        module = types.ModuleType(name)
        sys.modules[name] = module
        self._modules.append(name)
        self._names = vars(module)
        self._names.update(self._given)

    def run(self) -> int:
        """Run all that is to be run; returns how many visible blocks that were."""
        ran = 0
        try:
            for block in blocks(self.path):
                if block.language == "python":
                    ran += self._run(block)
            self._run_tests()
        finally:
            self._loop.close()
            for name in self._modules:
                del sys.modules[name]
        return ran

    def _run(self, block: Block) -> bool:
        code = self._compile(block)
        if block.kind == "fragment":
            return False
        if block.kind == "fresh":
            self._run_tests()
            self._begin()
        self._execute(code)
        if block.kind != "run":
            self._given["shown"].append(block.text)
        return block.kind != "run"

    def _compile(self, block: Block) -> Any:
        # Empty lines in front: a traceback names the page's own line.
        text = "\n" * (block.line - (block.kind == "run")) + block.text
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        return compile(text, str(block.path), "exec", flags, dont_inherit=True)

    def _execute(self, code: Any) -> None:
        if not code.co_flags & inspect.CO_COROUTINE:
            exec(code, self._names)
            return
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(eval(code, self._names))
        finally:
            asyncio.set_event_loop(None)

    def _run_tests(self) -> None:
        cases = [
            value
            for value in self._names.values()
            if issubclass(type(value), type)  # a proxy would open what it is for
            and issubclass(value, unittest.TestCase)
            and value.__module__ == self._names["__name__"]
        ]
        loader, suite = unittest.TestLoader(), unittest.TestSuite()
        for case in cases:
            suite.addTests(loader.loadTestsFromTestCase(case))
        output = io.StringIO()
        result = unittest.TextTestRunner(output, verbosity=2).run(suite)
        assert result.wasSuccessful(), output.getvalue()
        assert bool(cases) == bool(result.testsRun), f"{self.path}: no test ran"
