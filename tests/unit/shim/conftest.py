"""The places from which the shim is called, and what is called."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import Any, Callable

from tornado.web import Application, RequestHandler

from tests.patience import WAIT
from tornado_unblock import run_in_executor, unblock, unblock_application

Call = Callable[[], Any]


def in_script(fn: Call) -> Any:
    """Call it in a thread that never had a loop; the test's own."""
    return fn()


def in_foreign_thread(fn: Call) -> Any:
    """Call it in a thread that belongs to nobody."""
    outcome: concurrent.futures.Future[Any] = concurrent.futures.Future()

    def run() -> None:
        try:
            outcome.set_result(fn())
        except BaseException as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=run, name="foreign")
    thread.start()
    thread.join(WAIT)
    return outcome.result(0)


def in_worker(fn: Call) -> Any:
    """Call it in a worker of `run_in_executor`."""

    async def main() -> Any:
        return await run_in_executor(fn)

    return asyncio.run(main())


def in_coroutine(fn: Callable[[], Any]) -> Any:
    """Await what it returns in a coroutine on a loop of its own."""

    async def main() -> Any:
        return await fn()

    return asyncio.run(main())


def application(kind: str, body: Callable[[RequestHandler], Any]) -> Application:
    """Return an application whose handler calls ``body``, moved to a worker somehow.

    Args:
        kind: "method", "class" or "application".
        body: Gets the handler.
    """

    class Handler(RequestHandler):
        def get(self) -> Any:
            return body(self)

    if kind == "method":
        Handler.get = unblock(Handler.get)
    elif kind == "class":
        unblock(Handler)
    app = Application([("/", Handler)])
    return unblock_application(app) if kind == "application" else app
