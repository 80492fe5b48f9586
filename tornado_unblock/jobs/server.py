"""Workers in a server: jobs on an executor of their own, beside the requests.

One thread takes jobs out of the store, never more than there are free workers; each
job is one offload, so the executor's statistics and its drain know it by name.

# Threads: `started` and `stop` on the loop thread; `_feed` and what it calls in a
# thread of its own. A taken job is in `_handed` until one of them pops it.
# Guarantees:
# - no job is begun once the loop's drain has begun; those that run may end;
# - what still runs at the deadline goes back to the queue when this process ends, or
#   the one that runs it, which is ended then; that is not counted as an attempt;
# - a store that is away is asked again each second, and loses nothing here.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import functools
import threading
import time
from typing import TYPE_CHECKING, Any, Optional

from tornado.log import app_log

from tornado_unblock._errors import (
    ConfigurationError,
    JobStoreError,
    LoopClosedError,
    RejectedError,
    RunTimeoutError,
)
from tornado_unblock._executors.options import Options
from tornado_unblock._executors.registry import configure, executors, options_of
from tornado_unblock._executors.threads import start_thread
from tornado_unblock._loop.portal import current_portal
from tornado_unblock._offload.run_in_executor import run_in_executor
from tornado_unblock._shutdown.drain import is_draining
from tornado_unblock.jobs.attempt import parked
from tornado_unblock.jobs.child import run_in_child

if TYPE_CHECKING:
    from tornado_unblock.jobs.app import Jobs

# How often the store is asked for work that other processes have put there, and what
# is due now and then is done, in seconds.
_POLL = 0.1
_TICK = 1.0
# What says of a job that it runs on, and that nobody waits for it.
_RUNS_ON = (RejectedError, RunTimeoutError)


class Server:
    """The workers of one loop; what `start` returns."""

    def __init__(self, app: Jobs, workers: int, executor: str, processes: bool) -> None:
        self._app, self._executor, self._processes = app, executor, processes
        self._workers = workers
        self._engine = app.engine
        self._portal = current_portal()
        self._free = threading.Semaphore(workers)
        # Set when there may be work, or an end.
        self._wake = threading.Event()
        self._stopping = False
        self._handed: dict[str, Any] = {}
        # Taken, but no worker could have them, or none ever can and why: for the thread
        # to put back.
        self._refused: collections.deque[tuple[Any, Optional[Exception]]]
        self._refused = collections.deque()
        # What processes run: for which the loop waits, and for which it does not.
        self._begun: dict[str, Any] = {}
        self._left: collections.deque[Any] = collections.deque(maxlen=workers)
        self._ended: asyncio.Future[None] = self._portal.loop.create_future()

    @classmethod
    def started(
        cls,
        app: Jobs,
        workers: int,
        *,
        executor: str = "jobs",
        processes: bool = False,
    ) -> Server:
        """Run jobs on this loop from now on; loop thread.

        Args:
            app: Whose jobs.
            workers: How many run at a time.
            executor: The name of their executor; others should not use it.
            processes: Whether its workers are processes, for jobs that compute.

        Returns:
            What can be stopped; `shutdown` does that, too.

        Raises:
            ConfigurationError: ``workers`` is no number, the executor is in use with
                other options, or `configure` was not called.
            LoopThreadError: No loop runs in this thread.
        """
        wanted: dict[str, Any] = {"max_workers": workers, "max_endpoint_share": 1.0}
        if processes:
            wanted = {"processes": workers}
        options, made = Options(**wanted), executors().get(executor)
        server = cls(app, workers, executor, processes)
        if made is None or options_of(made) != options:
            configure(executor, **wanted)
        app.engine.store.on_put = server._wake.set
        server._portal.before_close.append(server._shut)
        server._portal.after_close.append(server._tell_stop)
        start_thread(server._feed, "unblock-jobs")
        return server

    async def stop(self) -> None:
        """Take no more jobs; those that run go on; loop thread.

        When this process ends before they do, they go back to the queue.
        """
        self._tell_stop()
        await self._ended

    async def _shut(self) -> None:
        """Stop, and end the processes that run on after the deadline; loop thread."""
        await self.stop()
        await asyncio.sleep(0)  # what the drain has given up is told of now
        if self._left:
            self._ended = self._portal.loop.create_future()
            start_thread(self._kill, "unblock-jobs-kill")
            await self._ended

    def _kill(self) -> None:
        self._forgive(list(self._left))
        executor: Any = executors()[self._executor]
        executor.kill()
        self._post(self._end)

    def _forgive(self, tasks: list[Any]) -> None:
        try:
            self._engine.store.forgive(*(task.taken for task in tasks))
        except Exception as error:
            app_log.error("What runs here is put back when this ends: %s", error)

    def _tell_stop(self) -> None:
        self._stopping = True
        self._wake.set()

    # -- the thread that takes jobs ------------------------------------------------

    def _feed(self) -> None:
        tick_at = 0.0
        while not self._stopping:
            self._wake.clear()
            try:
                if time.monotonic() >= tick_at:
                    tick_at = time.monotonic() + _TICK
                    self._app.tick()
                self._put_back()
                if self._take():
                    continue
            except JobStoreError as error:
                app_log.error("No jobs are taken for now: %s", error)
                self._wake.wait(_TICK)
            except Exception:
                # Without this thread nothing would be run, and nobody would know.
                app_log.error("No jobs are taken for now", exc_info=True)
                self._wake.wait(_TICK)
            self._wake.wait(_POLL)
        self._leave()
        self._post(self._end)

    def _take(self) -> bool:
        """Take a job if a worker is free, and hand it on; whether there was one."""
        if not self._free.acquire(timeout=_POLL):
            return False
        task = None
        try:
            task = self._engine.huey.dequeue()
        finally:
            if task is None:
                self._free.release()
        if task is None:
            return False
        self._handed[task.id] = task
        self._post(self._begin, task.id)
        return True

    def _post(self, fn: Any, *args: Any) -> bool:
        try:
            self._portal.call_soon(fn, *args)
        except LoopClosedError:
            self._stopping = True
            return False
        return True

    def _put_back(self) -> None:
        while self._refused:
            task, error = self._refused[0]
            if error is None:
                self._engine.store.put_back(task.taken)
            else:
                self._engine.store.finish(task.taken, parked(task.taken, error))
            self._refused.popleft()

    def _leave(self) -> None:
        """Put back what was not begun, and excuse what runs on."""
        while self._handed:
            with contextlib.suppress(KeyError):  # the loop thread was faster
                self._refused.append((self._handed.popitem()[1], None))
        try:
            self._put_back()
        except Exception as error:
            app_log.error("What runs here is put back when this ends: %s", error)
        self._forgive([*self._begun.copy().values(), *self._left])

    # -- the loop thread -----------------------------------------------------------

    def _begin(self, job_id: str) -> None:
        if is_draining(self._portal):
            self._tell_stop()
        if self._stopping:
            return  # the thread puts it back
        task = self._handed.pop(job_id)
        try:
            future = run_in_executor(self._work(task), executor=self._executor)
        except RejectedError:  # others use the executor, and it is full
            self._refused.append((task, None))
            self._free.release()
            return
        if self._processes:
            self._begun[task.id] = task
        future.add_done_callback(functools.partial(self._over, task))

    def _work(self, task: Any) -> Any:
        """Return what the worker does."""
        if self._processes:
            module, taken, owner = self._engine.for_child(task)
            settings = self._engine.settings
            return functools.partial(run_in_child, module, taken, owner, settings)

        def run() -> None:
            self._engine.huey.execute(task)

        run.__qualname__ = task.job_name
        return run

    def _over(self, task: Any, future: asyncio.Future[None]) -> None:
        error = None if future.cancelled() else future.exception()
        begun, pause = self._begun.pop(task.id, None), False
        if isinstance(error, _RUNS_ON):
            if begun is not None:
                self._left.append(task)
        elif isinstance(error, ConfigurationError):
            self._refused.append((task, error))  # no process will ever find it
        elif error is not None:
            app_log.error("Job %s (%s): %s", task.id, task.job_name, error)
            self._refused.append((task, None))
            pause = True  # what fails at once is not to be tried again at once
        if pause:
            self._portal.loop.call_later(_TICK, self._free_one)
        else:
            self._free_one()

    def _free_one(self) -> None:
        self._free.release()
        self._wake.set()

    def _end(self) -> None:
        self._ended.set_result(None)


class ThreadServer(Server):
    """The same where a broker brings the jobs: its threads wait while the workers run.

    So executor, statistics and drain are those of any other offload.
    """

    def __init__(self, app: Jobs, workers: int, executor: str, processes: bool) -> None:
        from tornado_unblock.jobs.broker import check_threads

        check_threads(processes)
        super().__init__(app, workers, executor, processes)

    def _feed(self) -> None:
        from tornado_unblock.jobs.broker import Workers

        workers = Workers(self._engine, self._workers, self._offload)
        while not self._stopping:
            self._wake.wait()
            self._wake.clear()
        workers.take_no_more()
        with contextlib.suppress(JobStoreError):
            self._engine.store.forgive()
        self._post(self._end)
        workers.stop(float("inf"))

    def _offload(self, record: dict[str, Any]) -> None:
        """Have a worker do what a message asks for; a thread of dramatiq's."""
        turn = _Turn()
        posted = self._post(self._start, record, turn)
        if not (posted and turn.wait()):
            self._engine.put_back(record)

    def _start(self, record: dict[str, Any], turn: _Turn) -> None:
        if is_draining(self._portal):
            self._tell_stop()
        if self._stopping:
            return turn.end()

        def run() -> None:
            turn.started = True
            try:
                self._engine.perform(record)
            finally:
                turn.end()

        run.__qualname__ = record["name"]
        try:
            future = run_in_executor(run, executor=self._executor)
        except RejectedError:  # others use the executor, and it is full
            return turn.end()
        future.add_done_callback(turn.over)


class _Turn:
    """One message on its way to a worker, for whose end a thread waits."""

    def __init__(self) -> None:
        self.started = False
        self._ended = threading.Event()

    def end(self) -> None:
        """Have the thread go on."""
        self._ended.set()

    def over(self, future: asyncio.Future[None]) -> None:
        """The loop waits no more; if a worker has it, that goes on."""
        if not future.cancelled():
            future.exception()
        if not self.started:
            self.end()

    def wait(self) -> bool:
        """Wait for the end; whether a worker had it."""
        self._ended.wait()
        return self.started
