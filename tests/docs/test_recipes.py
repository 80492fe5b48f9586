"""The recipes of docs/jobs-elsewhere.md: with their own workers, on real services."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import uuid

import psycopg
import pytest

from tests.docs.pages import DOCS, blocks
from tests.docs.runner import serve
from tests.patience import WAIT

PAGE = DOCS / "jobs-elsewhere.md"
#: What the page calls them, and what they are here.
URLS = {
    "amqp://guest:guest@127.0.0.1:5672": "rabbitmq_url",
    "redis://127.0.0.1:6379/0": "redis_url",
    "postgresql://root@127.0.0.1:5432/test": "postgresql_url",
}


@pytest.fixture
def recipe(request, tmp_path, monkeypatch):
    """Write a recipe as a module; return its name and the module."""

    def recipe(library, **changed):
        pytest.importorskip(library)
        (text,) = (
            b.text
            for b in blocks(PAGE)
            if f"import {library}" in b.text or f"from {library} " in b.text
        )
        for url, fixture in URLS.items():
            if url in text:
                here = changed.get(fixture) or request.getfixturevalue(fixture)
                text = text.replace(url, here)
        name = f"recipe_{uuid.uuid4().hex}"
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        return name, __import__(name)

    return recipe


def end(process):
    """End a worker of somebody's; how well it ends is not shown here."""
    process.terminate()
    try:
        process.wait(WAIT / 4)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(WAIT)


@pytest.fixture
def run(tmp_path, child_env):
    """Run a program until the test ends."""
    with contextlib.ExitStack() as stack:

        def run(*arguments):
            with open(tmp_path / "log", "a") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", *arguments],
                    cwd=tmp_path,
                    env=child_env,
                    stdout=log,
                    stderr=log,
                )
            stack.callback(end, process)
            return process

        yield run


def asked(client):
    """Ask for a report, and then how it is until that is good."""
    answer = client.post("/reports")
    assert answer.status == 202
    path = f"/reports?id={answer.json()['id']}"
    deadline = time.monotonic() + WAIT
    while (state := client.get(path).json())["state"].lower() not in GOOD:
        assert time.monotonic() < deadline, state
    return state


GOOD = ("success", "succeeded")


@pytest.fixture
def database_url(postgresql_url):
    """A database that is there for one test."""
    name = f"recipe_{uuid.uuid4().hex}"
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(f"create database {name}")
        yield f"{postgresql_url.rpartition('/')[0]}/{name}"
        connection.execute(f"drop database {name} with (force)")


@pytest.mark.timeout(180)
def test_celery(recipe, run):
    name, module = recipe("celery")
    run("celery", f"--app={name}:queue", "worker", "--concurrency=1")
    with serve(module.app) as client:
        assert asked(client)["result"] == "report 7"
    module.queue.close()


@pytest.mark.timeout(180)
def test_procrastinate(recipe, run, database_url):
    name, module = recipe("procrastinate", postgresql_url=database_url)
    apply = run("procrastinate", f"--app={name}.queue", "schema", "--apply")
    assert apply.wait(WAIT) == 0
    run("procrastinate", f"--app={name}.queue", "worker", "--concurrency=1")
    with module.queue.open(), serve(module.app) as client:
        asked(client)


@pytest.mark.timeout(180)
@pytest.mark.filterwarnings("default")
def test_dbos(recipe, database_url):
    dbos = pytest.importorskip("dbos").DBOS
    dbos.destroy(destroy_registry=True)  # another test may have read the page too
    _, module = recipe("dbos", postgresql_url=database_url)
    module.DBOS.launch()
    module.DBOS.register_queue("reports", worker_concurrency=1)
    try:
        with serve(module.app) as client:
            assert asked(client)["result"] == "report 7"
    finally:
        dbos.destroy(destroy_registry=True)
