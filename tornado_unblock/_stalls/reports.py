"""A stall: what was seen of it, what that comes to, and what is logged, how often.

# Threads: the watcher's. Never the loop's, never a signal handler.
# Guarantees:
# - what is kept of a stall does not grow with how long it takes;
# - one place logs at most once in a while; how many lines that left out is said in the
#   next one;
# - the memory of places is bounded: the one longest unheard of goes first.
"""

from __future__ import annotations

import collections
import logging
import time
from typing import Optional

from tornado_unblock._handlers.methods import is_socket_class
from tornado_unblock._stalls.causes import (
    GC,
    HELD,
    MANY,
    UNKNOWN,
    Cause,
    advice_for,
    cause_of,
)
from tornado_unblock._stalls.counts import Key, key_of
from tornado_unblock._stalls.frames import (
    SOCKET_METHODS,
    STREAM_METHOD,
    Sample,
    Step,
    from_dump,
    is_own,
    package_of,
    place,
)
from tornado_unblock._stalls.owner import Owner
from tornado_unblock._stalls.records import Place, Stall

logger = logging.getLogger("tornado_unblock.stalls")

# So many different places of one stall are told apart.
_MOST_PLACES = 50
# So many of them are told, each with so much of the time at least.
_MOST_SHARES = 10
_LEAST_SHARE = 0.1
# So many places are remembered to have been logged.
_MOST_SAID = 1000
# So much of the chain is shown; the rest is in `Stall.chain`.
_SHOWN_STEPS = 6
_SHOWN_SHARES = 4

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
        gc = max(collecting, self._collecting) >= seconds / 2
        many = len(self._work) > 1 and max(self._work.values()) < seconds / 2
        cause = self._cause(main, gc, many, computing)
        kind, home = "turn" if many else _kind(sample), home_of(sample.owner)
        own = [step for step in sample.steps[sample.begins :] if is_own(step, home)]
        return _about(sample.owner)._replace(
            seconds=seconds,
            over=over,
            kind=kind,
            cause=cause.name,
            what=_words(cause, sample),
            endpoint=_endpoint(sample, kind),
            place=place(own[-1] if own else sample.steps[-1]),
            chain=tuple(map(place, own)),
            shares=self._shares(seconds),
            advice=advice_for(sample, cause, home),
            loop=loop,
        )

    def _cause(self, main: _Where, gc: bool, many: bool, computing: bool) -> Cause:
        if gc and self._in_collector[main]:
            return GC  # in what an object does when it goes
        if many and not gc:
            return MANY
        sample = self._samples[main]
        home = home_of(sample.owner)
        return cause_of(sample, home, collecting=gc, computing=computing)

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
    if sample.serving or _hook(sample):
        return "handler"
    if sample.task:
        own = next((s for s in sample.steps[sample.begins :] if is_own(s)), None)
        if sample.owner is not None:
            return "task"
        # A plain function may run in a coroutine of Tornado's.
        return "coroutine" if own is None or own.coroutine else "callback"
    return "callback"


def _hook(sample: Sample) -> str:
    """Return the method that runs, such as ``on_message``, if it is not the verb's."""
    if sample.owner is None:
        return ""
    steps = sample.steps[sample.begins :]
    for first in steps[:1]:
        if sample.serving and first.name == STREAM_METHOD:
            return first.name
        # A coroutine of a socket's is a task of its own.
        own_task = first.coroutine and is_socket_class(sample.owner.handler_class)
        if own_task and not sample.serving and first.name in SOCKET_METHODS:
            return first.name
    for outer, step in zip(steps, steps[1:]):
        name, file = step.name, outer.file
        if name in SOCKET_METHODS and file.endswith("websocket.py"):
            return name
    return ""


def _endpoint(sample: Sample, kind: str) -> str:
    if sample.owner is not None:
        return sample.owner.endpoint(_hook(sample))
    own = next((s for s in sample.steps[sample.begins :] if is_own(s)), None)
    if own is None and kind == "coroutine":
        return sample.task
    if own is None and sample.begins == len(sample.steps) and sample.called:
        return sample.called[0]  # the loop itself calls a function of C
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
    return _about(owner)._replace(
        seconds=seconds,
        over=True,
        cause="gc" if gc else held.name,
        what="the garbage collector" if gc else held.words,
        advice="" if gc else held.advice,
        loop=loop,
    )


def _about(owner: Optional[Owner]) -> Stall:
    """Return what is known of a stall by whose request it is."""
    if owner is None:
        return Stall(0.0, False, "unknown", "", "", "(unknown)")
    return Stall(
        *(0.0, False, "unknown", "", ""),
        endpoint=owner.endpoint(),
        verb=owner.verb,
        route=owner.route(),
        path=owner.shown_path(),
        request_id=owner.request_id(),
    )


# -- the log ------------------------------------------------------------------------


class _Said:
    __slots__ = ("at", "left_out")

    def __init__(self, at: float) -> None:
        self.at = at
        self.left_out = 0


class Reporter:
    """Logs stalls.

    Args:
        every: Seconds between two reports of one place.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._said: collections.OrderedDict[Key, _Said] = collections.OrderedDict()

    def during(self, stall: Stall) -> bool:
        """Warn of a stall that goes on; whether that was due."""
        said = self._said.get(key_of(stall))
        if said is not None and time.monotonic() - said.at < self._every:
            return False
        logger.warning(
            "Event loop stalled for %.3f s by now: %s",
            *(stall.seconds, describe(stall)),
            extra={"stall": stall},
        )
        return True

    def after(self, stall: Stall, announced: bool) -> None:
        """Report a stall that is over.

        Args:
            stall: Which.
            announced: Whether a warning was given: then this is, too.
        """
        key, at = key_of(stall), time.monotonic()
        said = self._said.get(key)
        if said is not None and at - said.at < self._every and not announced:
            said.left_out += 1
            return
        left_out = said.left_out if said is not None else 0
        self._said[key] = _Said(at)
        self._said.move_to_end(key)
        while len(self._said) > _MOST_SAID:
            self._said.popitem(last=False)
        more = f"\n  {left_out} more here since the last report" if left_out else ""
        logger.warning(
            "Event loop stalled for %.3f s: %s%s",
            *(stall.seconds, describe(stall), more),
            extra={"stall": stall},
        )


def describe(stall: Stall) -> str:
    """Return who stalls the loop, where, through what, and what to do."""
    lines = [_who(stall)]
    if stall.place is not None:
        lines.append(f"  at {stall.place}")
    elif stall.kind == "unknown":
        lines.append("  at a place that was left before it could be seen")
    if len(stall.chain) > 1:
        lines.append(f"  through {_chain(stall.chain)}")
    if len(stall.shares) > 1:
        shown = stall.shares[:_SHOWN_SHARES]
        parts = (f"{part:.0%} {place.file}:{place.line}" for place, part in shown)
        lines.append(f"  time went to {', '.join(parts)}")
    if stall.what:
        lines.append(f"  it was {stall.what}")
    if stall.advice:
        lines.append(f"  to do: {stall.advice}")
    return "\n".join(lines)


def _who(stall: Stall) -> str:
    about = []
    if stall.verb:
        about.append(f"{stall.verb} {stall.path}")
    if stall.route:
        about.append(f"route {stall.route}")
    if stall.request_id:
        about.append(f"request {stall.request_id}")
    by = {"task": "a task of ", "callback": "a callback of ", "coroutine": "coroutine "}
    prefix = by.get(stall.kind, "") if stall.verb or stall.kind == "coroutine" else ""
    name = prefix + stall.endpoint
    return f"{name} ({', '.join(about)})" if about else name


def _chain(chain: tuple[Place, ...]) -> str:
    steps = [f"{p.function} ({p.file}:{p.line})" for p in chain]
    if len(steps) > _SHOWN_STEPS:
        half = _SHOWN_STEPS // 2
        left_out = f"... {len(steps) - 2 * half} more ..."
        steps = [*steps[:half], left_out, *steps[-half:]]
    return " > ".join(steps)
