"""What is known of stalls: plain values, safe to keep and to hand on.

None of them holds a request, a handler, a frame or a value of the program. They are
named tuples because these cost a quarter of what dataclasses do to import, and every
program imports them.
"""

from typing import NamedTuple, Optional

from tornado_unblock._limits.statistics import Histogram


class Place(NamedTuple):
    """A line of code.

    Attributes:
        file: As the code object names it.
        line: Counted from 1.
        function: Its qualified name where Python knows it (3.11 on).
        source: The line's text without its indentation; "" if it cannot be had.
    """

    file: str
    line: int
    function: str
    source: str

    def __str__(self) -> str:
        text = f": {self.source}" if self.source else ""
        return f"{self.file}:{self.line} in {self.function}{text}"


class Stall(NamedTuple):
    """One time for which a loop could not answer.

    Attributes:
        seconds: How long; until now, while it is not `over`.
        over: Whether it has ended.
        kind: Who ran: ``"handler"`` (while Tornado serves a request), ``"task"`` (a
            task that a handler made), ``"callback"``, ``"coroutine"`` (a task of
            nobody), ``"turn"`` (many short callbacks in one turn of the loop) or
            ``"unknown"`` (it was over before anybody could look).
        cause: What it did: a key of `tornado_unblock._stalls.causes`, such as
            ``"sleep"``, ``"database"``, ``"dns"``, ``"gc"``; "" if it cannot be told.
        what: The same in words.
        endpoint: The handler's method, such as ``Orders.get``; what ran where it is
            no handler's.
        verb: The request's method; "" without a request.
        route: The pattern of the URL rule; "" if none is known.
        path: The request's path, without its query; "" without a request.
        request_id: From a header or an attribute; "" if there is none.
        place: The innermost line of the program's own code; None if none was seen.
        chain: From the handler (or callback) to ``place``, own code only.
        shares: Where the time went: places and their part of it, largest first.
        advice: What to do.
        loop: The loop's name, as in `loop_statistics`.
    """

    seconds: float
    over: bool
    kind: str
    cause: str
    what: str
    endpoint: str
    verb: str = ""
    route: str = ""
    path: str = ""
    request_id: str = ""
    place: Optional[Place] = None
    chain: tuple[Place, ...] = ()
    shares: tuple[tuple[Place, float], ...] = ()
    advice: str = ""
    loop: str = ""


class StallStatistics(NamedTuple):
    """All stalls of one endpoint at one place.

    Attributes:
        endpoint: As in `Stall`.
        kind: As in `Stall`, of the latest.
        cause: As in `Stall`, of the latest.
        place: Where; None if it was never seen.
        advice: What to do.
        count: How many.
        total: Seconds, added up.
        longest: Seconds, of the longest.
        histogram: How many took how long.
    """

    endpoint: str
    kind: str
    cause: str
    place: Optional[Place]
    advice: str
    count: int  # type: ignore[assignment]  # a tuple has a method of that name
    total: float
    longest: float
    histogram: Histogram


class LoopStatistics(NamedTuple):
    """One loop since it is watched, in seconds where nothing else is said.

    Two of them, some time apart, tell of the time between.

    Attributes:
        name: The name of the loop's thread.
        measured_by: ``"selector"`` (exact) or ``"heartbeat"`` (within half a beat).
        watched: For how long.
        busy: In which it ran something, rather than wait for something to do; None
            where a heartbeat measures.
        turns: Times it went round; heartbeats, where these measure.
        lag: What an event waits until the loop looks at it, on average.
        longest: The longest turn.
        stalled: In stalls, added up.
        stalls: How many they were.
        starved: In turns that were long only because the thread did not get the
            interpreter or a processor, added up.
        stall: What stalls it right now, or None.
    """

    name: str
    measured_by: str
    watched: float
    busy: Optional[float]
    turns: int
    lag: float
    longest: float
    stalled: float
    stalls: int
    starved: float
    stall: Optional[Stall]

    @property
    def utilization(self) -> Optional[float]:
        """The share of its time that the loop is busy: 1 is all; None if unknown."""
        if self.busy is None:
            return None
        return min(1.0, self.busy / self.watched) if self.watched else 0.0

    @property
    def stalled_share(self) -> float:
        """The share of its time in which it could not answer."""
        return min(1.0, self.stalled / self.watched) if self.watched else 0.0
