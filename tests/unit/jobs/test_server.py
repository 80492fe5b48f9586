"""Workers in a server."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from tests.patience import WAIT
from tests.unit.jobs import computed
from tornado_unblock import (
    ConfigurationError,
    LoopThreadError,
    configure,
    run_in_executor,
    shutdown,
    statistics,
)
from tornado_unblock._errors import JobStoreError
from tornado_unblock.jobs import server as server_module


class Gate:
    """A job that says when it runs, and ends when it is let."""

    def __init__(self) -> None:
        self.running, self.open = threading.Semaphore(0), threading.Event()

    def __call__(self) -> None:
        self.running.release()
        assert self.open.wait(WAIT)

    async def wait(self) -> None:
        assert await run_in_executor(self.running.acquire, timeout=WAIT)


async def until(ask):
    """Wait until ``ask()`` is true."""
    while not await run_in_executor(ask):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0)


async def ended(app, ticket):
    await until(lambda: app.state(ticket.id).ended)
    return await app.state.aio(ticket.id)


def serving(app, main, *args, **options):
    """Run ``main`` on a loop with workers; shut that down at the end."""

    async def run():
        server = app.start(*args, **options)
        try:
            return await asyncio.wait_for(main(server), WAIT)
        finally:
            await shutdown(deadline=WAIT)

    return asyncio.run(run())


def test_jobs_are_run(app):
    """What other threads and coroutines ask for is run, on the executor of the jobs."""
    threads = []

    def work(n):
        threads.append(threading.current_thread().name)
        return n + 1

    job = app.job(name="add.one")(work)

    async def main(server):
        tickets = [await job.later.aio(1), await run_in_executor(job.later, 2)]
        return [(await ended(app, ticket)).result for ticket in tickets]

    assert serving(app, main) == [2, 3]
    assert all("jobs" in name for name in threads)
    assert statistics()["jobs"].endpoints["add.one"].completed == 2


def test_as_many_as_there_are_workers(app):
    """Of one kind, too; the rest waits in the store, and not in the server."""
    gate = Gate()
    job = app.job(name="gate")(gate)

    async def main(server):
        tickets = [await job.later.aio() for _ in range(5)]
        for _ in range(3):
            await gate.wait()
        counts = await app.counts.aio()
        gate.open.set()
        for ticket in tickets:
            assert (await ended(app, ticket)).state == "done"
        return counts.running, counts.queued

    assert serving(app, main, 3) == (3, 2)


def drained(app):
    """Return the tickets of two jobs: one ran when a drain began, the other waited."""
    gate = Gate()
    job = app.job(name="gate")(gate)

    async def main():
        app.start(1)
        tickets = [await job.later.aio() for _ in range(2)]
        await gate.wait()
        ending = asyncio.ensure_future(shutdown(deadline=WAIT))
        await asyncio.sleep(0)
        gate.open.set()
        assert await ending == []
        return tickets

    return asyncio.run(main())


def test_drain(app):
    """A job that runs may end; what waits stays in the store."""
    tickets = drained(app)
    assert [app.state(t.id).state for t in tickets] == ["done", "queued"]
    assert app.state(tickets[1].id).attempts == 0


def test_after_the_deadline(app, expect_log):
    """What runs on is excused: it goes back when this process ends, uncounted."""
    gate = Gate()
    job = app.job(name="gate")(gate)

    async def main():
        app.start(1)
        ticket = await job.later.aio()
        await gate.wait()
        (left,) = await shutdown(deadline=0)
        assert (left.endpoint, left.running) == ("gate", True)
        return ticket

    expect_log("tornado.application", "gate: still running")
    ticket = asyncio.run(main())
    store = app.engine.store
    with store.db() as cursor:
        assert store.run(cursor, "select counts from {p}inflight") == [(0,)]
    gate.open.set()
    while not app.state(ticket.id).ended:
        pass
    assert app.state(ticket.id).state == "done"


def test_a_job_is_told(app, expect_log):
    """At the deadline it can see that it is not waited for."""
    running, seen = threading.Event(), []

    def work():
        from tornado_unblock import jobs

        running.set()
        while not jobs.current().cancelled():
            pass
        seen.append(1)

    job = app.job(name="told")(work)

    async def main():
        app.start(1)
        await job.later.aio()
        await run_in_executor(running.wait, WAIT)
        await shutdown(deadline=0)

    expect_log("tornado.application", "told: still running")
    asyncio.run(main())
    while not seen:
        pass


@pytest.fixture
def slow_dequeue(app, monkeypatch):
    """Have the thread that has taken a job say so by the first event, and wait."""
    taken, go = threading.Event(), threading.Event()
    huey = app.engine.huey
    dequeue = huey.dequeue

    def slowly():
        task = dequeue()
        if task is not None:
            taken.set()
            assert go.wait(WAIT)
        return task

    monkeypatch.setattr(huey, "dequeue", slowly)
    return taken, go


def test_taken_when_the_drain_begins(app, slow_dequeue):
    """It is not begun, and goes back."""
    job = app.job(name="late")(lambda: None)
    taken, go = slow_dequeue

    async def main():
        app.start(1)
        ticket = await job.later.aio()
        await run_in_executor(taken.wait, WAIT)
        loop = asyncio.get_running_loop()
        # It ends its wait, and hands over, while the drain has begun.
        loop.call_soon(go.set)
        await shutdown(deadline=0)
        return ticket

    ticket = asyncio.run(main())
    state = app.state(ticket.id)
    assert (state.state, state.attempts) == ("queued", 0)


def test_begun_in_a_drain(app, monkeypatch):
    """What is handed over after the drain began is left for the thread to put back."""
    job = app.job(name="late")(lambda: None)

    async def main(server):
        ticket = await job.later.aio()
        await ended(app, ticket)
        monkeypatch.setattr(server_module, "is_draining", lambda portal: True)
        again = await run_in_executor(job.later)
        await until(lambda: server._stopping)
        await server.stop()
        return again

    ticket = serving(app, main)
    assert app.state(ticket.id).state == "queued"


def test_a_loop_that_is_just_closed(app, slow_dequeue):
    """The thread ends, and what it had taken goes back."""
    job = app.job(name="late")(lambda: None)
    taken, go = slow_dequeue

    async def main():
        app.start(1)
        ticket = await job.later.aio()
        await run_in_executor(taken.wait, WAIT)
        return ticket

    ticket = asyncio.run(main())
    go.set()
    while app.state(ticket.id).state != "queued":
        pass
    (thread,) = [t for t in threading.enumerate() if t.name == "unblock-jobs"] or [None]
    if thread is not None:
        thread.join(WAIT)


def test_others_on_its_executor(app):
    """Where they leave no worker, the job goes back, and is run when they are gone."""
    gate = Gate()
    job = app.job(name="patient")(lambda: "done")
    configure("shared", max_workers=1, max_endpoint_share=1.0, max_waiting=0)

    async def main():
        other = run_in_executor(gate, executor="shared")
        await gate.wait()
        refused = threading.Event()
        put_back = app.engine.store.put_back

        def told(taken):
            put_back(taken)
            refused.set()

        app.engine.store.put_back = told
        with pytest.raises(ConfigurationError, match="in use already"):
            app.start(2, executor="shared")
        server = server_module.Server(app, 1, "shared", False)
        thread = threading.Thread(target=server._feed)
        thread.start()
        ticket = await job.later.aio()
        await run_in_executor(refused.wait, WAIT)
        gate.open.set()
        await other
        assert (await ended(app, ticket)).state == "done"
        await server.stop()
        await run_in_executor(thread.join, WAIT)

    asyncio.run(main())


@pytest.mark.parametrize("error", [JobStoreError("away"), ZeroDivisionError("away")])
def test_a_store_that_is_away(app, expect_log, monkeypatch, error):
    """It is asked again; nothing is lost, and nobody hangs, whatever it was."""
    monkeypatch.setattr(server_module, "_TICK", 0.01)
    job = app.job(name="patient")(lambda: "done")
    tick, failures = app.tick, []

    def fail_once():
        if not failures:
            failures.append(1)
            raise error
        tick()

    monkeypatch.setattr(app, "tick", fail_once)

    async def main(server):
        ticket = await job.later.aio()
        return (await ended(app, ticket)).result

    expect_log("tornado.application", "No jobs are taken for now")
    assert serving(app, main) == "done"


def test_a_store_that_is_away_at_the_end(app, expect_log, monkeypatch):
    """The shutdown goes on, and says what that means."""

    def refuse():
        raise JobStoreError("away")

    async def main(server):
        monkeypatch.setattr(app.engine.store, "forgive", refuse)

    expect_log("tornado.application", "put back when this ends: away")
    serving(app, main)


def test_a_job_whose_worker_fails(app, expect_log, monkeypatch):
    """What no attempt was made of goes back to the queue."""
    job, calls = app.job(name="it")(lambda: "done"), []
    execute = app.engine.huey.execute

    def fail_once(task, timestamp=None):
        calls.append(task.id)
        if len(calls) == 1:
            raise MemoryError
        execute(task)

    monkeypatch.setattr(app.engine.huey, "execute", fail_once)

    async def main(server):
        ticket = await job.later.aio()
        return await ended(app, ticket)

    expect_log("tornado.application", r"Job .* \(it\)")
    state = serving(app, main)
    assert (state.result, state.attempts) == ("done", 1)


def test_processes(url):
    """Jobs that compute are run in others, by workers of an executor of processes."""
    computed.app.configure(url)

    async def main(server):
        ticket = await computed.process.later.aio(7)
        while True:
            state = await computed.app.state.aio(ticket.id)
            if state.ended:
                return state.result
            await asyncio.sleep(0)

    number, process = serving(computed.app, main, 1, processes=True)
    assert number == 7
    assert process != os.getpid()
    computed.app.engine.store.close()


def test_processes_after_the_deadline(url, tmp_path, expect_log):
    """What runs on there is ended, and goes back uncounted."""
    gate = str(tmp_path / "gate")
    os.mkfifo(gate)
    computed.app.configure(url)
    store = computed.app.engine.store

    async def main():
        computed.app.start(1, processes=True)
        ticket = await computed.hold.later.aio(gate)
        pipe = await run_in_executor(open, gate, "w")  # once the other end is open
        await shutdown(deadline=0)
        return pipe, ticket

    expect_log("tornado.application", "still running")
    pipe, ticket = asyncio.run(main())
    while computed.app.state(ticket.id).state != "queued":
        store.tick()
    pipe.close()
    state = computed.app.state(ticket.id)
    assert (state.attempts, state.crashes) == (0, 0)
    store.close()


def test_a_job_that_no_process_finds(app, expect_log):
    """It is on the dead list, and not tried for ever."""
    job = app.job(name="inner")(lambda: None)

    async def main(server):
        return await ended(app, await job.later.aio())

    expect_log("tornado.application", "is on the dead list")
    state = serving(app, main, 1, executor="inner", processes=True)
    assert (state.state, state.attempts) == ("dead", 1)
    assert "found no job 'inner' at the top of module" in state.error


def test_again_on_another_loop(app):
    """The executor is there already, and is used."""
    job = app.job(name="it")(lambda: "done")

    async def main(server):
        return (await ended(app, await job.later.aio())).result

    assert serving(app, main) == "done"
    assert serving(app, main) == "done"


def test_stop_and_start(app):
    """Stopped, it takes nothing more; what comes after it is another one's."""
    job = app.job(name="it")(lambda: "done")

    async def main(server):
        await server.stop()
        ticket = await job.later.aio()
        assert (await app.state.aio(ticket.id)).state == "queued"
        other = app.start()
        state = await ended(app, ticket)
        await other.stop()
        return state.result

    assert serving(app, main) == "done"


def test_not_without_a_loop(app):
    """It is for the loop thread."""
    with pytest.raises(LoopThreadError, match="no event loop"):
        app.start()


@pytest.mark.parametrize("workers", [0, "2", True, 1.5])
def test_workers_are_a_number(app, workers):
    """From one on."""

    async def main():
        with pytest.raises(ConfigurationError, match="max_workers"):
            app.start(workers)

    asyncio.run(main())
