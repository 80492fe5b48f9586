"""`legacy`: what Tornado 6 removed, as it is written today."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest

from tests.unit.scan.fixes.pairs import Pair, check, pair, run_both
from tornado_unblock._scan.fixes import RULES, Facts

ENGINE = pair(
    """
    import time
    import tornado.web
    from tornado import gen
    from tornado.ioloop import IOLoop

    class A(tornado.web.RequestHandler):
        @tornado.web.asynchronous
        @gen.engine
        def get(self):  # waits
            yield gen.Task(IOLoop.instance().add_timeout, time.time() + 0.01)
            both = yield [self.one(), self.one()]
            yield gen.Task(self.old, "x")
            yield None
            yield gen.moment
            one = yield self.one()
            if self.get_argument("early", ""):
                self.finish("early")
                raise gen.Return()
            value = yield gen.sleep(0)
            self.finish({"both": both, "one": one, "value": value})

        @gen.coroutine
        def one(self):
            yield gen.moment
            raise gen.Return(1)

        def old(self, what, callback):
            IOLoop.instance().add_callback(callback, what)

    def make_app():
        return tornado.web.Application([("/", A)])
    """,
    """
    import time
    import tornado.web
    from tornado import gen
    from tornado.ioloop import IOLoop
    from tornado_unblock.shim.legacy import Task

    class A(tornado.web.RequestHandler):
        async def get(self):  # waits
            await gen.sleep(0.01)
            both = await gen.multi([self.one(), self.one()])
            await Task(self.old, "x")
            await gen.sleep(0)
            await gen.sleep(0)
            one = await self.one()
            if self.get_argument("early", ""):
                self.finish("early")
                return
            value = await gen.sleep(0)
            self.finish({"both": both, "one": one, "value": value})

        @gen.coroutine
        def one(self):
            yield gen.moment
            raise gen.Return(1)

        def old(self, what, callback):
            IOLoop.instance().add_callback(callback, what)

    def make_app():
        return tornado.web.Application([("/", A)])
    """,
    "IOLoop.instance().add_callback: on another thread it is another loop",
)
CALLBACK = pair(
    """
    import tornado.httpclient
    from tornado.web import Application, RequestHandler, asynchronous

    class Hello(RequestHandler):
        def get(self):
            self.write("hello")

    class Proxy(RequestHandler):
        @asynchronous
        def get(self):
            client = tornado.httpclient.AsyncHTTPClient()
            client.fetch("http://127.0.0.1:%d/hello" % PORT, callback=self.on_response)

        def on_response(self, response):
            self.finish(response.body)

    def make_app():
        return Application([("/", Proxy), ("/hello", Hello)])
    """,
    """
    import tornado.httpclient
    from tornado.web import Application, RequestHandler
    from tornado_unblock.shim.legacy import asynchronous
    from tornado_unblock.shim.legacy import AsyncHTTPClient

    class Hello(RequestHandler):
        def get(self):
            self.write("hello")

    class Proxy(RequestHandler):
        @asynchronous
        def get(self):
            client = AsyncHTTPClient()
            client.fetch("http://127.0.0.1:%d/hello" % PORT, callback=self.on_response)

        def on_response(self, response):
            self.finish(response.body)

    def make_app():
        return Application([("/", Proxy), ("/hello", Hello)])
    """,
    "async def is better",
)
EXECUTOR = pair(
    """
    from concurrent.futures import ThreadPoolExecutor
    import tornado.web
    from tornado.concurrent import run_on_executor

    class A(tornado.web.RequestHandler):
        executor = ThreadPoolExecutor(2)

        @run_on_executor
        def get(self):
            self.write("worker")

        @run_on_executor(executor="executor")
        def post(self):
            self.set_status(201)
            return

    def make_app():
        return tornado.web.Application([("/", A)])
    """,
    """
    from concurrent.futures import ThreadPoolExecutor
    import tornado.web
    from tornado.concurrent import run_on_executor
    from tornado_unblock import unblock

    class A(tornado.web.RequestHandler):
        executor = ThreadPoolExecutor(2)

        @unblock
        def get(self):
            self.write("worker")

        @unblock
        def post(self):
            self.set_status(201)
            return

    def make_app():
        return tornado.web.Application([("/", A)])
    """,
)
COROUTINE = pair(
    """
    from tornado.gen import coroutine, sleep
    from tornado.web import asynchronous
    from tornado.web import Application, RequestHandler

    class A(RequestHandler):
        @asynchronous
        @coroutine
        def get(self):
            yield sleep(0)
            self.write("done")

        @asynchronous
        async def post(self):
            self.write("posted")

    def make_app():
        return Application([("/", A)])
    """,
    """
    from tornado.gen import coroutine, sleep
    from tornado.web import Application, RequestHandler

    class A(RequestHandler):
        @coroutine
        def get(self):
            yield sleep(0)
            self.write("done")

        async def post(self):
            self.write("posted")

    def make_app():
        return Application([("/", A)])
    """,
)
LATER = pair(
    """
    from tornado.gen import Task, engine
    from tornado.ioloop import IOLoop
    from tornado.web import Application, RequestHandler, asynchronous

    class A(RequestHandler):
        @asynchronous
        @engine
        def get(self):
            ready = yield Task(self.load)
            if ready:
                self.finish("at once")
            else:
                IOLoop.instance().call_later(0, self.on_ready)

        def load(self, callback):
            callback(self.get_argument("ready", ""))

        def on_ready(self):
            self.finish("later")

    def make_app():
        return Application([("/", A)])
    """,
    """
    from tornado_unblock.shim.legacy import Task, engine
    from tornado.ioloop import IOLoop
    from tornado.web import Application, RequestHandler
    from tornado_unblock.shim.legacy import asynchronous

    class A(RequestHandler):
        @asynchronous
        @engine
        def get(self):
            ready = yield Task(self.load)
            if ready:
                self.finish("at once")
            else:
                IOLoop.current().call_later(0, self.on_ready)

        def load(self, callback):
            callback(self.get_argument("ready", ""))

        def on_ready(self):
            self.finish("later")

    def make_app():
        return Application([("/", A)])
    """,
    "get does not finish here on every path",
)
INHERITED = pair(
    """
    from tornado import gen
    from tornado.web import Application, RequestHandler, asynchronous

    class B(RequestHandler):
        @asynchronous
        @gen.engine
        def get(self):
            yield gen.sleep(0)
            self.finish("done")

        @asynchronous
        @gen.engine
        def post(self):
            yield (gen.sleep(0))
            self.finish("posted")

    class C(B):
        def get(self):
            super(C, self).get()

    def make_app():
        return Application([("/", C)])
    """,
    """
    from tornado import gen
    from tornado.web import Application, RequestHandler
    from tornado_unblock.shim.legacy import asynchronous
    from tornado_unblock.shim.legacy import engine

    class B(RequestHandler):
        @asynchronous
        @engine
        def get(self):
            yield gen.sleep(0)
            self.finish("done")

        async def post(self):
            await (gen.sleep(0))
            self.finish("posted")

    class C(B):
        def get(self):
            super(C, self).get()

    def make_app():
        return Application([("/", C)])
    """,
    "get: one of this name is called in line 19",
)
BOTH_SPELLINGS = pair(
    """
    from tornado import httpclient, web
    from tornado.httpclient import AsyncHTTPClient
    from tornado.web import asynchronous

    class Hello(web.RequestHandler):
        @web.asynchronous
        def get(self):
            self.finish("hello")

    class Proxy(web.RequestHandler):
        @asynchronous
        def get(self):
            client = httpclient.AsyncHTTPClient()
            assert isinstance(client, AsyncHTTPClient)
            client.fetch("http://127.0.0.1:%d/hello" % PORT, callback=self.on_response)

        def on_response(self, response):
            self.finish(response.body)

    def make_app():
        return web.Application([("/", Proxy), ("/hello", Hello)])
    """,
    """
    from tornado import httpclient, web
    from tornado_unblock.shim.legacy import AsyncHTTPClient
    from tornado_unblock.shim.legacy import asynchronous

    class Hello(web.RequestHandler):
        @asynchronous
        def get(self):
            self.finish("hello")

    class Proxy(web.RequestHandler):
        @asynchronous
        def get(self):
            client = AsyncHTTPClient()
            assert isinstance(client, AsyncHTTPClient)
            client.fetch("http://127.0.0.1:%d/hello" % PORT, callback=self.on_response)

        def on_response(self, response):
            self.finish(response.body)

    def make_app():
        return web.Application([("/", Proxy), ("/hello", Hello)])
    """,
    "async def is better",
    "async def is better",
)
RUN: dict[str, tuple[Pair, list[tuple[str, str]], list[Any]]] = {
    "engine": (
        ENGINE,
        [("GET", "/"), ("GET", "/?early=1"), ("POST", "/")],
        [200, 200, 405],
    ),
    "callback": (CALLBACK, [("GET", "/")], [200]),
    "executor": (EXECUTOR, [("GET", "/"), ("POST", "/")], [200, 201]),
    "later": (LATER, [("GET", "/"), ("GET", "/?ready=1")], [200, 200]),
    "inherited": (INHERITED, [("GET", "/"), ("POST", "/")], [200, 200]),
    "both spellings": (BOTH_SPELLINGS, [("GET", "/")], [200]),
    "coroutine": (COROUTINE, [("GET", "/"), ("POST", "/")], [200, 200]),
}
HEAD = "from tornado import gen, web\n"
ENGINE_OF = HEAD + "class A(web.RequestHandler):\n"
SHIM = "from tornado_unblock.shim.legacy import "


def engine(
    body: str, above: str = "@web.asynchronous\n    @gen.engine", name: str = "get"
) -> str:
    return f"{ENGINE_OF}    {above}\n    def {name}(self):\n        {body}\n"


#: Verbs that are left as they are, but for where their decorators come from.
LEFT = {
    engine("yield gen.sleep(0)"): "does not finish here",
    engine("self.finish()\n        return 3; yield"): "returns a value",
    engine("yield\n        if x: self.finish()"): "on every path",
    engine("self.finish()\n        yield other"): "is it awaitable",
    engine("self.finish(); yield\n    head = get\n    x = lambda s: self.head()"): (
        "called by other"
    ),
    engine("self.finish(); yield") + "B.get(self)\n": "called in line 7",
    engine("self.finish(); yield") + "class B(A):\n    x = lambda self: self.get()\n": (
        "called in line 8"
    ),
    engine("self.finish(self.get); yield"): "called by other methods",
    engine(
        "yield\n        self.finish()\n        raise gen.Return(1)"
    ): "returns a value",
    engine("yield other()\n        self.finish()"): "is it awaitable",
    engine("yield other\n        self.finish()"): "is it awaitable",
    engine("f = lambda: self.get()\n        self.finish(); yield"): "called by other",
    engine("self.finish(); yield", "@gen.engine"): "without asynchronous",
    engine("yield gen.sleep(0)", "@gen.engine", "load"): "to a callback",
    engine(
        "self.finish(); yield", "@web.asynchronous  # old\n    @gen.engine"
    ): "comments",
}
HARD = [
    HEAD + "x = gen.Callback('k')\n",
    HEAD + "class Y(gen.YieldPoint): pass\n",
    "from tornado.gen import Wait\n",
    "from tornado import stack_context\nstack_context.wrap(f)\n",
    "from tornado.stack_context import wrap\n",
]
SMALL = {
    "instance": pair(
        "import tornado.ioloop\ntornado.ioloop.IOLoop.instance().start()\n",
        "import tornado.ioloop\ntornado.ioloop.IOLoop.current().start()\n",
    ),
    "an instance for other threads": pair(
        "from tornado.ioloop import IOLoop as L\nL.instance().add_callback(f)\n"
        "L.instance().call_later(1, f)\n",
        "from tornado.ioloop import IOLoop as L\nL.instance().add_callback(f)\n"
        "L.current().call_later(1, f)\n",
        "L.instance().add_callback: on another thread it is another loop",
    ),
    "another instance": pair("from mine import IOLoop\nIOLoop.instance()\n"),
    "return_future": pair(
        "from tornado.concurrent import return_future as r\n@r\ndef f(callback): 1\n",
        SHIM + "return_future as r\n@r\ndef f(callback): 1\n",
    ),
    "an import nobody uses": pair(
        "from tornado.web import asynchronous\nx = 1\n", "x = 1\n"
    ),
    "the client by name": pair(
        "from tornado.httpclient import AsyncHTTPClient, HTTPRequest\n"
        "AsyncHTTPClient().fetch(HTTPRequest('x'), print)\n",
        "from tornado.httpclient import HTTPRequest\n" + SHIM + "AsyncHTTPClient\n"
        "AsyncHTTPClient().fetch(HTTPRequest('x'), print)\n",
    ),
    "a client without callbacks": pair(
        "from tornado.httpclient import AsyncHTTPClient\nAsyncHTTPClient().fetch('x')\n"
    ),
    "the name is taken": pair(
        HEAD + "def engine(): pass\n@gen.engine\ndef f(): yield\n", "", "something else"
    ),
    "a verb that returns": pair(
        "from tornado.concurrent import run_on_executor\nclass A:\n"
        "    @run_on_executor\n    def get(self): return 1\n",
        "",
        "returns a value",
    ),
    "a verb with others": pair(
        "from tornado.concurrent import run_on_executor\nclass A:\n"
        "    @other\n    @run_on_executor\n    def get(self): pass\n",
        "",
        "other decorators",
    ),
    "unblock is taken": pair(
        "from tornado.concurrent import run_on_executor\nunblock = 1\nclass A:\n"
        "    @run_on_executor\n    def get(self): pass\n",
        "",
        "unblock is something else",
    ),
    "yields in parentheses": pair(
        engine("x = yield(gen.Task(f))\n        yield ([f()])\n        yield[f()]")
        + "        yield (None)\n        self.finish()\n",
        HEAD + SHIM + "Task\nclass A(web.RequestHandler):\n    async def get(self):\n"
        "        x = await(Task(f))\n        await (gen.multi([f()]))\n"
        "        await gen.multi([f()])\n        await gen.sleep(0)\n"
        "        self.finish()\n",
    ),
    "one that cannot be, and one that can": pair(
        "import tornado.web\nfrom tornado.gen import engine\nsleep = 1\n"
        "class A(tornado.web.RequestHandler):\n"
        "    @tornado.web.asynchronous\n    @engine\n"
        "    def get(self):\n        yield\n        self.finish()\n"
        "    @tornado.web.asynchronous\n    @engine\n"
        "    def put(self):\n        self.finish()\n",
        "import tornado.web\n" + SHIM + "engine\n" + SHIM + "asynchronous\nsleep = 1\n"
        "class A(tornado.web.RequestHandler):\n"
        "    @asynchronous\n    @engine\n"
        "    def get(self):\n        yield\n        self.finish()\n"
        "    async def put(self):\n        self.finish()\n",
        "sleep is something else",
    ),
    "the class Return": pair(
        engine("yield\n        self.finish()\n        raise gen.Return"),
        HEAD + "class A(web.RequestHandler):\n    async def get(self):\n"
        "        await gen.sleep(0)\n        self.finish()\n        return\n",
    ),
    "a comment in a wait": pair(
        engine("yield gen.Task(a.add_timeout,  # b\n            time.time() + 1)")
        + "        self.finish()\n",
        HEAD + SHIM + "Task\nclass A(web.RequestHandler):\n    async def get(self):\n"
        "        await Task(a.add_timeout,  # b\n            time.time() + 1)\n"
        "        self.finish()\n",
    ),
    "of another kind": pair(
        engine("yield\n        self.finish()")
        + "class D(dict):\n    def x(self): return super().get(self.get(1))\n"
        "class E:\n    def get(self): pass\n    def x(self): return self.get()\n",
        HEAD + "class A(web.RequestHandler):\n    async def get(self):\n"
        "        await gen.sleep(0)\n        self.finish()\n"
        "class D(dict):\n    def x(self): return super().get(self.get(1))\n"
        "class E:\n    def get(self): pass\n    def x(self): return self.get()\n",
    ),
    "imported elsewhere": pair(
        "def f():\n    from tornado.gen import Task, engine, sleep\n    return Task\n"
        "try:\n    from tornado.web import asynchronous\n"
        "except ImportError:\n    asynchronous = None\n",
        "",
        "Task, engine of tornado.gen: imported in a function",
        "asynchronous of tornado.web: imported in a function, or on a condition",
    ),
    "a relative import": pair("from .tornado.web import asynchronous\n"),
    "an import that shares its line": pair(
        "from tornado.web import asynchronous; x = 1\n"
        "from tornado.web import (asynchronous as a, url); y = 2\n@a\ndef f(): 1\n",
        SHIM + "asynchronous; x = 1\n" + SHIM + "asynchronous as a; "
        "from tornado.web import (url); y = 2\n@a\ndef f(): 1\n",
    ),
    "a shared line that is left empty": pair(
        "from tornado.web import asynchronous; x = 1\n", "pass; x = 1\n"
    ),
    "no verb": pair(
        "from tornado.concurrent import run_on_executor\nclass A:\n"
        "    @run_on_executor\n    def work(self): return 1\n"
    ),
}


@pytest.mark.parametrize("name", RUN)
def test_pair(name: str) -> None:
    """Old forms become today's; what has no equal is the shim's, and is told."""
    check("legacy", RUN[name][0])


@pytest.mark.parametrize("name", RUN)
def test_runs(name: str, run_program: Callable[[str], str], tmp_path: Path) -> None:
    """The old text, with what Tornado 6 removed put back, answers as the new."""
    given, requests, codes = RUN[name]
    answers = run_both(run_program, tmp_path, given, requests, old=True)
    assert [code for code, _ in answers] == codes
    assert all(body for code, body in answers if code == 200)


@pytest.mark.parametrize("name", SMALL)
def test_small(name: str) -> None:
    """Each old name on its own."""
    check("legacy", SMALL[name])


@pytest.mark.parametrize("text", LEFT)
def test_left(text: str) -> None:
    """A verb that is not understood keeps its form, and runs by way of the shim."""
    fixed = RULES["legacy"](text, Facts())
    assert "async def" not in fixed.text
    assert SHIM + "engine\n" in fixed.text
    assert LEFT[text] in " ".join(left.why for left in fixed.left)


@pytest.mark.parametrize("text", HARD)
def test_hard(text: str) -> None:
    """The oldest forms are left to the reader, with all of their file."""
    check("legacy", pair(text, "", "too old"))


KEPT_YIELDS = {
    "yield gen.Task(a.add_timeout, deadline)": "await Task(a.add_timeout, deadline)",
    "yield gen.Task(a.add_timeout, t + 1)": "await Task(a.add_timeout, t + 1)",
    "yield gen.Task(a, 1, 2)": "await Task(a, 1, 2)",
    "yield gen.Task(a.b, 1, c=2)": "await Task(a.b, 1, c=2)",
    "yield asyncio.sleep(1)": "await asyncio.sleep(1)",
    "raise other": "raise other",
    "raise ValueError(yield_)": "raise ValueError(yield_)",
}


@pytest.mark.parametrize("line", KEPT_YIELDS)
def test_lines(line: str) -> None:
    """What waits is awaited; what is no wait for a time stays a task."""
    text = "import asyncio\n" + engine(f"self.finish()\n        {line}")
    fixed = RULES["legacy"](text, Facts())
    assert f"        {KEPT_YIELDS[line]}\n" in fixed.text
    assert "async def get" in fixed.text
