"""Executors of processes: named, made again, of other makers."""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib.util
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from typing import Any

import pytest
from tornado.web import RequestHandler

from tests.patience import WAIT
from tornado_unblock import (
    ConfigurationError,
    LoopThreadError,
    RejectedError,
    RunTimeoutError,
    configure,
    run_in_executor,
    shutdown,
    statistics,
    unblock,
)
from tornado_unblock._executors.registry import (
    get_executor,
    kill_processes,
    resolve_executor,
)


def die() -> None:
    """End a worker process as the system's memory killer would."""
    os.kill(os.getpid(), signal.SIGKILL)


def hold() -> None:
    """Run until killed."""
    signal.pause()


def spawned() -> concurrent.futures.Executor:
    context = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(1, context)


def test_by_name():
    """`configure` says how many; that is the limit, too."""
    configure("cpu", processes=2)

    async def main() -> None:
        pids = await asyncio.gather(
            *(run_in_executor(os.getpid, executor="cpu") for _ in range(4))
        )
        assert os.getpid() not in pids
        seen = statistics()["cpu"]
        assert (seen.total_tokens, seen.threads) == (2, None)
        assert seen.endpoints["getpid"].completed == 4

    asyncio.run(main())


@pytest.mark.parametrize("factory", [None, spawned])
def test_killed_process(factory):
    """Its job fails; the next one runs in a new pool."""
    if factory is None:
        configure("cpu", processes=1)
    else:
        configure("cpu", factory=factory, max_workers=1)

    async def main() -> None:
        before = await run_in_executor(os.getpid, executor="cpu")
        with pytest.raises(concurrent.futures.BrokenExecutor):
            await run_in_executor(die, executor="cpu")
        after = await run_in_executor(os.getpid, executor="cpu")
        assert len({before, after, os.getpid()}) == 3

    asyncio.run(main())


def meet(path: str) -> None:
    """Return when both processes are here."""
    with multiprocessing.connection.Client(path) as other:
        assert other.recv() == "go on"


def test_one_route_may_use_every_process(tmp_path):
    """Fairness between endpoints would leave one of two processes idle."""
    configure("cpu", processes=2)
    path = str(tmp_path / "socket")

    async def main() -> None:
        with multiprocessing.connection.Listener(path) as listener:
            jobs = [run_in_executor(meet, path, executor="cpu") for _ in range(2)]
            both = [await run_in_executor(listener.accept) for _ in jobs]
            for connection in both:
                connection.send("go on")
                connection.close()
            await asyncio.gather(*jobs)

    asyncio.run(asyncio.wait_for(main(), 30))


def test_what_waits_survives_a_killed_process():
    """Jobs wait here, not in the pool that breaks."""
    configure("cpu", processes=1, max_endpoint_share=1)

    async def main() -> None:
        dying = run_in_executor(die, executor="cpu")
        waiting = [run_in_executor(abs, -n, executor="cpu") for n in range(3)]
        with pytest.raises(concurrent.futures.BrokenExecutor):
            await dying
        assert await asyncio.gather(*waiting) == [0, 1, 2]

    asyncio.run(main())


def test_foreign_pool_that_broke():
    """It is dead for good, and the rejection says what to use instead."""

    async def main() -> None:
        with spawned() as pool:
            with pytest.raises(concurrent.futures.BrokenExecutor):
                await run_in_executor(die, executor=pool)
            with pytest.raises(RejectedError, match=r"configure\(name, processes") as e:
                await run_in_executor(int, executor=pool)
            assert e.value.rejection == "no_thread"

    asyncio.run(main())


def test_factory_that_fails():
    """Its error is the caller's; the next job asks it again."""
    pools: list[Any] = [ImportError("no module named loky"), SystemExit(1)]

    def make() -> concurrent.futures.Executor:
        if pools:
            raise pools.pop(0)
        return spawned()

    configure("cpu", factory=make)

    async def main() -> None:
        with pytest.raises(ImportError, match="loky"):
            await run_in_executor(int, executor="cpu")
        with pytest.raises(RuntimeError, match="SystemExit"):
            await run_in_executor(int, executor="cpu")
        assert await run_in_executor(abs, -7, executor="cpu") == 7

    asyncio.run(main())


def test_the_loop_does_not_wait_for_the_factory():
    """A cluster that does not answer holds up its own jobs only."""
    gate = threading.Event()

    def make() -> concurrent.futures.Executor:
        assert gate.wait(WAIT)
        return spawned()

    configure("grid", factory=make)

    async def main() -> None:
        future = run_in_executor(abs, -7, executor="grid")
        assert await run_in_executor(int, "7") == 7
        assert not future.done()
        gate.set()
        assert await future == 7

    asyncio.run(main())


def test_given_up_before_it_was_submitted(allow_log):
    """What nobody waits for any more does not reach the pool."""
    gate, made = threading.Event(), []

    class Pool(concurrent.futures.Executor):
        def submit(self, *args: Any, **kwargs: Any) -> Any:
            made.append(args)
            return super().submit(*args, **kwargs)

    def make() -> concurrent.futures.Executor:
        assert gate.wait(WAIT)
        return Pool()

    configure("grid", factory=make, max_workers=20, max_endpoint_share=1)
    configure("other", factory=Pool)

    async def main() -> None:
        # All the threads that submit are at the factory.
        stuck = [run_in_executor(int, executor="grid") for _ in range(8)]
        with pytest.raises(RunTimeoutError):
            await run_in_executor(abs, 0, executor="other", timeout=0.01)
        gate.set()
        for job in stuck:
            with pytest.raises(NotImplementedError):
                await job
        while statistics()["other"].borrowed_tokens:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)

    allow_log("tornado.application", "abs: still running after 0.01 s")
    asyncio.run(main())
    assert {fn for fn, *_ in made} == {int}


def test_loop_closed_before_a_refusal():
    """Nobody is left to be told."""
    gate, asked = threading.Event(), threading.Event()

    def make() -> concurrent.futures.Executor:
        asked.set()
        assert gate.wait(WAIT)
        raise ImportError("too late")

    configure("grid", factory=make)

    async def main() -> None:
        future = run_in_executor(int, executor="grid")
        assert asked.wait(WAIT)
        del future

    asyncio.run(main())
    gate.set()


def test_timeout_of_a_process(expect_log):
    """The job runs on, and holds its token; a shutdown of all kills it."""
    expect_log("tornado.application", r"hold: still running after 0\.01 s")
    expect_log("tornado.application", "hold: still running after .* shut down")
    configure("cpu", processes=1)

    async def main() -> None:
        await run_in_executor(int, executor="cpu")
        with pytest.raises(RunTimeoutError):
            await run_in_executor(hold, executor="cpu", timeout=0.01)
        (left,) = await shutdown(0)
        assert (left.endpoint, left.stack) == ("hold", "")
        kill_processes()
        await shutdown(WAIT)
        assert statistics()["cpu"].borrowed_tokens == 0

    asyncio.run(main())
    assert get_executor("cpu").max_workers == 1


def test_kill_before_use():
    """There is nothing to kill."""
    configure("cpu", processes=1)
    get_executor("cpu")
    get_executor("threads")
    kill_processes()


def test_after_shutdown():
    """As any executor that is shut down."""
    configure("cpu", processes=1)

    async def main() -> None:
        executor = get_executor("cpu")
        executor.shutdown()
        with pytest.raises(RejectedError, match="'cpu' is shut down"):
            await run_in_executor(int, executor="cpu")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"processes": 0}, "processes must be a whole number from 1 on"),
        ({"processes": 1.5}, "processes must be a whole number from 1 on"),
        ({"factory": 7}, "factory must be callable"),
    ],
)
def test_misconfigured(options, message):
    """Each mistake is named at the call."""
    with pytest.raises(ConfigurationError, match=message):
        configure("cpu", **options)


@pytest.mark.parametrize("options", [{"processes": 4}, {"factory": spawned}])
def test_the_default_executor_has_threads(options):
    """Handlers run there."""
    with pytest.raises(ConfigurationError, match="give the one of processes a name"):
        configure(**options)


def test_handlers_need_threads():
    """A body with a handler cannot go to a process; the advice says what can."""
    configure("cpu", processes=1)
    with pytest.raises(TypeError, match=r"run_in_executor\(fn, ..., executor='cpu'\)"):
        resolve_executor("cpu")
    assert resolve_executor(None) is get_executor()


def test_handler_on_processes_by_name(make_server, expect_log):
    """The request fails, and its log says why."""
    expect_log("tornado.application", "Uncaught exception GET /")
    expect_log("tornado.access", "500 GET /")
    configure("cpu", processes=1)

    class Handler(RequestHandler):
        @unblock(executor="cpu")
        def get(self) -> None: ...

    assert make_server(("/", Handler)).get("/").status == 500


def test_environment(monkeypatch):
    """How many processes is for the deployment to say."""
    monkeypatch.setenv("TORNADO_UNBLOCK_CPU_PROCESSES", "3")
    monkeypatch.setenv("TORNADO_UNBLOCK_CPU_FACTORY", "os.system")
    assert get_executor("cpu").max_workers == 3


def test_not_from_anywhere():
    """It needs a loop, as ever."""
    configure("cpu", processes=1)
    with pytest.raises(LoopThreadError):
        run_in_executor(int, executor="cpu")


def test_loky():
    """It takes closures, and is made again after a kill."""
    loky = pytest.importorskip("loky")
    configure("cpu", factory=lambda: loky.get_reusable_executor(1), max_workers=1)
    seven = 7

    async def main() -> None:
        assert await run_in_executor(lambda: seven, executor="cpu") == 7
        with pytest.raises(concurrent.futures.BrokenExecutor):
            await run_in_executor(die, executor="cpu")
        assert await run_in_executor(lambda: seven, executor="cpu") == 7

    asyncio.run(main())


FORKED = """
import asyncio, os
from tornado_unblock import configure, run_in_executor

async def main():
    return await run_in_executor(abs, -7, executor="cpu")

if __name__ == "__main__":
    configure("cpu", processes=1)
    assert asyncio.run(main()) == 7
    if os.fork() == 0:
        print("child", asyncio.run(main()), flush=True)
        from tornado_unblock import testing
        testing.reset()
        os._exit(0)
    os.wait()
    print("parent", asyncio.run(main()))
"""


def test_fork(run_program):
    """A forked child makes a pool of its own, and leaves its parent's alone."""
    assert run_program(FORKED) == "child 7\nparent 7\n"


DASK = """
import asyncio, operator, os
from distributed import Client
from tornado_unblock import configure, run_in_executor, statistics

async def main(client):
    by_hand = client.get_executor()
    assert await run_in_executor(operator.add, 3, 4, executor=by_hand) == 7
    configure("grid", factory=client.get_executor)
    jobs = [run_in_executor(abs, -n, executor="grid") for n in range(5)]
    assert await asyncio.gather(*jobs) == list(range(5))
    assert await run_in_executor(os.getpid, executor="grid") != os.getpid()
    try:
        await run_in_executor(operator.truediv, 1, 0, executor="grid")
    except ZeroDivisionError:
        print("served", statistics()["grid"].endpoints["abs"].completed)

if __name__ == "__main__":
    with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        asyncio.run(main(client))
"""


def test_dask(run_program):
    """A cluster's executor, given as it is and by name."""
    # Not imported here: that sets the levels of Tornado's loggers.
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("distributed is not installed")
    assert run_program(DASK, noisy=True) == "served 5\n"
