"""Workers apart from the server: real processes, real signals."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from tests.patience import WAIT
from tornado_unblock.jobs import Jobs, cli

WORKED = """
import os, sys, threading
from tornado_unblock import jobs

jobs.configure("sqlite:///jobs.db")
mine = jobs.Jobs("mine")


@jobs.job
def say(text):
    print("say " + text + chr(10), end="", flush=True)  # in one piece


@jobs.job(max_attempts=2)
def hold():
    print("hold", os.getpid(), jobs.current().attempt, flush=True)
    with open("gate"):
        pass


@jobs.job(timeout=0.05, retries=0)
def spin():
    while True:
        pass


@jobs.job
def interrupt():
    raise KeyboardInterrupt


@jobs.job
def crash():
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def ask(app):
    """Ask for a job of the module, from another process than its workers'."""

    def ask(name, *args):
        return app.job(name=f"worked.{name}")(lambda *args: None).later(*args)

    return ask


@pytest.fixture
def gate(tmp_path):
    """A pipe that a job waits to be opened."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def until(app, ticket, *states):
    while True:
        state = app.state(ticket.id)
        if state.state in states:
            return state


def test_it_runs_jobs(ask, consume, app):
    """What is queued is done; SIGTERM ends it, with status 0."""
    tickets = [ask("say", text) for text in "ab"]
    consumer = consume(WORKED)
    assert {consumer.line("say"), consumer.line("say")} == {"say a", "say b"}
    for ticket in tickets:
        until(app, ticket, "done")
    assert consumer.end(signal.SIGTERM) == 0


def test_sigterm_drains(ask, consume, app, gate, tmp_path):
    """A job that runs may end; nothing new is begun."""
    first = ask("hold")
    consumer = consume(WORKED, "--workers", "1")
    consumer.line("hold")
    second = ask("say", "late")
    consumer.process.send_signal(signal.SIGTERM)
    while "Shutting down" not in (tmp_path / "stderr").read_text():
        pass
    with gate.open("w"):
        pass
    assert consumer.process.wait(WAIT) == 0
    assert app.state(first.id).state == "done"
    assert app.state(second.id).state == "queued"


def test_after_the_deadline(ask, consume, app, gate):
    """What does not end goes back to the queue, uncounted, and another one runs it."""
    ticket = ask("hold")
    consumer = consume(WORKED, "--workers", "1", "--deadline", "0.1")
    consumer.line("hold")
    assert consumer.end(signal.SIGTERM) == 0
    other = consume()
    assert other.line("hold").split()[2] == "1"
    with gate.open("w"):
        pass
    assert until(app, ticket, "done").attempts == 1


def test_kill(ask, consume, app, gate):
    """Kill -9 in the middle of a job: it is run again as soon as there is a worker."""
    ticket = ask("hold")
    consumer = consume(WORKED)
    consumer.line("hold")
    consumer.end(signal.SIGKILL)
    other = consume()
    assert other.line("hold").split()[2] == "2"
    with gate.open("w"):
        pass
    state = until(app, ticket, "done")
    assert (state.attempts, state.crashes) == (2, 1)


def test_a_process_that_is_killed(ask, consume, app, gate):
    """Its job is taken over by the others, and the process replaced."""
    ticket = ask("hold")
    consumer = consume(WORKED, "--processes", "--workers", "2")
    _, pid, _ = consumer.line("hold").split()
    assert int(pid) != consumer.pid
    os.kill(int(pid), signal.SIGKILL)
    assert consumer.line("hold").split()[2] == "2"
    with gate.open("w"):
        pass
    assert until(app, ticket, "done").crashes == 1
    assert consumer.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("job", ["hold", None])
def test_processes_whose_consumer_is_killed(ask, consume, app, gate, job):
    """They end, and take no more: the one that has a job, after that."""
    tickets = [ask(job)] if job else []
    consumer = consume(WORKED, "--processes", "--workers", "2")
    if not job:
        tickets.append(ask("say", "begun"))
        consumer.line("say begun")
    else:
        consumer.line("hold")
    os.kill(consumer.pid, signal.SIGKILL)
    if job:
        with gate.open("w"):
            pass
    assert consumer.process.stdout.read() == ""  # until the last of them has ended
    assert until(app, tickets[0], "done").attempts == 1
    assert app.state(ask("say", "late").id).state == "queued"


def test_a_job_that_raises_an_interrupt(ask, consume, app):
    """In a process it has the main thread, and is a failure all the same."""
    ticket = ask("interrupt")
    consumer = consume(WORKED, "--processes", "--workers", "1")
    state = until(app, ticket, "dead")
    assert (state.attempts, state.error) == (
        1,
        "BodyExitError: worked.interrupt raised KeyboardInterrupt; only it ends",
    )
    assert consumer.end(signal.SIGTERM) == 0


def test_timeouts_of_processes(ask, consume, app):
    """A job that takes too long is ended there."""
    ticket = ask("spin")
    consumer = consume(WORKED, "--processes", "--workers", "1")
    assert "TaskTimeout" in until(app, ticket, "dead").error
    assert consumer.end(signal.SIGTERM) == 0


def test_poison(ask, consume, app):
    """What kills whoever runs it is on the dead list in the end."""
    ticket = ask("crash")
    consume(WORKED, "--processes", "--workers", "1")
    state = until(app, ticket, "dead")
    assert state.attempts == state.crashes > 1
    assert "its worker died" in state.error


def test_a_store_on_the_command_line(consume, tmp_path):
    """--url is for another place, and module:name for another application."""
    app = Jobs("mine")
    app.configure(f"sqlite:///{tmp_path}/other.db")
    ticket = app.job(name="x")(lambda: None).later()
    source = WORKED + '\n\n@mine.job(name="x")\ndef x():\n    print("mine")\n'
    consumer = consume(source, "--url", "sqlite:///other.db", target="worked:mine")
    assert consumer.line() == "mine"
    until(app, ticket, "done")
    assert consumer.end(signal.SIGTERM) == 0
    app.engine.store.close()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nowhere"], "there is no module 'nowhere' here"),
        (["worked:x"], "worked has no Jobs called 'x', but None"),
        (["worked:mine"], "nobody has said where jobs are kept"),
        (["worked:mine", "--url", "nonsense"], "cannot be kept in 'nonsense'"),
        (["worked:mine", "--url", "sqlite:////nowhere/x.db"], "/nowhere/x.db: unable"),
    ],
)
def test_what_makes_no_sense(
    arguments, text, tmp_path, monkeypatch, capsys, default_app
):
    """It says so, and ends with status 2."""
    (tmp_path / "worked.py").write_text(WORKED)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "worked", False)
    assert cli.main(arguments) == 2
    assert text in capsys.readouterr().err


def test_a_module_that_imports_what_is_missing(tmp_path, monkeypatch):
    """That is the module's error, and shown as such."""
    (tmp_path / "broken.py").write_text("import nowhere_at_all")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.setattr(cli.logging, "basicConfig", lambda **options: None)
    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
        cli.main(["broken", "--verbose"])


@pytest.mark.parametrize("workers", ["0", "two", "-1"])
def test_workers_are_a_number(workers, capsys):
    """Argparse says it."""
    with pytest.raises(SystemExit):
        cli.main(["worked", "--workers", workers])
    assert "a whole number from 1 on" in capsys.readouterr().err


@pytest.mark.parametrize("deadline", ["inf", "nan", "1e300", "-1", "soon"])
def test_the_deadline_is_in_seconds(deadline, capsys):
    """The same."""
    with pytest.raises(SystemExit):
        cli.main(["worked", f"--deadline={deadline}"])
    assert f"0 or more seconds, not '{deadline}'" in capsys.readouterr().err


@pytest.fixture
def default_app(monkeypatch):
    """Return the application of the module's functions, as it is at first."""
    from tornado_unblock import jobs

    monkeypatch.setattr(cli.logging, "basicConfig", lambda **options: None)
    for name, value in [("_jobs", {}), ("_periodic", {}), ("_engine", None)]:
        monkeypatch.setattr(jobs.default, name, value)
    return jobs.default


@pytest.fixture
def kept_signals():
    """Put back the handlers that huey sets."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_in_this_process(url, default_app, kept_signals, tmp_path, monkeypatch):
    """The command runs until a signal comes, one of its own jobs' here."""
    source = (
        "import os, signal\nfrom tornado_unblock import jobs\n\n@jobs.job\n"
        "def end():\n    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    (tmp_path / "ending.py").write_text(source)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "ending", False)
    other = Jobs()
    other.configure(url)
    ticket = other.job(name="ending.end")(lambda: None).later()
    assert cli.main(["ending", "--url", url, "--workers", "1"]) == 0
    assert other.state(ticket.id).state == "done"
    other.engine.store.close()
    default_app.engine.store.close()
