"""Processes of a server's: what ends them, and what does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest
from huey.exceptions import TaskTimeout

from tests.patience import WAIT
from tornado_unblock.jobs import Jobs, child

#: A script with its jobs at the top, as one begins.
SCRIPT = """
import asyncio, os, signal, sys
from tornado_unblock import jobs, shutdown

app = jobs.Jobs("ends")
app.configure("sqlite:///jobs.db")


@app.job
def well():
    return "well"


@app.job(max_attempts=1)
def hold():
    print("hold", os.getpid(), flush=True)
    while True:
        try:
            with open("gate"):
                return "held"
        except KeyboardInterrupt:
            pass


@app.job(timeout=0.05)
def spin():
    while True:
        pass


def within():
    @app.job(name="inner")
    def inner():
        pass

    return inner


async def ended(ticket):
    while not (state := await app.state.aio(ticket.id)).ended:
        await asyncio.sleep(0)
    return state


async def main(deadline):
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    app.start(1, processes=True)
    for job in (within(), spin, well):
        state = await ended(await job.later.aio())
        print("state", state.state, state.error or state.result, flush=True)
    await hold.later.aio()
    await told.wait()
    print("told", flush=True)
    await shutdown(deadline)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
"""

FIRST = [
    "state dead it cannot be run here: a process has found no job 'inner' at the top "
    "of module __main__: with processes=True jobs have to be defined there",
    "state dead TaskTimeout: timeout (0.05s)",
    "state done well",
]


@pytest.fixture
def serve(child_env, tmp_path):
    """Run the script until a job holds; return its process, and the job's."""
    os.mkfifo(tmp_path / "gate")
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    started = []

    def serve(deadline):
        with open(tmp_path / "stderr", "w") as log:
            process = subprocess.Popen(
                [sys.executable, "-u", "script.py", str(deadline)],
                env=child_env,
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        started.append(process)
        lines = [process.stdout.readline().strip() for _ in range(4)]
        assert lines[:3] == FIRST, (tmp_path / "stderr").read_text()
        return process, int(lines[3].split()[1])

    yield serve
    for process in started:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait(WAIT)
        process.stdout.close()


@pytest.fixture
def held(tmp_path):
    """Return how the job that holds is."""
    app = Jobs("ends")
    app.configure(f"sqlite:///{tmp_path}/jobs.db")

    def held():
        app.engine.store.tick()
        (state,) = [
            state
            for name in ("queued", "running", "done", "dead")
            for state in app.engine.states(name, 9)
            if state.name == "script.hold"
        ]
        return state

    yield held
    app.engine.store.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_of_them(serve, held, tmp_path, number):
    """It is the server's: a job that runs may end."""
    server, _ = serve(WAIT)
    os.killpg(server.pid, number)
    assert server.stdout.readline() == "told\n"
    with open(tmp_path / "gate", "w"):
        pass
    assert server.wait(WAIT) == 0
    state = held()
    assert (state.state, state.result, state.crashes) == ("done", "held", 0)


def test_after_the_deadline(serve, held):
    """A job that does not end is ended, and goes back uncounted; the server exits."""
    server, _ = serve(0)
    server.terminate()
    assert server.stdout.read() == "told\n"  # until the last of them has ended
    assert server.wait(WAIT) == 0
    state = held()
    assert (state.state, state.attempts, state.crashes) == ("queued", 0, 0)


def test_without_its_server(serve, held, tmp_path):
    """A process ends after its job, and is not left behind."""
    server, _ = serve(0)
    server.kill()
    with open(tmp_path / "gate", "w"):
        pass
    assert server.stdout.read() == ""
    assert held().result == "held"


def test_in_no_process_of_a_server(monkeypatch):
    """Nothing is done to it."""
    before = signal.getsignal(signal.SIGTERM)
    child._belong_to_server()
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_alarm():
    """It rings in here, and never after."""
    before = signal.getsignal(signal.SIGALRM)

    def spin():
        with child.alarm(1e-6):
            while True:
                pass

    with pytest.raises(TaskTimeout, match="1e-06"):
        spin()
    with child.alarm(1e8):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before
