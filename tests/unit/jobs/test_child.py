"""Jobs in processes of the server's."""

from __future__ import annotations

import json

import pytest

from tornado_unblock import ConfigurationError
from tornado_unblock.jobs import child

SERVER = """
import asyncio, json, os, sys

sys.path.insert(0, {directory!r})
import computed
from tornado_unblock import jobs, shutdown


async def main():
    computed.app.start(2, processes=True)
    tickets = [await computed.work.later.aio(n) for n in range(3)]
    tickets.append(await computed.crash.later.aio())
    states = []
    for ticket in tickets:
        while True:
            state = await computed.app.state.aio(ticket.id)
            if state.ended:
                break
            await asyncio.sleep(0)
        states.append([state.state, state.attempts, state.result])
    await shutdown(deadline=10)
    return states


if __name__ == "__main__":
    states = asyncio.run(main())
    print(json.dumps([os.getpid(), states]))
"""

COMPUTED = """
import os
from tornado_unblock import jobs

app = jobs.Jobs("computed")
app.configure("sqlite:///{directory}/jobs.db", secret="s")


@app.job
def work(n):
    now = jobs.current()
    now.progress(1, 1)
    return [n, os.getpid(), now.attempt]


@app.job
def crash():
    # Once: the second time it is well.
    if jobs.current().attempt == 1:
        os.kill(os.getpid(), 9)
    return "well"
"""


def test_they_are_run_in_processes(tmp_path, run_program):
    """Each in another process; one that is killed is run again."""
    (tmp_path / "computed.py").write_text(COMPUTED.format(directory=tmp_path))
    printed = run_program(SERVER.format(directory=str(tmp_path)))
    pid, states = json.loads(printed.splitlines()[-1])
    results = [result for _, _, result in states[:3]]
    assert [state for state, _, _ in states] == ["done"] * 4
    assert [n for n, _, _ in results] == [0, 1, 2]
    assert pid not in {process for _, process, _ in results}
    assert states[3][1:] == [2, "well"]


@pytest.fixture
def handed(app):
    """Return a job that a server has taken, as its processes get it."""
    job = app.job(name="it")(lambda: 7)
    ticket = job.later()
    task = app.engine.huey.dequeue()
    return ticket, app.engine.for_child(task), app.engine.settings


def test_run_in_child(app, handed, monkeypatch):
    """It runs what it is given, in this process' own name."""
    ticket, (_, taken, owner), settings = handed
    monkeypatch.setattr(child, "_app_of", lambda module, name: app)
    child.run_in_child("anywhere", taken, owner, settings)
    assert app.state(ticket.id).result == 7


def test_taken_back_on_the_way(app, handed, monkeypatch):
    """What somebody else has by now is not run."""
    ticket, (_, taken, _), settings = handed
    monkeypatch.setattr(child, "_app_of", lambda module, name: app)
    child.run_in_child("anywhere", taken, "somebody", settings)
    assert app.state(ticket.id).state == "running"


def test_jobs_have_to_be_at_the_top(app):
    """A process imports the module, and finds the job there."""
    assert child._app_of("tests.unit.jobs.test_box", "tests.unit.jobs.test_box.chain")
    with pytest.raises(ConfigurationError, match="found no job 'nowhere'"):
        child._app_of("json", "nowhere")
