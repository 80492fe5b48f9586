"""What is known of the other processes on the port, whether they answer or not."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json
import operator
import os

import pytest

from tornado_unblock.status import overview, processes
from tornado_unblock.status.group import AbsentError, Member
from tornado_unblock.status.history import History
from tornado_unblock.status.processes import (
    Others,
    Process,
    read_process,
    take_process,
)
from tornado_unblock.status.snapshot import Endpoint, Executor, Line, Stalled

LINE = Line("app.py", 7, "load")
STALLED = Stalled("main", 3.0, "Orders.get", "GET", "/", "sleeps", LINE, (LINE,), "do")
EXECUTOR = Executor("default", 5, 2, 1, 0.5, 3)
ENDPOINT = Endpoint(
    "default", "Orders.get", 1, 0, 2, 0, 0, 0, {"full": 3}, 0.5, 0.1, 1.0
)


def test_what_is_told_is_understood():
    """Over the socket and back it is the same; more is left out, other is said so."""
    process = Process(
        7,
        child=1,
        stalled=(STALLED, dataclasses.replace(STALLED, at=None)),
        executors=(EXECUTOR,),
        endpoints=(ENDPOINT,),
    )
    told = dataclasses.asdict(process)
    member = Member(7, "")
    assert read_process(member, json.dumps(told).encode()) == process
    newer = {**told, "more": 1, "executors": [{**told["executors"][0], "more": 1}]}
    assert read_process(member, json.dumps(newer).encode()) == process
    for later in ("executors", "endpoints"):
        del told[later]
    older = dataclasses.replace(process, executors=(), endpoints=())
    assert read_process(member, json.dumps(told).encode()) == older
    for strange in (b"", b"[]", b"{}", b'{"stalled": [{}]}', b"\xff"):
        assert read_process(member, strange) == Process(7, known=False)


ODD = [None, True, 1.5, "x", [], {}, [None], {"x": None}, float("nan"), float("inf")]


def parts_of(told, path=()):
    """Yield where in JSON there is a value, however deep."""
    items = told.items() if isinstance(told, dict) else enumerate(told)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from parts_of(value, (*path, key))


def test_whatever_is_told_can_be_shown():
    """It is understood, or said not to be; nothing of one breaks the page of all."""
    process = Process(
        7,
        *(6, 1, True, None, 1.0, True, (STALLED,), 1, 0.5, 0.1, 2, 3, 4, 5, 0.2, 6),
        executors=(EXECUTOR, EXECUTOR),
        endpoints=(ENDPOINT, ENDPOINT),
        jobs={"queued": 1, "oldest_waiting": 0.5, "dead": 0},
    )
    told = json.loads(json.dumps(dataclasses.asdict(process)))
    places = list(parts_of(told))
    assert len(places) > 80
    for place in places:
        for odd in ODD:
            changed = json.loads(json.dumps(told))
            holder = functools.reduce(operator.getitem, place[:-1], changed)
            holder[place[-1]] = odd
            read = read_process(Member(7, ""), json.dumps(changed).encode())
            overview.sections([read, process])
            overview.alarms([read, process])
            json.dumps(dataclasses.asdict(read), allow_nan=False)
    deep = b'{"stalled": ' + b"[" * 200_000
    assert read_process(Member(7, ""), deep) == Process(7, known=False)


def test_this_process():
    """What there is of it, in sums."""
    own = take_process(History(), 5.0, {"queued": 1})
    assert own.process == os.getpid()
    assert (own.began_at, own.jobs, own.child) == (5.0, {"queued": 1}, None)


class FakeGroup:
    """Members that answer what they are told to."""

    def __init__(self, **answers):
        self.answers = {int(name[1:]): answer for name, answer in answers.items()}

    def members(self):
        return [Member(os.getpid(), "own"), *(Member(p, str(p)) for p in self.answers)]

    async def ask(self, member, word):
        answer = self.answers[member.process]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            answer = Process(member.process)
        if isinstance(answer, Process):
            return json.dumps(dataclasses.asdict(answer)).encode()
        return answer


def test_looking_at_others(monkeypatch):
    """Who answers is told of, who does not too, who is gone is not."""
    monkeypatch.setattr(processes, "_PATIENCE", 0.05)

    async def look():
        late = asyncio.Event()
        fake = FakeGroup(
            p7=Process(7, child=1), p8=AbsentError(), p9=OSError("no"), p10=late
        )
        others = Others(lambda: fake)
        seven, nine, ten = await others.look()
        assert (seven.child, seven.silent) == (1, None)
        assert nine.silent >= 0
        assert not nine.known
        assert ten.silent >= 0.05
        # It is asked once, and waited for no more.
        monkeypatch.setattr(processes, "_PATIENCE", 60.0)
        assert (await others.look())[-1].silent >= ten.silent
        late.set()
        while (await others.look())[-1].silent is not None:  # noqa: ASYNC110
            await asyncio.sleep(0)
        fake.answers[7] = OSError("no")
        assert (await others.look())[0].silent is None  # not for so short a time
        monkeypatch.setattr(processes, "_GRACE", 0.0)
        seven = (await others.look())[0]
        assert seven.silent >= 0
        assert seven.child == 1
        fake.answers = {}
        assert await others.look() == []

    asyncio.run(look())


def test_asking_one():
    """It is asked if it is there."""

    async def ask():
        others = Others(lambda: FakeGroup(p7=b"page"))
        assert await others.ask(7, "page") == b"page"
        with pytest.raises(AbsentError):
            await others.ask(8, "page")
        with pytest.raises(AbsentError):
            await Others(lambda: None).ask(7, "page")
        assert await Others(lambda: None).look() == []

    asyncio.run(ask())
