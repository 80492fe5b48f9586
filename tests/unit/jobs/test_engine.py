"""huey with acknowledgement: what becomes of an attempt."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

import pytest
from huey.consumer import WorkerRecycle
from huey.exceptions import TaskTimeout

from tornado_unblock._errors import JobArgumentError, JobStoreError
from tornado_unblock.jobs import engine
from tornado_unblock.jobs.attempt import InterruptedJobError
from tornado_unblock.jobs.later import Job
from tornado_unblock.jobs.records import NewJob

FAILED = "attempt 1 failed with"


@pytest.fixture
def run(app):
    """Run a function as a job, once; return how it is then."""

    def run(fn, **options):
        ticket = app.job(name="it", **options)(fn).later()
        app.engine.run_next()
        return app.state(ticket.id)

    return run


UNREADABLE = [
    *("", "[]", "5", '{"nonsense": 1}', '{"id": "a"}', "[" * 100_000),
    *(
        f'{{"id": "a", "name": "it", "args": {args}}}'
        for args in ("5", "[]", "[[]]", "[[], {}, 1]", "[5, {}]", "[[], 5]", "[[], []]")
    ),
]


def nothing():
    pass


def raising(error):
    def work():
        raise error

    return work


def test_a_retry(app, run, expect_log):
    """A failure is kept with its traceback, and tried again when its time comes."""
    expect_log("tornado.application", FAILED)
    expect_log("huey", "Unhandled exception")
    state = run(raising(ValueError("no")), retries=1)
    assert (state.state, state.error) == ("failed", "ValueError: no")
    assert state.run_at > state.enqueued_at
    trace = state.traceback
    assert trace.startswith("Traceback")
    assert "jobs/engine.py" not in trace
    assert "raise error" in trace
    app.engine.store.move_due(everything=True)
    app.engine.run_next()
    assert (app.state(state.id).state, app.state(state.id).attempts) == ("dead", 2)


def test_success_after_failure(app, expect_log):
    """The result is there, and so is what went wrong before."""
    expect_log("tornado.application", FAILED)
    errors = [OSError("once")]

    def work():
        if errors:
            raise errors.pop()
        return "well"

    ticket = app.job(name="it", retries=1)(work).later()
    app.engine.run_next()
    app.engine.store.move_due(everything=True)
    app.engine.run_next()
    state = app.state(ticket.id)
    assert (state.state, state.result, state.error) == ("done", "well", "OSError: once")


def test_give_up(run, expect_log):
    """What is not worth a retry is dead at once."""
    expect_log("huey", "Unhandled exception")
    assert run(raising(KeyError("k")), retries=9, give_up_on=KeyError).state == "dead"


@pytest.mark.parametrize(
    "error", [SystemExit(3), GeneratorExit(), KeyboardInterrupt()], ids=repr
)
def test_what_would_end_a_worker(run, expect_log, error):
    """It ends the attempt, and not the worker."""
    expect_log("huey", "Unhandled exception")
    state = run(raising(error))
    assert state.state == "dead"
    assert state.error.startswith("BodyExitError: it raised")


class UnsaidError(Exception):
    def __str__(self):
        raise RuntimeError


def test_errors_that_cannot_be_said(run, expect_log):
    """It is dead like any other, and not run for ever."""
    expect_log("huey", "Unhandled exception")
    state = run(raising(UnsaidError()))
    assert (state.state, state.attempts) == ("dead", 1)
    assert state.error == "UnsaidError: (its str() raises RuntimeError)"


def test_errors_with_bytes_that_no_database_takes(run, expect_log):
    """They are kept, written out."""
    expect_log("huey", "Unhandled exception")
    assert run(raising(ValueError("a\0\ud800"))).error == r"ValueError: a\x00\ud800"


def test_a_result_of_another_secret(app, run):
    """It cannot be read, and says so."""
    state = run(lambda: 7)
    app.configure(app.engine.settings[1], secret="new")
    with pytest.raises(JobStoreError, match="cannot be read"):
        app.state(state.id)


def test_an_interrupt(run, expect_log):
    """The end of a worker is no failure: the job is queued as before."""
    expect_log("huey", "Received exit signal")
    state = run(raising(InterruptedJobError()))
    assert (state.state, state.attempts) == ("queued", 0)


class InterruptedTextError(Exception):
    def __str__(self):
        raise InterruptedJobError


def test_an_interrupt_while_a_failure_is_told(run, expect_log):
    """That attempt goes back, too."""
    expect_log("huey", "Received exit signal")
    assert run(raising(InterruptedTextError())).state == "queued"


def test_hueys_timeout(run, expect_log):
    """In a process, huey ends what takes too long: a failure like any other."""
    expect_log("tornado.application", "attempt 1 failed with TaskTimeout")
    assert run(raising(TaskTimeout("slow")), retries=1).state == "failed"


def test_an_alarm_after_the_function(app, run, monkeypatch):
    """Its timeout is the function's own: what is done with the result is not ended."""
    inside = []

    @contextlib.contextmanager
    def limit(seconds):
        inside.append(seconds)
        yield
        inside.clear()

    app.engine.huey._timeout_handler = limit
    attempt, seal = app.engine._result, []
    monkeypatch.setattr(
        app.engine,
        "_result",
        lambda *args: seal.append(not inside) or attempt(*args),
    )
    assert run(lambda: inside[0], timeout=1e300).result == 1e8
    assert seal == [True]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()], ids=repr)
def test_a_result_that_cannot_be_sealed(run, expect_log, monkeypatch, app, error):
    """Whatever is raised is told, and the attempt counts."""

    def refuse(value, result_of):
        raise error

    job = app.job(name="it")(nothing)
    ticket = job.later()
    monkeypatch.setattr(app.engine.sealer, "seal", refuse)
    expect_log("huey", "Unhandled exception")
    app.engine.run_next()
    state = app.state(ticket.id)
    assert (state.state, state.attempts) == ("dead", 1)
    assert type(error).__name__ in state.error


def test_what_fails_before_an_attempt(run, expect_log, monkeypatch, app):
    """It is dead, and not put back to fail again at once."""

    def refuse(*args):
        raise ZeroDivisionError

    monkeypatch.setattr(app.engine, "attempt", refuse)
    expect_log("huey", "Unhandled exception")
    state = run(nothing)
    assert (state.state, state.error) == (
        "dead",
        "it could not be begun; the log has why",
    )


HUGE = 10**5000


@pytest.mark.skipif(
    not hasattr(sys, "get_int_max_str_digits"), reason="they can be written"
)
@pytest.mark.parametrize(
    "argument", [HUGE, -HUGE, [HUGE], {"a": HUGE}], ids=["+", "-", "list", "dict"]
)
def test_numbers_that_are_too_long_to_be_written(app, run, expect_log, argument):
    """As an argument they are refused; as a result they are not kept."""
    expect_log("tornado.application", "cannot be written as text .*; it is not kept")
    assert run(lambda: argument).state == "done"
    job = app.job(name="echo")(lambda x: x)
    with pytest.raises(JobArgumentError, match="hex"):
        job.later(argument)
    assert job.later(10**4000).created


def test_an_end_that_fails_otherwise(app, expect_log, monkeypatch):
    """It is kept to be written later, like one for which the store is away."""
    store = app.engine.store
    ticket = app.job(name="it")(nothing).later()

    def refuse(*args):
        raise MemoryError

    monkeypatch.setattr(store, "finish", refuse)
    expect_log("tornado.application", "is not written yet")
    app.engine.run_next()
    monkeypatch.undo()
    app.tick()
    assert app.state(ticket.id).state == "done"


async def coroutine():
    raise AssertionError


def generator():
    yield


async def asynchronous_generator():
    yield


@pytest.mark.parametrize("fn", [coroutine, generator, asynchronous_generator])
def test_results_that_nobody_has_worked_for(run, expect_log, fn):
    """What a function only prepares is not done, and says so; nothing warns."""
    expect_log("huey", "Unhandled exception")
    state = run(lambda: fn())
    assert state.state == "dead"
    assert "nobody awaits or iterates it" in state.error


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda: None, 0),
        (lambda: sys.exit(3), 3),
        (lambda: sys.exit("no"), 1),
        (lambda: 1 / 0, 1),
    ],
)
def test_a_job_that_forks(run, end, status, capfd):
    """Its child ends where the function does, as any process would."""
    worker = os.getpid()

    def work():
        child = os.fork()
        if child == 0:  # pragma: no cover - in the child
            return end()
        return os.waitpid(child, 0)[1]

    assert os.WEXITSTATUS(run(work).result) == status
    assert os.getpid() == worker


def test_a_result_that_cannot_be_kept(run, expect_log):
    """The work is done all the same."""
    expect_log("tornado.application", "the result of it is of type object")
    state = run(object)
    assert (state.state, state.result) == ("done", None)


def test_results(run):
    """What it returned is there, None too."""
    assert run(lambda: {"a": [1, None]}).result == {"a": [1, None]}


def test_an_unknown_name(app, run, expect_log):
    """It is parked, and not lost; what comes behind it is run."""
    job = app.job(name="gone")(nothing)
    ticket = job.later()
    app.engine.huey.remove(job)
    expect_log("tornado.application", "is on the dead list")
    assert run(lambda: 1).state == "done"
    state = app.state(ticket.id)
    assert state.state == "dead"
    assert "no job here is called 'gone'; deploy the code" in state.error


@pytest.mark.parametrize("data", UNREADABLE)
def test_data_that_cannot_be_read(app, expect_log, data):
    """It is parked as well."""
    app.engine.store.put_job(NewJob("a", "f", data, 3))
    expect_log("tornado.application", "is on the dead list")
    assert app.engine.run_next() is None
    assert app.state("a").state == "dead"


def test_an_end_that_cannot_be_written(app, expect_log, monkeypatch):
    """It is written when that goes again; the job is not run a second time."""
    store, ran = app.engine.store, []
    ticket = app.job(name="it")(lambda: ran.append(1)).later()

    def refuse(*args):
        raise JobStoreError("away")

    monkeypatch.setattr(store, "finish", refuse)
    expect_log("tornado.application", "is not written yet: away")
    app.engine.run_next()
    assert app.state(ticket.id).state == "running"
    monkeypatch.undo()
    app.tick()
    assert app.state(ticket.id).state == "done"
    assert ran == [1]


def test_an_interrupt_that_cannot_be_written(run, expect_log, monkeypatch, app):
    """It stays in flight until this process ends."""

    def refuse(*args):
        raise JobStoreError("away")

    monkeypatch.setattr(app.engine.store, "put_back", refuse)
    expect_log("tornado.application", "is not written yet: away")
    expect_log("huey", "Received exit signal")
    assert run(raising(InterruptedJobError())).state == "running"
    assert app.engine.store.unwritten == []


def test_what_hueys_scheduler_asks(app):
    """It is the clock, and what is due moves in the store."""
    app.job(name="it")(nothing).later.options(delay=0.0001)()
    app.engine.store.move_due(everything=True)
    assert app.engine.huey.read_schedule() == []
    assert app.engine.huey.read_periodic(None) == []
    assert app.counts().queued == 1


def test_for_a_process(app):
    """What a process of the server's gets can be pickled, and says whose it is."""
    import pickle

    app.job(name="it")(nothing).later()
    task = app.engine.huey.dequeue()
    module, taken, owner = pickle.loads(pickle.dumps(app.engine.for_child(task)))
    assert (module, taken.name) == (__name__, "it")
    assert owner == app.engine.store.owner
    assert isinstance(app._jobs["it"], Job)


@pytest.fixture
def worker(app):
    """A worker as the consumer makes it, whose consumer is another process."""
    before = signal.getsignal(signal.SIGINT)
    worker = engine._Worker(
        huey=app.engine.huey, stop_flag=None, default_delay=1, max_delay=1, backoff=1
    )
    worker._consumer = -1
    yield worker
    signal.signal(signal.SIGINT, before)


def test_a_worker_without_its_consumer(worker):
    """It takes no more."""
    with pytest.raises(WorkerRecycle):
        worker.loop()


def test_a_worker_that_is_to_end(worker, app):
    """Its signal ends the job that it has; without one it sees to its end itself."""
    worker.initialize()
    signal.raise_signal(signal.SIGINT)
    app.engine.huey._tasks_in_flight.add("it")
    with pytest.raises(InterruptedJobError):
        signal.raise_signal(signal.SIGINT)


def test_a_message_of_another_job(app, expect_log):
    """Whoever writes to the store may copy one: it is parked, and not run."""
    expect_log("tornado.application", "is on the dead list")
    ran = []
    job = app.job(name="it")(ran.append)
    small, large = job.later(1), job.later(1000)
    store = app.engine.store
    with store.db(commit=True) as cursor:
        store.run(
            cursor,
            "update {p}job set data = (select data from {p}job where id = ?) "
            "where id = ?",
            *(large.id, small.id),
        )
    while app.engine.run_next() is not None:
        pass
    assert (app.state(small.id).state, ran) == ("dead", [1000])
    assert "another job's arguments" in app.state(small.id).error
