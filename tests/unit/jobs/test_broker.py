"""dramatiq's engine: real brokers, real workers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from unittest.mock import ANY

import pytest

from tests.patience import WAIT
from tests.unit.jobs.test_server import Gate, drained, ended, serving
from tornado_unblock import (
    ConfigurationError,
    RejectedError,
    run_in_executor,
    statistics,
)
from tornado_unblock._errors import JobStoreError
from tornado_unblock.jobs import Jobs, current, server
from tornado_unblock.jobs.records import Counts

broker = pytest.importorskip("tornado_unblock.jobs.broker")
Workers = broker.Workers


@pytest.fixture
def app(broker_app):
    return broker_app


@pytest.fixture
def work(app):
    """Run workers, from now on to the end of the test."""
    with contextlib.ExitStack() as stack:

        def work(count=2):
            workers = Workers(app.engine, count, app.engine.perform)
            stack.callback(workers.stop, WAIT)
            return workers

        yield work


def until(app, ticket, *states):
    deadline = time.monotonic() + WAIT
    while True:
        state = app.state(ticket.id)
        if state is not None and state.state in states:
            return state
        assert time.monotonic() < deadline, state


# -- asking, running, asking how it is -----------------------------------------------


def test_a_job(app, work):
    """It waits, is run, and its result can be asked for."""

    @app.job(name="add", retries=1)
    def add(a, b=1):
        current().progress(1, 2)
        return [current().attempt, a + b]

    ticket = add.later(2, b=3)
    assert app.counts().queued == 1
    assert app.state(ticket.id).state == "queued"
    work()
    state = until(app, ticket, "done")
    assert (state.result, state.done, state.of) == ([1, 5], 1, 2)
    assert app.counts() == Counts(done=1)
    assert app.discard(ticket.id)
    assert app.state(ticket.id) is None


def test_from_a_coroutine(app, work):
    """It is asked for without blocking the loop."""
    job = app.job(name="f")(lambda: 7)
    ticket = asyncio.run(job.later.aio())
    work()
    assert until(app, ticket, "done").result == 7


def test_what_is_signed(app, expect_log, broker_place):
    """It is run; what somebody else wrote is parked."""
    expect_log("tornado.application", "is on the dead list")
    forged = app.job(name="f")(lambda: 7).later()
    url, state = broker_place
    signed = Jobs(app.name)
    signed.configure(url, secret="s", state=state)
    ticket = signed.job(name="f")(lambda: 7).later()
    workers = Workers(signed.engine, 1, signed.engine.perform)
    assert until(signed, ticket, "done").result == 7
    assert "not signed" in until(app, forged, "dead").error
    workers.stop(WAIT)
    signed.engine.store.close()


def test_a_retry(app, work, expect_log):
    """What fails is tried again; in the end it is dead, and can be retried."""
    expect_log("tornado.application", "attempt 1 failed with ValueError")
    expect_log("tornado.application", r"\(f\): ValueError: no")
    errors = [ValueError("no"), ValueError("no")]

    @app.job(name="f", retries=1, backoff=0.01)
    def f():
        if errors:
            raise errors.pop()

    ticket = f.later()
    work()
    state = until(app, ticket, "dead")
    assert (state.attempts, app.counts().failures) == (2, 2)
    assert [each.id for each in app.dead()] == [ticket.id]
    assert app.retry(ticket.id)
    assert until(app, ticket, "done").attempts == 1
    assert not app.retry(ticket.id)
    assert not app.retry("none")


def test_a_name_nobody_knows(app, work, expect_log):
    """It is parked, and run once the code is there."""
    expect_log("tornado.application", "no job here is called 'f'")
    job = app.job(name="f")(lambda: 7)
    app.engine.remove(job)
    ticket = job.later()
    work()
    until(app, ticket, "dead")
    app.engine.add(job)
    app.retry(ticket.id)
    assert until(app, ticket, "done").result == 7


def test_a_delay(app, work):
    """It is scheduled, and run when its time comes."""
    job = app.job(name="f")(lambda: 7)
    never = job.later.options(delay=1000)()
    assert app.counts().scheduled == 1
    ticket = job.later.options(delay=0.1)()
    work()
    assert until(app, ticket, "done").result == 7
    assert app.cancel(never.id)
    assert app.state(never.id).state == "cancelled"


def test_a_key(app, work):
    """One at a time; with `once`, one that waits is enough."""
    gate = Gate()
    job = app.job(name="f")(gate)
    first = job.later.options(key="k", once=True)()
    assert job.later.options(key="k", once=True)() == (first.id, False)
    work()
    assert gate.running.acquire(timeout=WAIT)
    second = job.later.options(key="k", once=True)()
    assert second.created
    until(app, second, "queued")
    gate.open.set()
    until(app, second, "done")


def test_periodic(app, work):
    """It is run, time after time, and by one of all."""
    ran = threading.Semaphore(0)
    app.every(1, name="f")(ran.release)
    work()
    work()
    for _ in range(2):
        assert ran.acquire(timeout=WAIT)


def test_priorities(app, work):
    """Higher ones first on RabbitMQ; what a broker has not is said."""
    store = app.engine.store
    job = app.job(name="f")(lambda: None)
    if not store.on_rabbitmq:
        with pytest.raises(ConfigurationError, match="no priorities on Redis"):
            job.later.options(priority=1)()
        with pytest.raises(ConfigurationError, match="no priorities on Redis"):
            app.job(name="g", priority=2)(lambda: None)
        return
    for wrong in (10, -1, 0.5):
        with pytest.raises(ConfigurationError, match="from 0 to 9"):
            job.later.options(priority=wrong)()
    tickets = [job.later.options(priority=n % 10)() for n in range(30)]
    work(1)
    begun = [until(app, ticket, "done").started_at for ticket in tickets]
    assert max(begun[9::10]) < min(begun[0::10])


def test_a_transaction_of_the_callers(app):
    """A broker has no part in it."""
    job = app.job(name="f")(lambda: None)
    with pytest.raises(ConfigurationError, match="on_commit="):
        job.later.options(within=object())()


def test_two_applications(app, broker_place, work):
    """Each has queues and records of its own, on the same broker."""
    other = Jobs(f"{app.name}.other")
    other.configure(broker_place[0], state=broker_place[1])
    ours = app.job(name="f")(lambda: "ours").later()
    theirs = other.job(name="f")(lambda: "theirs").later()
    work()
    assert until(app, ours, "done").result == "ours"
    assert app.state(theirs.id) is None
    assert other.counts() == Counts(queued=1, oldest_waiting=ANY)
    workers = Workers(other.engine, 1, other.engine.perform)
    assert until(other, theirs, "done").result == "theirs"
    workers.stop(WAIT)
    other.engine.store.close()


def test_in_tests(app):
    """`testing` needs no broker, and forgets nothing of it."""
    job = app.job(name="f")(lambda: 7)
    with app.testing() as box:
        job.later.options(key="k")()
        assert box.run()[0].result == 7
    assert app.counts() == Counts()


# -- what dies, and what is away -----------------------------------------------------


WORKED = """
import os
from tornado_unblock import jobs

mine = jobs.Jobs({name!r})
mine.configure({url!r}, state={state!r})


@mine.job(name="hold", max_attempts=3)
def hold():
    print("hold", jobs.current().attempt, flush=True)
    with open("gate"):
        pass
    return jobs.current().attempt


@mine.job(name="crash", max_attempts=2)
def crash():
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def start(app, consume, tmp_path, broker_place):
    """Start a process that runs the jobs of the module; and ask for these."""
    os.mkfifo(tmp_path / "gate")
    url, state = broker_place
    text = WORKED.format(name=app.name, url=url, state=state)
    return lambda *arguments: consume(text, *arguments, target="worked:mine")


def ask(app, name):
    return app.job(name=name)(lambda: None).later()


@pytest.mark.timeout(120)
def test_a_killed_worker(app, start, tmp_path):
    """Its job is begun again by another process."""
    ticket = ask(app, "hold")
    consumer = start()
    assert consumer.line("hold") == "hold 1"
    consumer.end()
    other = start()
    assert other.line("hold") == "hold 2"
    with open(tmp_path / "gate", "w"):
        pass
    assert until(app, ticket, "done").crashes == 1
    assert other.end(signal.SIGTERM) == 0


@pytest.mark.timeout(120)
def test_a_job_that_kills_its_worker(app, start):
    """It is parked after its last attempt."""
    ticket = app.job(name="crash", max_attempts=2)(lambda: None).later()
    for _ in range(2):
        assert start().process.wait(WAIT) == -signal.SIGKILL
    start()
    state = until(app, ticket, "dead")
    assert (state.attempts, state.crashes) == (2, 2)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_deadline(app, start, number):
    """What runs still goes back, and that is no attempt."""
    ticket = ask(app, "hold")
    consumer = start("--deadline", "0")
    assert consumer.line("hold") == "hold 1"
    assert consumer.end(number) == 0
    other = start()
    assert other.line("hold") == "hold 1"
    assert app.state(ticket.id).attempts == 1


@pytest.fixture
def handlers():
    """Put back what is done about signals."""
    before = [(number, signal.getsignal(number)) for number in SIGNALS]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before:
        signal.signal(number, handler)


SIGNALS = (signal.SIGTERM, signal.SIGINT)


@pytest.mark.usefixtures("handlers")
def test_until_a_signal(app):
    """It runs jobs, and ends when one comes."""
    work = lambda: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
    ticket = app.job(name="f")(work).later()
    app.engine.consume(1, False, WAIT)
    assert app.state(ticket.id).state == "done"


def test_processes(app):
    """Workers are threads, and whoever wants others is told."""
    with pytest.raises(ConfigurationError, match="are threads"):
        app.engine.consume(1, True, 1.0)


def test_a_message_while_its_job_runs(app, work):
    """It waits, and is of no use then; nothing is run twice."""
    gate, ran = Gate(), []
    job = app.job(name="f")(lambda: ran.append(gate()))
    ticket = job.later()
    work()
    assert gate.running.acquire(timeout=WAIT)
    record = app.engine.store.records.record(ticket.id)
    app.engine.perform(record)
    gate.open.set()
    until(app, ticket, "done")
    app.engine.perform(record)
    assert len(ran) == 1


def test_a_store_that_comes_back(app, monkeypatch, allow_log):
    """A worker waits for it: the message is not acknowledged meanwhile."""
    allow_log("tornado.application", "A worker waits")
    allow_log("tornado.application", "no state for now")
    monkeypatch.setattr(broker, "_TICK", 0.01)
    store = app.engine.store
    job = app.job(name="f")(lambda: 7)
    ticket = job.later()
    record = store.records.record(ticket.id)
    for name in ("begin", "finish"):
        monkeypatch.setattr(store, name, fails_once(getattr(store, name)))
    app.engine.perform(record)
    assert app.state(ticket.id).result == 7


def fails_once(function):
    errors = [JobStoreError("away")]

    def run(*args):
        if errors:
            raise errors.pop()
        return function(*args)

    return run


def test_no_state_for_now(app, monkeypatch, work, allow_log):
    """RabbitMQ has the job; the record is written by who begins it."""
    allow_log("tornado.application", "has no state for now")
    if not app.engine.store.on_rabbitmq:
        return  # both are one call there
    records = app.engine.store.records
    monkeypatch.setattr(records, "asked_for", fails_once(records.asked_for))
    job = app.job(name="f")(lambda: 7)
    ticket = job.later()
    assert app.state(ticket.id) is None
    work()
    assert until(app, ticket, "done").result == 7


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_is_away(scheme, redis_url, tmp_path, allow_log):
    """It is an error at once; with an outbox the job is kept there."""
    allow_log("pika", ".*")
    state = redis_url if scheme == "amqp" else None
    url = f"dramatiq+{scheme}://u:secret@127.0.0.1:1"
    app = Jobs()
    app.configure(url, state=state)
    job = app.job(name="f")(lambda: None)
    with pytest.raises(JobStoreError, match=f"{scheme}://127.0.0.1:1") as caught:
        job.later()
    assert "secret" not in str(caught.value)
    with pytest.raises(JobStoreError):
        app.engine.store.ping()
    app.engine.store.close()
    app.configure(url, state=state, outbox=f"sqlite:///{tmp_path}/outbox.db")
    assert job.later().created
    app.engine.store.close()


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_says_nothing(scheme, redis_url, allow_log):
    """It is not waited for."""
    allow_log("pika", ".*")
    app = Jobs()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        state = redis_url if scheme == "amqp" else None
        app.configure(f"dramatiq+{scheme}://127.0.0.1:{port}", state=state)
        with pytest.raises(JobStoreError, match="is it running"):
            ask(app, "f")
    app.engine.store.close()


def test_scripts_that_are_forgotten(app, work):
    """They are told again; a job is run once for all that."""
    ran = []
    job = app.job(name="f")(lambda: ran.append(1))
    job.later()
    client = app.engine.store.records.client
    client.script_flush()
    second = job.later()
    third = job.later.options(delay=0.01)()
    work()
    for ticket in (second, third):
        until(app, ticket, "done")
    assert app.counts().done == len(ran) == 3


def test_scripts_that_are_always_forgotten(app, monkeypatch):
    """It is an error, and no end of trying."""
    store = app.engine.store
    if store.on_rabbitmq:
        return
    store.ping()
    client = store.records.client
    monkeypatch.setattr(client, "script_load", lambda text: "0" * 40)
    client.script_flush()
    with pytest.raises(JobStoreError, match="NoScriptError"):
        ask(app, "f")


def test_records_of_a_newer_version(app):
    """They are left alone, and nothing is put in."""
    store = app.engine.store
    store.records.client.set(f"unblock:{app.name}:schema", 2)
    with pytest.raises(JobStoreError, match="made by a newer"):
        ask(app, "f")
    with pytest.raises(JobStoreError, match="made by a newer"):
        store.ping()
    assert app.counts() == Counts()
    store.records.client.set(f"unblock:{app.name}:schema", 1)


def test_rabbitmq_without_redis(app, monkeypatch, work, allow_log):
    """Jobs are taken all the same."""
    allow_log("tornado.application", "no state for now")
    store = app.engine.store
    if not store.on_rabbitmq:
        return
    away = store.records
    store.records = type(away)("redis://127.0.0.1:1", app.name, 60.0)
    ticket = ask(app, "f")
    store.records.close()
    store.records = away
    work()
    until(app, ticket, "done")


def test_others_that_wait_for_a_broker(app, monkeypatch):
    """Not all of them one after the other."""
    store = app.engine.store
    monkeypatch.setattr(broker, "_CONNECT", 0.01)
    if store.on_rabbitmq:
        with store._lock, pytest.raises(JobStoreError, match="others wait"):
            ask(app, "f")


def test_an_error_of_our_own(app, work, monkeypatch, expect_log):
    """The message goes to the broker's dead letters, and is not lost."""
    expect_log("dramatiq", "Failed to process message")
    failed = threading.Event()

    def fail(record):
        raise RuntimeError("a bug")

    monkeypatch.setattr(app.engine, "perform", fail)
    monkeypatch.setattr(
        broker._KeepsWhatFailed, "after_nack", lambda *_: failed.set(), raising=False
    )
    ask(app, "f")
    work()
    assert failed.wait(WAIT)


def test_a_clock_that_fails(app, work, monkeypatch, expect_log):
    """It goes on ticking."""
    expect_log("tornado.application", "No jobs are taken for now: away")
    expect_log("tornado.application", "The jobs' clock failed")
    monkeypatch.setattr(broker, "_TICK", 0.01)
    errors = [JobStoreError("away"), RuntimeError("no")]
    ticked = threading.Event()

    def clock():
        if errors:
            raise errors.pop(0)
        ticked.set()

    monkeypatch.setattr(app.engine, "clock", clock)
    work()
    assert ticked.wait(WAIT)


def test_a_store_that_is_away_at_the_end(app, work, monkeypatch, expect_log):
    """It says so, and ends."""
    expect_log("tornado.application", "is put back when this ends: away")
    monkeypatch.setattr(app.engine.store, "forgive", fails_once(None))
    work().stop(WAIT)
    monkeypatch.undo()


def test_another_name_after_a_lost_connection(redis_url):
    """What was fetched under the old one goes back."""
    store = broker.DramatiqStore(f"dramatiq+{redis_url}", None, "q", 60.0)
    fetching = store.new_broker()
    names = set()
    for queue in ("a", "a.DQ", "a"):
        fetching.consume(queue)
        names.add(fetching.broker_id)
    assert len(names) == 2
    store.close()


def test_a_fork(app):
    """A child has connections of its own, and its own name."""
    job = app.job(name="f")(lambda: None)
    job.later()
    store = app.engine.store
    owner, held = store.owner, store._broker
    pid = os.fork()
    if not pid:
        good = store._broker is None and store.owner != owner
        good = good and job.later().created and store._broker is not held
        os._exit(0 if good else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert job.later().created
    assert app.counts().queued == 3


# -- configuring ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "state", "name", "message"),
    [
        ("dramatiq+amqp://h", None, "default", "state="),
        ("dramatiq+amqp://h?heartbeat=x", "redis://h", "default", "URL of the jobs"),
        ("dramatiq+redis://h/x?db=y", None, "default", "URL of Redis"),
        ("dramatiq+redis://h", None, "a b", "letters"),
        ("sqlite:///f", "redis://h", "default", "state= is for dramatiq"),
    ],
)
def test_what_cannot_be_configured(url, state, name, message):
    """It is said at once, and what to do."""
    with pytest.raises(ConfigurationError, match=message):
        Jobs(name).configure(url, state=state)


# -- in a server ---------------------------------------------------------------------


def test_a_server(app):
    """Jobs run on the executor of the jobs, and are counted there."""
    job = app.job(name="add.two")(lambda n: n + 2)

    async def main(_):
        tickets = [await job.later.aio(n) for n in range(3)]
        return [(await ended(app, ticket)).result for ticket in tickets]

    assert serving(app, main) == [2, 3, 4]
    assert statistics()["jobs"].endpoints["add.two"].completed == 3


def test_the_drain_of_a_server(app):
    """What runs may end; what waits stays with the broker."""
    first, second = drained(app)
    assert app.state(first.id).state == "done"
    assert app.state(second.id).state == "queued"
    assert app.state(second.id).attempts == 0


def test_a_server_with_processes(app):
    """Its workers are threads, and it says so."""

    async def main():
        with pytest.raises(ConfigurationError, match="are threads"):
            app.start(processes=True)

    asyncio.run(main())


def test_a_server_that_cannot_have_a_worker(app, monkeypatch):
    """The message comes again, here or elsewhere."""
    job = app.job(name="f")(lambda: 7)

    def refuse(*args, **kwargs):
        monkeypatch.undo()
        raise RejectedError("full", reason="full")

    async def main(_):
        monkeypatch.setattr(server, "run_in_executor", refuse)
        return (await ended(app, await job.later.aio())).result

    assert serving(app, main) == 7


def test_a_turn():
    """One that was given up before a worker had it has not been done."""
    given_up, begun = server._Turn(), server._Turn()
    begun.started = True

    async def main():
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        given_up.over(future)
        failed = asyncio.get_running_loop().create_future()
        failed.set_exception(RuntimeError())
        begun.over(failed)

    asyncio.run(main())
    assert not given_up.wait()
    begun.end()
    assert begun.wait()


def test_a_server_whose_loop_is_closed(app):
    """What comes too late goes back to the broker."""
    job = app.job(name="f")(lambda: 7)

    async def main():
        return server.ThreadServer(app, 1, "jobs", False)

    closed = asyncio.run(main())
    ticket = job.later()
    closed._offload(app.engine.store.records.record(ticket.id))
    assert app.state(ticket.id).attempts == 0


def test_a_server_that_stops(app):
    """What comes meanwhile is not begun."""
    job = app.job(name="f")(lambda: 7)

    async def main():
        stopping = server.ThreadServer(app, 1, "jobs", False)
        stopping._stopping = True
        ticket = await job.later.aio()
        record = app.engine.store.records.record(ticket.id)
        await run_in_executor(stopping._offload, record)
        return ticket

    assert app.state(asyncio.run(main()).id).attempts == 0
