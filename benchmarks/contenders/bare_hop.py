"""A hop and nothing else: the cheapest there is for short bodies, fit for no service.

No limits, no timeouts, no shutdown, no context variables, no event loop in the body, no
statistics; a handler that sends anything before it ends sends it from the wrong thread.
Where bodies do nothing, what is between this and `unblock` is what those cost, and what
is between this and `native` is what changing threads costs.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import threading
import time
from typing import Any, Callable

from tornado.web import Application, RequestHandler

from benchmarks.contenders import DONE, pages

Job = tuple["asyncio.Future[Any]", Callable[[], Any]]


class Pool:
    """Workers, reused last-in-first-out, and one wake-up for what many have done."""

    # Threads: `_jobs`, `_idle`, `_threads` and `_waking` are guarded by `_lock`.

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._jobs: collections.deque[Job] = collections.deque()
        self._idle: list[Any] = []
        self._threads = 0
        self._waking = self._asked = self._told = False
        self._done: collections.deque[Any] = collections.deque()

    def run(self, fn: Callable[[], Any]) -> asyncio.Future[Any]:
        """Run ``fn`` on a worker, once the loop has nothing else to do."""
        future = self._loop.create_future()
        with self._lock:
            self._jobs.append((future, fn))
        if not self._asked:
            self._asked = True
            self._loop.call_soon(self._loop.call_soon, self._wake)
        return future

    def _wake(self) -> None:
        self._asked = False
        with self._lock:
            self._wake_one()

    def _wake_one(self) -> None:
        if not self._jobs or self._waking:
            return
        if self._idle:
            self._waking = True
            self._idle.pop().release()
        elif self._threads < self._workers:
            self._waking = True
            self._threads += 1
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        wake_up = threading.Lock()
        wake_up.acquire()
        woken = True
        while True:
            job = None
            with self._lock:
                if woken:
                    woken = self._waking = False
                if self._jobs:
                    job = self._jobs.popleft()
                    self._wake_one()
                else:
                    self._idle.append(wake_up)
            if job is None:
                wake_up.acquire()
                woken = True
            else:
                self._do(*job)

    def _do(self, future: asyncio.Future[Any], fn: Callable[[], Any]) -> None:
        try:
            outcome = future.set_result, fn()
        except Exception as error:
            outcome = future.set_exception, error
        self._done.append(outcome)
        if not self._told:
            self._told = True
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._told = False
        for _ in range(len(self._done)):
            settle, value = self._done.popleft()
            settle(value)


class Trivial(RequestHandler):
    """A body that does nothing: what is left is the way there and back."""

    def get(self) -> asyncio.Future[Any]:
        """Answer."""
        hop: asyncio.Future[Any] = self.settings["pool"].run(self._body)
        return hop

    def _body(self) -> None:
        self.write(DONE)


class Wait(RequestHandler):
    """A body that waits, as for a database."""

    def get(self, seconds: str) -> asyncio.Future[Any]:
        """Answer after so many seconds."""
        body = functools.partial(self._body, float(seconds))
        hop: asyncio.Future[Any] = self.settings["pool"].run(body)
        return hop

    def _body(self, seconds: float) -> None:
        time.sleep(seconds)
        self.write(DONE)


def application(workers: int) -> Application:
    """Return the application; call this on its loop."""
    return Application(pages(Trivial, Wait), pool=Pool(workers))
