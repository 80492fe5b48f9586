"""Jobs as functions, and the ways to ask for them."""

from __future__ import annotations

import asyncio
import datetime
import functools
import sys
import threading
import types

import pytest

from tests.unit.shim.conftest import in_foreign_thread, in_script, in_worker
from tornado_unblock import ConfigurationError, LoopThreadError
from tornado_unblock._errors import JobArgumentError
from tornado_unblock.jobs import Jobs
from tornado_unblock.jobs.later import _module_of


def add(a, b=2, *rest, delay=0, task=None, **more):
    """Add them."""
    return a + b


def test_called_it_runs_here(app):
    """A job is still its function, with its name and its docstring."""
    job = app.job(add)
    assert job(1, b=3) == 4
    assert (job.__name__, job.__doc__, job.fn) == ("add", "Add them.", add)
    assert job.name == f"{__name__}.add"
    assert repr(job) == f"<job {__name__}.add>"


@pytest.mark.parametrize("place", [in_script, in_foreign_thread, in_worker])
def test_later(app, place):
    """It is asked for from a script, a thread and a body alike."""
    job = app.job(add)
    ticket = place(functools.partial(job.later, 1, b=3))
    assert ticket.created
    assert app.state(ticket.id).state == "queued"
    app.engine.run_next()
    assert app.state(ticket.id).result == 4


def test_in_a_coroutine(app):
    """On the loop thread later says what to write, and that does not block."""
    job, threads = app.job(add), []
    enqueue = app.enqueue

    def noted(*args):
        threads.append(threading.current_thread())
        return enqueue(*args)

    app.enqueue = noted

    async def main():
        with pytest.raises(LoopThreadError, match=r"await add\.later\.aio"):
            job.later(1)
        return await job.later.aio(1), await job.later.options(delay=9).aio(2)

    now, later = asyncio.run(main())
    assert app.state(now.id).run_at < app.state(later.id).run_at
    assert threading.current_thread() not in threads


def test_arguments_do_not_clash(app):
    """Options have a place of their own, so arguments may be called like them."""
    job = app.job(add)
    ticket = job.later.options(delay=0)(1, 2, 3, delay=4, task=5, self=6, key=7)
    app.engine.run_next()
    assert app.state(ticket.id).result == 3


def test_arguments_are_checked_where_it_is_asked_for(app):
    """What a worker could not use is refused now, and named."""
    job = app.job(add)
    with pytest.raises(TypeError, match=r"add: missing a required argument: 'a'"):
        job.later()
    with pytest.raises(JobArgumentError, match=r"add: argument 'b' is of type set"):
        job.later(1, {2})
    with pytest.raises(JobArgumentError, match=r"argument 'more'\['x'\] is of type"):
        job.later(1, x=object())
    assert app.counts().queued == 0


def test_options(app):
    """They add up, and reach the store."""
    job = app.job(priority=3)(add)
    at = datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc)
    keyed = job.later.options(key="k", once=True)
    first = keyed.options(at=at)(1)
    assert app.state(first.id).run_at == at.timestamp()
    assert keyed(1) == (first.id, False)
    urgent = job.later.options(priority=9)(1)
    usual = job.later(1)
    taken = [app.engine.store.take().id for _ in range(2)]
    assert taken == [urgent.id, usual.id]
    with pytest.raises(ConfigurationError, match=r"no option 'prio'; it has delay, at"):
        job.later.options(prio=1)


def test_within(app, tmp_path):
    """In the caller's own transaction it is there with the rest."""
    import sqlite3

    job = app.job(add)
    assert app.counts().queued == 0
    connection = sqlite3.connect(tmp_path / "jobs.db")
    ticket = job.later.options(within=connection)(1)
    assert app.state(ticket.id) is None
    connection.commit()
    connection.close()
    assert app.state(ticket.id).state == "queued"


@pytest.mark.parametrize("name", ["within", "on_commit"])
def test_transactions_belong_to_a_thread(app, name):
    """later.aio writes in another one, so it refuses them."""
    later = app.job(add).later.options(**{name: object()})
    with pytest.raises(ConfigurationError, match=f"{name}= is for later"):
        asyncio.run(later.aio(1))


def test_names():
    """Workers have to find it, so it needs a name of its own in a module."""
    app = Jobs()
    for fn in (lambda: 1, functools.partial(add, 1), types.FunctionType):
        if fn is types.FunctionType:
            continue
        with pytest.raises(ConfigurationError, match="has no name"):
            app.job(fn)
    assert app.job(name="short")(lambda: 1).name == "short"
    with pytest.raises(ConfigurationError, match="must be a text"):
        app.job(name="")(add)


def test_only_sync_functions():
    """A coroutine function is none for a worker."""

    async def fetch():
        pass

    def rows():
        yield 1

    async def later_rows():
        yield 1

    for fn in (fetch, later_rows):
        with pytest.raises(TypeError, match="asynchronous"):
            Jobs().job(fn)
    for fn in (rows, functools.partial(rows)):
        with pytest.raises(TypeError, match=r"rows is a generator: .* return a list"):
            Jobs().job(name="x")(fn)
    with pytest.raises(TypeError, match="is a generator"):
        Jobs().every(60)(rows)
    with pytest.raises(TypeError, match="expected a function"):
        Jobs().job(name="x")(5)


def test_a_function_that_does_not_say_what_it_takes(monkeypatch):
    """Its arguments could not be checked, so it is refused."""

    def refuse(fn):
        raise ValueError("no signature found")

    monkeypatch.setattr("inspect.signature", refuse)
    with pytest.raises(ConfigurationError, match="a function of your own around it"):
        Jobs().job(add)


@pytest.mark.parametrize(
    ("spec", "file", "name"),
    [
        (types.SimpleNamespace(name="pack.age"), "/x/age.py", "pack.age"),
        (None, "/x/script.py", "script"),
        (None, None, "__main__"),
    ],
)
@pytest.mark.parametrize("module", ["__main__", "__mp_main__"])
def test_the_name_of_a_script(monkeypatch, module, spec, file, name):
    """What runs as __main__ is found under the name by which others import it.

    So it is in the processes of multiprocessing's, which run it under another one.
    """
    main = types.ModuleType(module)
    main.__spec__, main.__file__ = spec, file
    monkeypatch.setitem(sys.modules, module, main)
    assert _module_of(types.SimpleNamespace(__module__=module)) == name
