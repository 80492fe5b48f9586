"""The jobs of an application: defined, asked about, dealt with."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tornado_unblock import ConfigurationError, jobs
from tornado_unblock.jobs import Jobs


def work(value=1):
    return value


def fail():
    raise ValueError("no")


def nothing(a):
    pass


def again(module):
    """Return what a module that is loaded again defines: the same, once more."""
    fn = type(work)(work.__code__, work.__globals__, "work")
    fn.__module__, fn.__qualname__, fn.__defaults__ = module, "work", (2,)
    return fn


def test_configured_nowhere():
    """It says what to call."""
    app = Jobs()
    job = app.job(work)
    with pytest.raises(ConfigurationError, match=r"jobs\.configure\('sqlite"):
        job.later()
    with pytest.raises(ConfigurationError, match="nobody has said"):
        app.counts()


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (5, "must be a text"),
        ("jobs.db", "cannot be kept in 'jobs.db'"),
        ("mysql://root@x/y", "cannot be kept in 'mysql'"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", r"jobs\.testing\(\)"),
    ],
)
def test_urls(url, text):
    """What is no place for jobs is refused, with one that is."""
    with pytest.raises(ConfigurationError, match=text):
        Jobs().configure(url)


def test_relative_files(tmp_path, monkeypatch):
    """They are meant from where the process is when it says so."""
    monkeypatch.chdir(tmp_path)
    app = Jobs()
    app.configure("sqlite:///x.db")
    monkeypatch.chdir("/")
    app.counts()
    app.engine.store.close()
    assert (tmp_path / "x.db").exists()


def test_keep(url):
    """It is a number of seconds."""
    with pytest.raises(ConfigurationError, match="keep"):
        Jobs().configure(url, keep=0)


def test_names_of_apps():
    """They are texts."""
    with pytest.raises(ConfigurationError, match="name"):
        Jobs("")


def test_without_huey(monkeypatch, url):
    """It says which extra is missing."""
    monkeypatch.setitem(sys.modules, "huey", None)
    for module in ("engine", "sqlite"):
        monkeypatch.delitem(sys.modules, f"tornado_unblock.jobs.{module}", False)
    monkeypatch.setitem(sys.modules, "huey.storage", None)
    with pytest.raises(ConfigurationError, match=r"tornado-unblock\[jobs\]"):
        Jobs().configure(url)


def test_defined_before_and_after_configure(url):
    """The order does not matter, and configuring again neither."""
    app = Jobs()
    before = app.job(work)
    app.configure(url)
    after = app.job(name="after")(lambda: 2)
    app.configure(url)
    tickets = [before.later(), after.later()]
    while app.engine.run_next():
        pass
    assert [app.state(t.id).result for t in tickets] == [1, 2]
    app.engine.store.close()


def test_one_name_one_function(app):
    """A module that is loaded again defines the same; another function does not."""
    app.job(work)
    ticket = app.job(again(__name__)).later()
    app.engine.run_next()
    assert app.state(ticket.id).result == 2
    with pytest.raises(ConfigurationError, match="two jobs are called"):
        app.job(name=f"{__name__}.work")(fail)


def test_options_are_known(app):
    """A misspelt option is an error."""
    with pytest.raises(ConfigurationError, match="no option 'retry'; it has retries"):
        app.job(retry=1)
    with pytest.raises(ConfigurationError, match="no option 'retry'"):
        app.every(60, retry=1)


def test_every(app):
    """A periodic job is asked for by the clock, and can be asked for like any other."""
    job = app.every("0 3 * * *", tz="Europe/Berlin", missed="once")(work)
    app.tick()
    assert app.counts().queued == 0
    with app.engine.store.db(commit=True) as cursor:
        app.engine.store.run(cursor, "update {p}periodic set next_at = 1")
    app.tick()
    app.tick()
    assert app.counts().queued == 1
    job.later()
    assert app.counts().queued == 2
    assert app.engine.run_next()
    assert app.engine.run_next()
    assert job() == 1


def test_every_refuses(app):
    """It takes no arguments, and what was missed is run once or skipped."""
    with pytest.raises(ConfigurationError, match="without arguments"):
        app.every(60)(nothing)
    with pytest.raises(ConfigurationError, match="'once' or 'skip'"):
        app.every(60, missed="twice")


def test_the_dead_list(app):
    """What failed for good is there with its traceback, to be tried again or not."""
    job = app.job(fail)
    with app.testing() as box:
        ticket = job.later()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("huey.api.logger.exception", lambda *args: None)
            box.run()
            (dead,) = app.dead()
            assert (dead.id, dead.error) == (ticket.id, "ValueError: no")
            assert dead.ended
            first = dead.traceback.splitlines()[1]
            assert "test_app.py" in first
            assert app.retry(ticket.id)
            assert not app.retry(ticket.id)
            assert not app.state(ticket.id).ended
            box.run()
        assert app.discard(ticket.id)
        assert app.dead(limit=5) == []
        assert app.state(ticket.id) is None


def test_cancel(app):
    """What waits can be taken out."""
    ticket = app.job(work).later()
    assert app.cancel(ticket.id)
    assert app.state(ticket.id).state == "cancelled"
    assert app.engine.run_next() is None


def test_from_coroutines(app):
    """Everything that blocks can be awaited."""
    job = app.job(work)

    async def main():
        ticket = await job.later.aio()
        assert (await app.counts.aio()).queued == 1
        assert await app.cancel.aio(ticket.id)
        assert await app.retry.aio(ticket.id)
        assert await app.dead.aio() == []
        assert not await app.discard.aio(ticket.id)
        return await app.state.aio(ticket.id)

    assert asyncio.run(main()).state == "queued"


def test_signed(url):
    """With a secret, what was put in without it is not run."""
    app, other = Jobs(), Jobs()
    app.configure(url, secret="s")
    other.configure(url)
    signed = app.job(work).later(5)
    foreign = other.job(work).later()
    assert app.engine.run_next()
    assert app.state(signed.id).result == 5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tornado_unblock.jobs.engine.app_log.error", lambda *args: None)
        assert app.engine.run_next() is None
    assert "not signed with this secret" in app.state(foreign.id).error
    app.engine.store.close()
    other.engine.store.close()


def test_configure_as(url, app):
    """A process of a server's uses what the server uses, and only then."""
    app.configure_as(app.engine.settings)
    engine = app.engine
    app.configure_as(engine.settings)
    assert app.engine is engine
    child = Jobs()
    child.configure_as(engine.settings)
    assert child.engine.settings == engine.settings
    child.engine.store.close()


def test_the_module_is_one_application(url):
    """The functions of the package are the methods of one `Jobs`."""
    names = set(jobs.__all__)
    assert sorted(names) == jobs.__all__
    for name in ("configure", "job", "every", "start", "testing"):
        assert getattr(jobs, name) == getattr(jobs.default, name)
