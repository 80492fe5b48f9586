"""`shim.redis`: redis-py in both colours, on a real server."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import redis as original
from tornado.web import RequestHandler

from tests.unit.shim.conftest import (
    application,
    in_coroutine,
    in_foreign_thread,
    in_script,
    in_worker,
)
from tornado_unblock import LoopThreadError, run_in_executor, shim
from tornado_unblock._loop.portal import current_portal
from tornado_unblock.shim import redis
from tornado_unblock.shim.redis import _pools

TOO_MANY = r"(?i)too many connections"

each_thread = pytest.mark.parametrize(
    "place", [in_script, in_foreign_thread, in_worker], ids=lambda f: f.__name__
)


@pytest.fixture
def prefix(redis_url: str) -> Iterator[str]:
    """Return what the keys of this test begin with."""
    prefix = f"shim-{uuid.uuid4().hex}-"
    yield prefix
    with original.from_url(redis_url) as client:
        for key in client.scan_iter(f"{prefix}*", count=1000):
            client.delete(key)


@pytest.fixture
def make(redis_url: str) -> Iterator[Any]:
    """Make clients of the server that are closed with the test."""
    clients = []

    def make(**options: Any) -> redis.Redis:
        options.setdefault("decode_responses", True)
        clients.append(redis.from_url(redis_url, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def r(make: Any) -> redis.Redis:
    return make()


@each_thread
def test_sync(place, r, prefix):
    """The same names, arguments and results."""
    key = prefix + "a"

    def body() -> Any:
        assert r.set(key, "1", ex=60) is True
        assert r.incr(key) == 2
        assert r.hset(key + "h", mapping={"x": 1}) == 1
        return r.get(key), r.hgetall(key + "h"), r.execute_command("GET", key)

    assert place(body) == ("2", {"x": "1"}, "2")
    assert isinstance(r, original.Redis)
    assert isinstance(r.get, shim.Dual)


def test_awaited(r, prefix):
    """The same in a coroutine."""
    key = prefix + "a"

    async def main() -> Any:
        assert await r.set.aio(key, "1", ex=60) is True
        assert await r.incr.aio(key) == 2
        assert await r.hset.aio(key + "h", mapping={"x": 1}) == 1
        return await asyncio.gather(
            r.get.aio(key), r.hgetall.aio(key + "h"), r.execute_command.aio("GET", key)
        )

    assert in_coroutine(main) == ["2", {"x": "1"}, "2"]
    # Another loop has another pool.
    assert in_coroutine(lambda: r.get.aio(key)) == "2"
    assert asyncio.run(r.get.aio(key), debug=True) == "2"


@pytest.mark.parametrize("kind", ["method", "class", "application"])
def test_handlers(kind, r, prefix, serve):
    """A body calls it, and a coroutine of its loop awaits it."""
    key = prefix + "a"

    def body(handler: RequestHandler) -> None:
        r.set(key, "1")

        async def more() -> Any:
            return await r.incr.aio(key)

        handler.write(f"{shim.wait(more())} {r.get(key)}")

    assert serve(application(kind, body)).get("/").body == b"2 2"


def test_on_a_loop_thread(r, prefix):
    """What would block the loop is refused, with advice; what does not, is not."""

    async def main() -> None:
        for call, advice in (
            (lambda: r.get("a"), r"await Redis\.get\.aio"),
            (lambda: r.json().get("a"), r"execute_command"),
            (lambda: list(r.scan_iter("a")), r"scan_iter.*async for"),
            (lambda: r.monitor(), r"async_client\(\)\.monitor"),
            (lambda: r.pipeline().get("a").execute(), r"Pipeline\.execute\.aio"),
            (lambda: r.pipeline().watch("a"), r"await pipeline\.watch\.aio"),
            (lambda: r.lock("a").acquire(), r"acquire\.aio"),
            (lambda: r.pubsub().subscribe("a"), r"subscribe\.aio"),
        ):
            with pytest.raises(LoopThreadError, match=advice):
                call()
        r.close()

    in_coroutine(main)
    assert r.monitor() is not None


def test_scans(r, prefix):
    """Scans go into ``for`` and ``async for``; in sync use they are iterators."""
    keys = {f"{prefix}{n}" for n in range(30)}
    r.mset(dict.fromkeys(keys, 1))
    r.hset(prefix + "h", mapping={"x": 1, "y": 2})
    assert set(r.scan_iter(prefix + "[0-9]*", count=1000)) == keys
    scan = r.hscan_iter(prefix + "h")
    assert {next(scan), next(scan)} == {("x", "1"), ("y", "2")}

    async def main() -> None:
        pattern = prefix + "[0-9]*"
        assert {k async for k in r.scan_iter(pattern, count=1000)} == keys
        assert {k async for k in r.scan_iter.aio(pattern, count=1000)} == keys

    in_coroutine(main)
    assert "scan_iter" in vars(redis.Redis)
    assert redis.Redis.scan_iter is not None


def test_pipelines(r, prefix):
    """Commands are collected by either colour, and sent by either."""
    key = prefix + "a"
    with r.pipeline() as pipe:
        assert pipe.incr(key).incr(key).execute() == [1, 2]
        assert len(pipe) == 0

    async def main() -> None:
        async with r.pipeline(transaction=False) as pipe:
            assert await pipe.incr(key).get(key).execute.aio() == [3, "3"]
            assert await pipe.execute.aio() == []
            await pipe.incr.aio(key)
            pipe.lpush(key, 1)
            with pytest.raises(original.ResponseError, match="Command # 2"):
                await pipe.execute.aio()
            pipe.lpush(key, 1)
            (error,) = await pipe.execute.aio(raise_on_error=False)
            assert isinstance(error, original.ResponseError)
        pipe = r.pipeline()
        pipe.get(key)
        await pipe.close.aio()
        assert len(pipe) == 0

    in_coroutine(main)
    assert r.get(key) == "4"
    assert redis.Pipeline.incr(r.pipeline(), key) is not None


def test_watching(r, prefix):
    """A transaction fails if somebody else writes what it watches, in both colours."""
    key = prefix + "a"
    r.set(key, 1)
    with r.pipeline() as pipe:
        pipe.watch(key)
        value = pipe.get(key)
        pipe.multi()
        pipe.set(key, value + "0")
        assert pipe.execute() == [True]
        pipe.watch(key)
        with pytest.raises(original.RedisError, match="watches keys in sync code"):
            in_coroutine(lambda: pipe.get.aio(key))

    async def main() -> None:
        async with r.pipeline() as pipe:
            await pipe.watch.aio(key)
            value = await pipe.get.aio(key)
            pipe.multi()
            pipe.set(key, value + "0")
            assert await pipe.execute.aio() == [True]
            await pipe.watch.aio(key)
            for call in (pipe.reset, lambda: pipe.get(key)):
                with pytest.raises(LoopThreadError):
                    call()
            for call in (lambda: pipe.get(key), pipe.execute):
                with pytest.raises(LoopThreadError, match="for a coroutine"):
                    await run_in_executor(call)
            await r.incr.aio(key)
            pipe.multi()
            pipe.get(key)
            with pytest.raises(original.WatchError):
                await pipe.execute.aio()
            await pipe.watch.aio(key)
            await pipe.unwatch.aio()
            pipe.get(key)
            assert await pipe.execute.aio() == ["101"]
            await pipe.watch.aio(key)

    in_coroutine(main)


def test_transaction(r, prefix):
    """It is tried again until nobody interferes."""
    key, other = prefix + "a", prefix + "b"
    r.set(key, 1)

    def double(pipe: Any) -> str:
        value = pipe.get(key)
        pipe.multi()
        pipe.set(key, 2 * int(value))
        return "sync"

    assert r.transaction(double, key, value_from_callable=True) == "sync"
    calls: list[int] = []

    async def double_aio(pipe: Any) -> str:
        value = await pipe.get.aio(key)
        calls.append(int(value))
        if len(calls) == 1:
            await r.set.aio(key, 5)
        pipe.multi()
        pipe.set(key, 2 * int(value))
        return "async"

    async def plain(pipe: Any) -> None:
        pipe.set(other, 1)

    assert in_coroutine(lambda: r.transaction.aio(double_aio, key)) == [True]
    assert calls == [2, 5]
    assert r.get(key) == "10"
    again = in_coroutine(lambda: r.transaction.aio(plain, value_from_callable=True))
    assert again is None
    with pytest.raises(NotImplementedError, match="watch_delay="):
        in_coroutine(lambda: r.transaction.aio(plain, watch_delay=1))


def test_locks(r, prefix):
    """A lock excludes both colours, whichever took it."""
    name = prefix + "lock"
    with r.lock(name, 10, blocking=False) as lock:
        assert lock.owned()
        assert not in_coroutine(lambda: r.lock(name, blocking=False).acquire.aio())

    async def main() -> None:
        async with r.lock(name, timeout=10) as lock:
            assert await lock.owned.aio()
            assert await lock.extend.aio(5)
            other = r.lock(name, blocking=False)
            assert not await run_in_executor(other.acquire)
            with pytest.raises(original.exceptions.LockError):
                async with other:
                    raise AssertionError
        assert not await lock.locked.aio()
        shared = r.lock(name, timeout=10, thread_local=False)
        assert await shared.acquire.aio()
        await run_in_executor(shared.release)

    in_coroutine(main)
    theirs = r.lock(name, None, 0.1, True, None, original.lock.Lock, False)
    assert type(theirs) is original.lock.Lock
    assert theirs.local.token is None
    assert not isinstance(theirs.local, threading.local)


def test_pubsub(r, prefix):
    """Subscriptions, in the colour of whoever subscribes."""
    channel = prefix + "c"
    with r.pubsub(ignore_subscribe_messages=True) as sub:
        assert not sub.subscribed
        sub.subscribe(channel)
        assert r.publish(channel, "1") == 1
        assert next(m for m in sub.listen())["data"] == "1"

    async def main() -> None:
        async with r.pubsub(ignore_subscribe_messages=True) as sub:
            await sub.subscribe.aio(channel)
            assert sub.subscribed
            await r.publish.aio(channel, "1")
            async for message in sub.listen():
                assert message["data"] == "1"
                break
            await sub.unsubscribe.aio(channel)
            while sub.subscribed:
                await sub.get_message.aio(timeout=1)
        await r.pubsub().close.aio()

    in_coroutine(main)


def test_scripts(r, prefix):
    """A Lua script, called, awaited, and in pipelines."""
    key = prefix + "a"
    script = r.register_script("return redis.call('incrby', KEYS[1], ARGV[1])")
    r.script_flush()
    assert script([key], [5]) == 5

    async def main() -> None:
        await r.script_flush.aio()
        assert await script.aio([key], [1]) == 6
        await r.script_flush.aio()
        pipe = r.pipeline()
        await script.aio([key], [1], client=pipe)
        script([key], [1], client=pipe)
        assert await pipe.execute.aio() == [7, 8]

    in_coroutine(main)
    pipe = r.pipeline()
    script([key], [1], client=pipe)
    assert pipe.execute() == [9]
    other = redis.Redis(connection_pool=r.connection_pool)
    assert in_coroutine(lambda: script.aio([key], [1], client=other)) == 10


def test_response_callbacks(r, prefix):
    """What a client makes of responses holds in both colours, for it alone."""
    key = prefix + "a"
    other = redis.Redis(connection_pool=r.connection_pool)
    r.set(key, "7")
    r.set_response_callback("GET", lambda response, **options: int(response))
    assert r.get(key) == in_coroutine(lambda: r.get.aio(key)) == 7
    assert other.get(key) == in_coroutine(lambda: other.get.aio(key)) == "7"


def test_results_are_bytes_unless_told(make, prefix):
    """``decode_responses`` and errors are redis' own."""
    r = make(decode_responses=False)
    r.set(prefix, "x")
    assert r.get(prefix) == in_coroutine(lambda: r.get.aio(prefix)) == b"x"
    for call in (
        lambda: r.lpush(prefix, 1),
        lambda: in_coroutine(lambda: r.lpush.aio(prefix, 1)),
    ):
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            call()


def test_a_cancelled_command(make, prefix):
    """Its answer is not the next command's."""
    r = make(max_connections=1)

    async def main() -> None:
        r.set_response_callback("PING", lambda response, **options: response)
        waiting = asyncio.ensure_future(r.blpop.aio(prefix + "queue", timeout=5))
        client = await run_in_executor(lambda: make())
        while not any(  # noqa: ASYNC110 - the server does not tell
            "blpop" in c["cmd"] for c in await client.client_list.aio()
        ):
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await client.rpush.aio(prefix + "queue", "x")
        assert await r.get.aio(prefix) is None
        assert await r.lpop.aio(prefix + "queue") == "x"

    in_coroutine(main)


def test_killed_connections(make, r, prefix):
    """The next command has a new connection, in both colours."""
    victim = make(client_name=prefix)

    def ids() -> list[str]:
        return [c["id"] for c in r.client_list() if c["name"] == prefix]

    def kill() -> None:
        killed = ids()
        assert killed
        for number in killed:
            r.client_kill_filter(_id=number)
        while set(ids()) & set(killed):
            pass

    assert victim.ping()
    kill()
    assert victim.set(prefix, "x")
    victim.close()

    async def main() -> None:
        await victim.ping.aio()
        (connection,) = victim.async_client().connection_pool._available_connections
        await run_in_executor(kill)
        while not connection._reader.at_eof():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        assert await victim.get.aio(prefix) == "x"

    in_coroutine(main)


def test_an_exhausted_pool(make, prefix):
    """It says so at once, in both colours."""
    r = make(max_connections=1, retry=None)
    with r.pipeline() as pipe:
        pipe.watch(prefix)
        with pytest.raises(redis.ConnectionError, match=TOO_MANY):
            r.get(prefix)

    async def main() -> None:
        async with r.pipeline() as pipe:
            await pipe.watch.aio(prefix)
            with pytest.raises(redis.ConnectionError, match=TOO_MANY):
                await r.get.aio(prefix)
        assert await r.get.aio(prefix) is None

    in_coroutine(main)


def test_a_pool_that_waits(redis_url, prefix):
    """``BlockingConnectionPool`` waits as long as it is told, in both colours."""
    pool = original.BlockingConnectionPool.from_url(
        redis_url, max_connections=1, timeout=0.01
    )
    r = redis.Redis(connection_pool=pool)

    async def main() -> None:
        async with r.pipeline() as pipe:
            await pipe.watch.aio(prefix)
            with pytest.raises(redis.ConnectionError, match="No connection available"):
                await r.get.aio(prefix)

    in_coroutine(main)
    r.close()
    pool.disconnect()


def test_pools_are_shared(r, prefix):
    """Clients of one pool share one in coroutines; it goes with the sync one."""

    async def main() -> None:
        other = redis.Redis(connection_pool=r.connection_pool)
        assert other.async_client() is r.async_client()
        async with make_one() as mine:
            await mine.ping.aio()
        mine = make_one()
        client = mine.async_client()
        await mine.ping.aio()
        (connection,) = client.connection_pool._available_connections
        mine.close()
        del mine
        gc.collect()
        while connection.is_connected:  # noqa: ASYNC110 - it is closed by its loop
            await asyncio.sleep(0)

    def make_one() -> redis.Redis:
        options = r.connection_pool.connection_kwargs
        return redis.Redis(host=options["host"], port=options["port"])

    in_coroutine(main)


def test_a_pool_that_outlives_its_loop(redis_url):
    """Its end does not matter to a loop that has ended."""
    r = redis.from_url(redis_url)
    in_coroutine(r.ping.aio)
    r.close()
    del r
    gc.collect()


def test_released_with_the_loop(r):
    """An orderly end of the loop closes its connections."""

    async def main() -> None:
        await r.ping.aio()
        pool = r.async_client().connection_pool
        await current_portal().release()
        assert not any(c.is_connected for c in pool._available_connections)

    in_coroutine(main)


def test_options(redis_url):
    """What has no counterpart is named, when something is awaited."""

    class Own(original.Connection):
        pass

    def refused(r: redis.Redis, what: str) -> None:
        with pytest.raises(NotImplementedError, match=what):
            in_coroutine(lambda: r.ping.aio())
        r.close()

    own = original.ConnectionPool.from_url(redis_url, connection_class=Own)
    refused(redis.Redis(connection_pool=own), "a pool of Own")
    hook = redis.from_url(redis_url, redis_connect_func=lambda connection: None)
    refused(hook, "redis_connect_func=")
    odd = redis.from_url(redis_url)
    odd.connection_pool.connection_kwargs["command_packer"] = object()
    refused(odd, "command_packer=")
    cached = redis.from_url(redis_url)
    cached.connection_pool.cache = object()
    refused(cached, "client-side cache")
    retrying = redis.from_url(
        redis_url, retry=original.retry.Retry(original.backoff.NoBackoff(), 3)
    )
    assert in_coroutine(lambda: retrying.ping.aio()) is True
    retrying.close()


def test_tls_sockets_are_cut_too():
    """All layers of a transport are closed without its loop."""

    class Layer:
        _sock = None

    outer, inner = Layer(), Layer()
    outer._ssl_protocol = Layer()  # type: ignore[attr-defined]
    outer._ssl_protocol._transport = inner  # type: ignore[attr-defined]
    _pools._cut(outer)
    assert inner._closing  # type: ignore[attr-defined]


def test_fork(run_program, redis_url, prefix):
    """A child has connections of its own; the parent's live on, in both colours."""
    program = f"""
        import asyncio, os
        from tornado_unblock import shim
        from tornado_unblock.shim import redis
        r = redis.from_url({redis_url!r})
        number = shim.dual(lambda: r.client_id())
        async def both():
            return await r.client_id.aio()
        sync, awaited = r.client_id(), shim.wait(both())
        if os.fork() == 0:
            assert r.client_id() != sync
            assert shim.wait(both()) != awaited
            os._exit(0)
        assert os.wait()[1] == 0
        assert (r.client_id(), shim.wait(both())) == (sync, awaited)
        print("fine")
    """
    assert run_program(program) == "fine\n"


def test_all_else():
    """Every other name is redis' own."""
    assert redis.StrictRedis is redis.Redis
    assert redis.ConnectionError is original.ConnectionError
    assert os.path.basename(redis.asyncio.__file__) == "__init__.py"
    with pytest.raises(AttributeError, match="nothing"):
        _ = redis.nothing
