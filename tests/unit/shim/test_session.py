"""shim.session: one session for each request, whoever serves it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest
import sqlalchemy.orm
from sqlalchemy.orm import sessionmaker
from tornado import gen
from tornado.web import Application, RequestHandler

from tests.patience import WAIT
from tests.unit.shim.conftest import in_foreign_thread
from tornado_unblock import run_in_executor, shim, unblock, unblock_application
from tornado_unblock.shim.session import scoped_session


class Sessions:
    """A factory that counts what was made and what was closed."""

    def __init__(self):
        self.made, self.closed = [], []
        outer = self

        class Session(sqlalchemy.orm.Session):
            def close(self):
                outer.closed.append(self)
                super().close()

        def make(**options):
            outer.made.append(Session())
            return outer.made[-1]

        self.registry = scoped_session(make)


@pytest.fixture
def sessions():
    return Sessions()


def handler(sessions, seen, before, verb, after):
    """Return a handler whose hooks note the session and the thread they have."""
    registry = sessions.registry

    def look():
        seen.append((registry(), threading.current_thread()))

    class Handler(RequestHandler):
        @before
        def prepare(self):
            look()

        @after
        def on_finish(self):
            look()
            registry.remove()

    Handler.get = verb(look)
    return Handler


def plainly(fn):
    return fn


def sync_verb(look):
    return lambda self: look()


def unblocked_verb(look):
    return unblock(sync_verb(look))


def native_verb(look):
    async def get(self):
        await asyncio.sleep(0)
        look()
        await shim.dual(look).aio()
        await run_in_executor(look)

    return get


def coroutine_verb(look):
    @gen.coroutine
    def get(self):
        yield gen.moment
        look()
        yield run_in_executor(look)

    return get


@pytest.mark.parametrize(
    ("before", "verb", "after"),
    [
        (plainly, unblocked_verb, plainly),
        (unblock, unblocked_verb, plainly),
        (unblock, unblocked_verb, unblock),
        (plainly, native_verb, plainly),
        (unblock, native_verb, unblock),
        (plainly, coroutine_verb, plainly),
    ],
)
def test_one_session_for_each_request(sessions, before, verb, after, serve):
    """All hooks of a request have one session, and the next request another."""
    seen = []
    server = serve(Application([("/", handler(sessions, seen, before, verb, after))]))
    for number in (1, 2):
        seen.clear()
        assert server.get("/").status == 200
        server.until(lambda number=number: len(sessions.closed) == number)
        assert len({id(session) for session, _ in seen}) == 1
        assert sessions.closed == sessions.made
    assert len(sessions.made) == 2


@pytest.mark.parametrize("whole", [unblock, unblock_application])
def test_whole_requests(sessions, whole, serve):
    """The same with the whole request on one worker."""
    seen = []
    kind = handler(sessions, seen, plainly, sync_verb, plainly)
    app = Application([("/", unblock(kind) if whole is unblock else kind)])
    server = serve(app if whole is unblock else unblock_application(app))
    for number in (1, 2):
        assert server.get("/").status == 200
        server.until(lambda number=number: len(sessions.closed) == number)
    assert sessions.closed == sessions.made
    assert len(sessions.made) == 2


def test_threads_outside_of_requests(sessions):
    """A script has its own session, as has each thread, across both colours."""
    registry = sessions.registry
    mine = registry()

    @shim.dual
    async def asynchronous():
        return await shim.dual(registry).aio()

    assert registry() is mine
    assert asynchronous() is mine
    assert in_foreign_thread(registry) is not mine

    async def main():
        # What a script opened before its loop began is not the requests'.
        return registry(), await run_in_executor(registry)

    first, second = asyncio.run(main())
    assert first is second
    assert first is not mine
    registry.remove()
    assert not registry.registry.has()


def test_requests_at_once(sessions):
    """Tasks that run at the same time have sessions of their own."""
    registry = sessions.registry

    async def request(barrier):
        found = await run_in_executor(registry)
        await run_in_executor(barrier.wait, WAIT)
        assert await run_in_executor(registry) is found
        return found

    async def main():
        barrier = threading.Barrier(3)
        return await asyncio.gather(*(request(barrier) for _ in range(3)))

    assert len(set(map(id, asyncio.run(main())))) == 3


def test_the_rest_of_scoped_session(tmp_path):
    """What SQLAlchemy's own does is there: arguments, proxied calls, scopefunc."""
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/database")
    registry = scoped_session(sessionmaker(engine))
    assert registry.execute(sqlalchemy.text("SELECT 1")).scalar() == 1
    session = registry()
    with pytest.raises(sqlalchemy.exc.InvalidRequestError, match="already present"):
        registry(expire_on_commit=False)
    registry.remove()
    other = registry(expire_on_commit=False)
    assert other is registry() is not session
    registry.remove()
    scope = ["one"]
    scoped = scoped_session(sessionmaker(engine), scopefunc=lambda: scope[0])
    first = scoped()
    scope[0] = "two"
    assert scoped() is not first
    scoped.remove()
    engine.dispose()


def test_without_sqlalchemy(child_env, tmp_path):
    """Only `scoped_session` needs SQLAlchemy, and says what to install."""
    program = (
        "import sys\nsys.modules['sqlalchemy'] = None\n"
        "from tornado_unblock.shim import session\n"
        "session.guard, session.per_thread\n"
        "try: session.nothing\nexcept AttributeError: pass\n"
        "from tornado_unblock.shim.session import scoped_session\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", program],
        env=child_env, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert child.returncode == 1
    assert "scoped_session needs SQLAlchemy: pip install" in child.stderr
