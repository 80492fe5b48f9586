"""What there is to see: bodies, waiters, endpoints, configuration, in plain values."""

from __future__ import annotations

import asyncio
import functools
import json

import pytest

from tornado_unblock import RejectedError, RunTimeoutError, configure, run_in_executor
from tornado_unblock._limits.statistics import open_limiters
from tornado_unblock._loop.portal import current_portal
from tornado_unblock.status import snapshot
from tornado_unblock.status.snapshot import oldest_waiters, take, take_brief


def hold_here(gate):
    return gate.hold()


def test_bodies_and_who_waits(gate):
    """Who has a worker, where it stands; and for how long the first in line waits."""
    configure("reports", max_workers=1, max_waiting=1)

    async def main():
        held = run_in_executor(hold_here, gate, executor="reports")
        await run_in_executor(gate.wait, executor="helpers")
        waits = run_in_executor(abs, -7, executor="reports")
        with pytest.raises(RejectedError):
            run_in_executor(len, "x", executor="reports")
        seen = take()
        gate.open.set()
        assert await held == "held"
        assert await waits == 7
        return seen

    seen = asyncio.run(main())
    (body,) = [b for b in seen.bodies if b.executor == "reports"]
    assert (body.endpoint, body.begun, body.abandoned) == ("hold_here", True, False)
    assert body.at.function == "Gate.hold" or body.at.function == "hold"
    assert body.at.file.endswith("gates.py")
    assert body.stack == ()
    assert body.seconds > 0
    (executor,) = [e for e in seen.executors if e.name == "reports"]
    assert (executor.borrowed_tokens, executor.waiting) == (1, 1)
    assert executor.oldest_waiter > 0
    rejected = {e.name: dict(e.rejected) for e in seen.endpoints}
    assert rejected["len"] == {"full": 1}
    assert rejected["abs"] == {}
    (helpers,) = [e for e in seen.executors if e.name == "helpers"]
    assert helpers.oldest_waiter is None
    json.dumps(seen, default=vars)


@pytest.mark.expect_log("tornado.application", "still running after")
def test_abandoned_bodies_have_a_stack(gate):
    """What nobody waits for any more is apart, with all of its stack."""
    configure("reports", timeout=0.01)

    async def main():
        with pytest.raises(RunTimeoutError):
            await run_in_executor(hold_here, gate, executor="reports")
        seen = take()
        gate.open.set()
        await run_in_executor(int, executor="helpers")
        return seen

    seen = asyncio.run(main())
    assert [b for b in seen.bodies if b.executor == "reports"] == []
    (body,) = seen.abandoned
    assert body.abandoned
    functions = [line.function.rpartition(".")[2] for line in body.stack]
    assert functions.index("hold_here") < functions.index("hold")
    assert str(body.at).startswith(f"{body.at.file}:{body.at.line} in ")


def test_a_body_that_has_not_begun():
    """What is on its way to a thread is shown as such."""
    begun = []

    async def main():
        await run_in_executor(int)
        future = run_in_executor(int)
        offload = future.offload
        offload.started_at, offload._thread_id = 0.0, None
        begun.append(snapshot._body("default", offload, offload.requested_at + 2))
        await future

    asyncio.run(main())
    assert (begun[0].begun, begun[0].at, begun[0].seconds) == (False, None, 2.0)


def test_waiters_of_other_kinds():
    """What waits and is no offload has no time to tell."""

    async def main():
        await run_in_executor(int)
        current_portal()
        ((_, limiter),) = open_limiters()
        endpoint = limiter.endpoint("int")
        endpoint.waiting[object()] = None
        return oldest_waiters([("default", limiter)])

    assert asyncio.run(main()) == {}


def test_the_page_of_one_leaves_out_what_that_of_all_adds_up(monkeypatch):
    """Who has little time here may have most of it elsewhere."""
    monkeypatch.setattr(snapshot, "_MOST", 1)

    async def main() -> None:
        await run_in_executor(len, "")
        await run_in_executor(functools.reduce, max, [1, 2])

    asyncio.run(main())
    assert len(take().endpoints) == 1
    assert {one.name for one in take_brief().endpoints} == {"len", "reduce"}


def test_configuration():
    """Options are told as they are in force; of a factory only that there is one."""
    configure(max_workers=3, timeout=2.5)
    configure("cpu", factory=functools.partial(_factory, "PLANTED"))

    async def main():
        await run_in_executor(int)
        await run_in_executor(int, executor="cpu")

    asyncio.run(main())
    rows = {(s.executor, s.option): s.value for s in take().configuration}
    assert rows["default", "max_workers"] == "3"
    assert rows["default", "timeout"] == "2.5"
    assert rows["cpu", "factory"] == "set"
    assert ("default", "processes") not in rows


def _factory(secret):
    import concurrent.futures

    return concurrent.futures.ThreadPoolExecutor(1)


def test_nothing_yet():
    """A process that has done nothing has a snapshot, too."""
    seen = take()
    assert (seen.watched, seen.stalled, seen.bodies, seen.jobs) == (False, (), (), None)
    assert set(seen.versions) == {"tornado-unblock", "Tornado", "Python"}
