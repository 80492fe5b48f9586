"""A stall while it goes on: what was seen of it, and what that comes to.

# Threads: the watcher's.
# Guarantees: what is kept does not grow with how long a stall takes.
"""

from __future__ import annotations

from typing import Optional

from tornado_unblock._stalls.causes import (
    GC,
    HELD,
    MANY,
    UNKNOWN,
    Cause,
    advice_for,
    cause_of,
)
from tornado_unblock._stalls.frames import (
    SOCKET_METHODS,
    Sample,
    Step,
    from_dump,
    is_own,
    package_of,
    place,
)
from tornado_unblock._stalls.owner import Owner
from tornado_unblock._stalls.records import Place, Stall

# So many different places of one stall are told apart.
_MOST_PLACES = 50
# So many of them are told, each with so much of the time at least.
_MOST_SHARES = 10
_LEAST_SHARE = 0.1

_Where = tuple[str, int]


class Story:
    """What was seen of one stall.

    Args:
        began: When, by `time.perf_counter`.
    """

    def __init__(self, began: float) -> None:
        self.began = began
        # Whether it was found to be a stall, and whether a warning was logged.
        self.is_stall = self.announced = False
        self._seen_at = began
        self._seconds: dict[_Where, float] = {}
        self._samples: dict[_Where, Sample] = {}
        self._in_collector: dict[_Where, bool] = {}
        # The longest time that one of them stands for.
        self._weights: dict[_Where, float] = {}
        self._work: dict[int, float] = {}
        self._collecting = 0.0

    @property
    def seen(self) -> bool:
        """Whether anything was seen of it."""
        return bool(self._samples)

    def add(self, sample: Sample, at: float, collecting: bool) -> None:
        """Note what was seen ``at`` some time: it counts for the time before it."""
        step = _own_innermost(sample) or sample.steps[-1]
        where = (step.file, step.line)
        if where not in self._samples and len(self._samples) >= _MOST_PLACES:
            where = next(iter(self._samples))
        seconds, self._seen_at = at - self._seen_at, at
        if seconds >= self._weights.get(where, 0.0):
            # That before which the interpreter was held longest tells most.
            self._weights[where] = seconds
            self._samples[where] = sample
            self._in_collector[where] = collecting
        self._seconds[where] = self._seconds.get(where, 0.0) + seconds
        if len(self._work) < _MOST_PLACES or sample.work in self._work:
            self._work[sample.work] = self._work.get(sample.work, 0.0) + seconds
        if collecting:
            self._collecting += seconds

    def add_all(
        self,
        sample: Sample,
        at: float,
        held: Optional[tuple[Step, ...]],
        collecting: bool,
    ) -> None:
        """Note a sample, and first what was seen while the interpreter was held."""
        if held is not None:
            self.add(from_dump(held, sample.owner), at, collecting)
        self.add(sample, at, collecting)

    def _main(self) -> Optional[_Where]:
        """Return where most of the time went."""
        return max(self._seconds, key=lambda where: self._seconds[where], default=None)

    def tell(
        self,
        seconds: float,
        *,
        over: bool,
        computing: bool,
        collecting: float,
        owner: Optional[Owner],
        loop: str,
    ) -> Stall:
        """Return what it comes to.

        Args:
            seconds: How long it took, or takes by now.
            over: Whether it has ended.
            computing: Whether its thread used the processor for most of it.
            collecting: Seconds of it in the garbage collector.
            owner: Whose request was begun in it, for want of a sample.
            loop: Which loop.
        """
        main = self._main()
        if main is None:
            return _unseen(seconds, computing, collecting, owner, loop)
        sample = self._samples[main]
        home = home_of(sample.owner)
        gc = max(collecting, self._collecting) >= seconds / 2
        many = len(self._work) > 1 and max(self._work.values()) < seconds / 2
        cause = cause_of(sample, home, collecting=gc, computing=computing)
        if gc and self._in_collector[main]:
            cause = GC  # in what an object does when it goes
        if many and not gc:
            cause = MANY
        kind = "turn" if many else _kind(sample)
        whose = sample.owner
        chain = tuple(
            place(s) for s in sample.steps[sample.begins :] if is_own(s, home)
        )
        step = _own_innermost(sample) or sample.steps[-1]
        return Stall(
            seconds=seconds,
            over=over,
            kind=kind,
            cause=cause.name,
            what=_words(cause, sample),
            endpoint=_endpoint(sample, kind),
            verb=whose.verb if whose else "",
            route=whose.route() if whose else "",
            path=whose.shown_path() if whose else "",
            request_id=whose.request_id() if whose else "",
            place=place(step),
            chain=chain,
            shares=self._shares(seconds),
            advice=advice_for(sample, cause, home),
            loop=loop,
        )

    def _shares(self, seconds: float) -> tuple[tuple[Place, float], ...]:
        largest = sorted(self._seconds.items(), key=lambda item: -item[1])
        whole = sum(self._seconds.values()) or seconds
        found = []
        for where, part in largest[:_MOST_SHARES]:
            if part < whole * _LEAST_SHARE:
                break
            sample = self._samples[where]
            step = _own_innermost(sample) or sample.steps[-1]
            found.append((place(step), part / whole))
        return tuple(found)


def home_of(owner: Optional[Owner]) -> str:
    """Return the package of a handler that is installed: it is the program's own."""
    if owner is None:
        return ""
    package = str(owner.handler_class.__module__).partition(".")[0]
    return "" if package in ("tornado", "tornado_unblock", "__main__") else package


def _own_innermost(sample: Sample) -> Optional[Step]:
    home = home_of(sample.owner)
    for step in reversed(sample.steps[sample.begins :]):
        if is_own(step, home):
            return step
    return None


def _kind(sample: Sample) -> str:
    if sample.serving or _socket_method(sample):
        return "handler"
    if sample.task:
        return "task" if sample.owner is not None else "coroutine"
    return "callback"


def _socket_method(sample: Sample) -> str:
    """Return the method of a socket's handler that runs, such as ``on_message``."""
    if sample.owner is None:
        return ""
    steps = sample.steps[sample.begins :]
    for outer, step in zip(steps, steps[1:]):
        name, file = step.name, outer.file
        if name in SOCKET_METHODS and file.endswith("websocket.py"):
            return name
    return ""


def _endpoint(sample: Sample, kind: str) -> str:
    if sample.owner is not None:
        return sample.owner.endpoint(_socket_method(sample))
    own = next((s for s in sample.steps[sample.begins :] if is_own(s)), None)
    if own is None and kind == "coroutine":
        return sample.task
    step = own or sample.steps[min(sample.begins, len(sample.steps) - 1)]
    return step.function


def _words(cause: Cause, sample: Sample) -> str:
    known = [name for name in sample.called if not name.startswith("?")]
    if known and cause is not MANY:
        best = next((n for n in known if n.startswith(cause.calls or (" ",))), known[0])
        return f"{cause.words or 'a call'} ({best})"
    package = package_of(sample.steps[-1].file)
    if cause is not UNKNOWN and package:
        return f"{cause.words} (in {package})"
    return cause.words


def _unseen(
    seconds: float,
    computing: bool,
    collecting: float,
    owner: Optional[Owner],
    loop: str,
) -> Stall:
    """Return what can be told of a stall that ended before anybody could look."""
    held = HELD if computing else UNKNOWN
    gc = collecting >= seconds / 2
    return Stall(
        seconds=seconds,
        over=True,
        kind="unknown",
        cause="gc" if gc else held.name,
        what="the garbage collector" if gc else held.words,
        endpoint=owner.endpoint() if owner else "(unknown)",
        verb=owner.verb if owner else "",
        route=owner.route() if owner else "",
        path=owner.shown_path() if owner else "",
        request_id=owner.request_id() if owner else "",
        advice="" if gc else held.advice,
        loop=loop,
    )
