"""What a process tells of itself on a page of several, and what it knows of the others.

# Threads: `take_process` any; `Others` that of the loop that serves the page.
# Guarantees:
# - what is told is that of a `Snapshot`, and less of it;
# - `Others.look` waits for a process that does not answer once, then no more;
# - while nobody looks nobody is asked.
"""

from __future__ import annotations

import asyncio
import collections.abc
import dataclasses
import json
import math
import os
import time
from collections.abc import Mapping
from typing import (
    Any,
    Callable,
    Optional,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from tornado.process import task_id

from tornado_unblock._limits.limiter import Limiter
from tornado_unblock._limits.statistics import open_limiters
from tornado_unblock._offload.offload import ABANDONED
from tornado_unblock.status.group import AbsentError, Group, Member
from tornado_unblock.status.history import History
from tornado_unblock.status.snapshot import (
    Endpoint,
    Executor,
    Stalled,
    take_brief,
)

# Seconds for which a look waits for answers.
_PATIENCE = 1.0
# For less than that nobody is said to be silent: a machine may be busy.
_GRACE = 3.0


@dataclasses.dataclass(frozen=True)
class Process:
    """A process, as a page of several shows it; times in seconds.

    Attributes:
        process: Its number.
        parent: That of the process which has started it.
        child: Which of the children of `tornado.process.fork_processes` it is.
        known: Whether it has said anything that could be understood.
        silent: For how long it has not answered; None where it does.
        began_at: When it began to serve its page, in seconds since 1970.
        watched: Whether its loops are.
        stalled: Its loops that do not answer.
        loops: How many it has.
        utilization: Of its busiest loop.
        lag: Of its latest loop.
        stalls: So far, of all its loops.
        borrowed_tokens: Workers busy, of all executors.
        total_tokens: Workers there may be.
        waiting: Requests that wait for a worker.
        oldest_waiter: For how long the first of them does.
        abandoned: Bodies that nobody waits for any more.
        executors: Its executors now.
        endpoints: What each has done so far.
        jobs: How many there are in the store; None where they are not configured.
    """

    process: int
    parent: Optional[int] = None
    child: Optional[int] = None
    known: bool = True
    silent: Optional[float] = None
    began_at: Optional[float] = None
    watched: bool = False
    stalled: tuple[Stalled, ...] = ()
    loops: int = 0
    utilization: Optional[float] = None
    lag: float = 0.0
    stalls: int = 0
    borrowed_tokens: int = 0
    total_tokens: int = 0
    waiting: int = 0
    oldest_waiter: Optional[float] = None
    abandoned: int = 0
    executors: tuple[Executor, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    jobs: Optional[Mapping[str, Optional[float]]] = None


def take_process(
    history: History, began_at: float, jobs: Optional[Mapping[str, Any]]
) -> Process:
    """Return what is told of this process.

    Args:
        history: Its last minutes.
        began_at: When its page was there.
        jobs: What is known of them.
    """
    brief = take_brief()
    limiters = open_limiters()
    oldest = [e.oldest_waiter for e in brief.executors if e.oldest_waiter is not None]
    busy = [history.utilization(loop) for loop in brief.loops]
    return Process(
        process=os.getpid(),
        parent=os.getppid(),
        child=task_id(),
        began_at=began_at,
        watched=brief.watched,
        stalled=brief.stalled,
        loops=len(brief.loops),
        utilization=max((b for b in busy if b is not None), default=None),
        lag=max((history.lag(loop) for loop in brief.loops), default=0.0),
        stalls=sum(loop.stalls for loop in brief.loops),
        borrowed_tokens=sum(e.borrowed_tokens for e in brief.executors),
        total_tokens=sum(e.total_tokens for e in brief.executors),
        waiting=sum(e.waiting for e in brief.executors),
        oldest_waiter=max(oldest, default=None),
        abandoned=sum(_abandoned(limiter) for _, limiter in limiters),
        executors=brief.executors,
        endpoints=brief.endpoints,
        jobs=jobs,
    )


def _abandoned(limiter: Limiter) -> int:
    return sum(offload.state is ABANDONED for offload in list(limiter.running))


def read_process(member: Member, text: bytes) -> Process:
    """Return what another process has told; one of another version may tell more."""
    try:
        told = json.loads(text)
        # Who says nothing of that is none of ours.
        read = _read(Process, {**told, "stalled": told["stalled"]})
    except (KeyError, RecursionError, TypeError, ValueError):
        return Process(member.process, known=False)
    one: Process = dataclasses.replace(read, process=member.process, silent=None)
    return one


def _read(kind: Any, told: Any) -> Any:
    """Return what was told as a value of a type, such as a field's annotation names.

    Raises:
        TypeError: It is none.
    """
    name, parts = get_origin(kind), get_args(kind)
    if kind is Any or (told is None and type(None) in parts):
        return told
    if name is Union:
        return _read(parts[0], told)
    if name is tuple and type(told) is list:
        return tuple(_read(parts[0], part) for part in told)
    if name is collections.abc.Mapping and type(told) is dict:
        return {key: _read(parts[1], value) for key, value in told.items()}
    if dataclasses.is_dataclass(kind) and type(told) is dict:
        fields = get_type_hints(kind)
        known = fields.keys() & told.keys()
        return cast(Any, kind)(**{n: _read(fields[n], told[n]) for n in known})
    if kind is float and type(told) in (int, float) and math.isfinite(told):
        return told
    if type(told) is not kind or kind is float:
        raise TypeError(f"{told!r} is no {kind}")
    return told


class _Other:
    """Another process, and what it has told."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.asking: Optional[asyncio.Task[None]] = None
        self.told = Process(member.process, known=False)
        self.silent_since: Optional[float] = None
        self.gone = False

    async def ask(self, group: Group) -> None:
        """Ask it how it is."""
        since = time.monotonic()
        try:
            answer = await group.ask(self.member, "process")
        except AbsentError:
            self.gone = True
        except OSError:
            self.silent_since = self.silent_since or since
        else:
            self.told = read_process(self.member, answer)
            self.silent_since = None

    def seen(self) -> Process:
        """Return what is known of it now."""
        if self.silent_since is None:
            return self.told
        silent = time.monotonic() - self.silent_since
        if silent < _GRACE and self.told.known:
            return self.told
        return dataclasses.replace(self.told, silent=silent)


class Others:
    """The other processes that serve the port.

    Args:
        group: Returns where they are; None: there are no others.
    """

    def __init__(self, group: Callable[[], Optional[Group]]) -> None:
        self._group = group
        self._known: dict[str, _Other] = {}

    def _members(self) -> list[Member]:
        group = self._group()
        members = [] if group is None else group.members()
        return [m for m in members if m.process != os.getpid()]

    async def look(self) -> list[Process]:
        """Return how the other processes are, those that do not answer too."""
        members = self._members()
        self._known = {m.path: self._known.get(m.path) or _Other(m) for m in members}
        group = self._group()
        began = time.monotonic()
        for other in self._known.values():
            if group is not None and (other.asking is None or other.asking.done()):
                other.asking = asyncio.ensure_future(other.ask(group))
        awaited = [o for o in self._known.values() if o.silent_since is None]
        tasks = [o.asking for o in awaited if o.asking is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=_PATIENCE)
        for other in awaited:
            if other.asking is not None and not other.asking.done():
                other.silent_since = began
        return [o.seen() for o in self._known.values() if not o.gone]

    async def ask(self, process: int, word: str) -> bytes:
        """Return what another process answers.

        Raises:
            AbsentError: It is not there, or not any more.
            OSError: It does not answer.
        """
        group = self._group()
        for member in self._members():
            if member.process == process and group is not None:
                return await group.ask(member, word)
        raise AbsentError
