"""An offload moves along its table, in any order of events, and is settled once.

No threads: a job that is put is run by a rule, what a worker posts is heard by another,
and time passes by a third. What happens while a function runs is done by the function.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import contextvars
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Callable, Optional
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tornado_unblock import RejectedError, RunTimeoutError
from tornado_unblock._errors import AbandonedError
from tornado_unblock._executors.options import Options
from tornado_unblock._executors.threads import WorkerExecutor
from tornado_unblock._limits import queue_timeout
from tornado_unblock._limits.placement import ExecutorLimiter, Placement
from tornado_unblock._limits.queue_timeout import QueueTimeouts
from tornado_unblock._loop import lease, thread_loop
from tornado_unblock._loop.portal import Portal
from tornado_unblock._offload.offload import (
    ABANDONED,
    ENDED,
    NEW,
    REFUSED,
    STARTED,
    WAITING,
    Offload,
    State,
    helper,
)

TABLE = {
    NEW: {STARTED, WAITING, REFUSED},
    # ABANDONED: a worker has taken it out of the line, the loop has yet to hear of it.
    WAITING: {STARTED, REFUSED, ABANDONED},
    STARTED: {REFUSED, ABANDONED, ENDED},
    # REFUSED: it turned out that no thread takes it.
    ABANDONED: {ENDED, REFUSED},
    ENDED: set(),
    REFUSED: set(),
}
SETTLED = (ENDED, REFUSED)
# In units of the machine's own clock.
QUEUE_TIMEOUT = 3.0
TIMEOUT = 2.0
ENDPOINTS = ["orders", "reports"]
# What may happen while a function runs; the first ones are done by itself.
OWN = ["finish", "lend", "end_loan"]
OTHERS = ["time", "abandon", "cancel", "shut_down", "fail", "hear", "at_end"]


class Watched(Offload):
    """An offload that refuses to leave its table."""

    __slots__ = ("_was", "case", "path")
    case: Case

    @property  # type: ignore[override]
    def state(self) -> State:
        return self._was

    @state.setter
    def state(self, new: State) -> None:
        old = getattr(self, "_was", None)
        assert new in (TABLE[old] if old is not None else {NEW}), (old, new)
        self._was = new
        self.path = (*getattr(self, "path", ()), new)

    def _begun(self) -> None:
        super()._begun()
        self.case.late = False


class Jobs(WorkerExecutor):
    """An executor without threads: what is put waits to be run by hand."""

    def __init__(self) -> None:
        super().__init__(1, "jobs")
        self.put_here: list[Callable[[], object]] = []
        self.broken = self.busy = False

    def put(self, job: Callable[[], object], **options: Any) -> None:
        if self.broken:
            raise RuntimeError("no thread can be started")
        self.put_here.append(job)

    def put_on(self, reserved: Any, job: Any, late: Any) -> bool:
        self.put(late if self.busy else job)
        return not self.busy

    def submit(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        fn(*args, **kwargs)

    def wake(self) -> None:
        """Wake nobody: there is no thread."""

    def lend(self) -> None:
        """Likewise."""

    end_loan = lend


class HandPortal(Portal):
    """A portal whose loop hears of one thing at a time, when it is told to."""

    def __init__(self, loop: Any) -> None:
        super().__init__(loop)
        self.posted: collections.deque[Callable[[], object]] = collections.deque()

    def call_soon(self, fn: Callable[..., object], *args: object) -> None:
        self.posted.append(lambda: fn(*args))


class HandLoop(asyncio.SelectorEventLoop):
    """A loop whose time passes by hand."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def turn(self) -> None:
        """Run what is due, and what comes of it."""
        self.run_until_complete(asyncio.sleep(0))
        while self._ready:  # type: ignore[attr-defined]
            self.run_until_complete(asyncio.sleep(0))


class Case:
    """One offload, who hands it over, and what the model knows of it."""

    def __init__(self, machine: OffloadMachine, endpoint: str, owned: bool) -> None:
        self.machine = machine
        where = machine.where(endpoint)
        self.offload = Watched(machine.portal, where, self.fn)
        self.offload.case = self
        self.future = self.offload.future
        if owned:
            self.offload.owner, self.offload.handler = self, SimpleNamespace()
        self.owned = owned
        # What the model says.
        self.state: State = NEW
        self.reason: Optional[str] = None
        self.outcome: Any = None
        self.finished = self.posted = self.lent = self.late = self.helped = False
        self.waits_since = 0.0
        self.was_abandoned = self.timed_out = self.calls = self.cleaned = 0
        self.left_clean_up = False
        # What was seen.
        self.ended: list[Optional[BaseException]] = []
        self.meanwhile: list[tuple[str, int]] = []
        self.error: Optional[Exception] = None

    # As an `Owner`.

    @property
    def writer(self) -> Any:
        return SimpleNamespace(may_finish=not self.finished)

    def offload_ended(self, offload: Any, error: Optional[BaseException]) -> None:
        assert offload is self.offload
        self.ended.append(error)

    def revoke(self, offload: Any, why: str) -> bool:
        assert offload is self.offload
        return not self.finished

    def is_answered(self, offload: Any) -> bool:
        return self.finished

    def client_gone(self, offload: Any) -> bool:
        return False

    # What the worker does.

    def fn(self) -> object:
        assert lease.here.innermost is self.offload
        assert not self.calls  # it runs once at most
        self.calls += 1
        lends = False
        for what, which in self.meanwhile:
            if what == "finish":
                # The right to finish has one taker.
                self.finished = self.owned and not self.was_abandoned
            elif what == "lend" and not lends:
                lends = True
                self.machine.portal.call_soon(self.machine.lend, self)
            elif what == "end_loan" and lends:
                lends = False
                self.machine.portal.call_soon(self.machine.end_loan, self)
            elif what in OTHERS:
                self.machine.from_elsewhere(what, which)
        if lends:
            self.machine.portal.call_soon(self.machine.end_loan, self)
        if self.error is not None:
            raise self.error
        return self

    def settle(self, outcome: Any) -> None:
        """Note the outcome that the Future gets, unless it has one."""
        if self.outcome is None:
            self.outcome = outcome

    def refuse(self, reason: str, error: Any = RejectedError) -> None:
        self.state, self.reason = REFUSED, reason
        self.settle(error)
        self.machine.note_told_closing()

    def give_up(self) -> None:
        """Note that it was abandoned; the right to finish was won."""
        self.state = ABANDONED
        self.was_abandoned += 1


class OffloadMachine(RuleBasedStateMachine):
    """Offloads come, wait, run, end, are given up in any way, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = HandLoop()
        self.cases: list[Case] = []
        self.lines: dict[str, list[Case]] = collections.defaultdict(list)
        # Taken out of the line by a worker, of which the loop has yet to hear.
        self.untold: dict[Case, Case] = {}
        self.closing: Optional[Any] = None
        self.told_closing = 0
        clock = SimpleNamespace(monotonic=self.loop.time)
        self.patch = mock.patch.object(queue_timeout, "time", clock)
        self.patch.start()

    @initialize(total=st.integers(1, 2), max_waiting=st.integers(0, 4))
    def make(self, total: int, max_waiting: int) -> None:
        async def portal() -> HandPortal:
            return HandPortal(self.loop)

        self.portal = self.loop.run_until_complete(portal())
        self.executor = Jobs()
        self.limiter = ExecutorLimiter(self.executor)
        self.limiter.options = Options(queue_timeout=QUEUE_TIMEOUT)
        self.limiter.total_tokens, self.limiter.max_waiting = total, max_waiting
        self.limiter._factor = None  # no shares: the limiter's own tests have them
        self.limiter.queue_timeouts = QueueTimeouts(QUEUE_TIMEOUT, self.loop.call_later)

    def where(self, endpoint: str) -> Placement:
        return Placement(
            self.executor, self.limiter, self.limiter.endpoint(endpoint), TIMEOUT
        )

    # --- the model ----------------------------------------------------------------

    def borrowed(self) -> int:
        untold = set(self.untold.values())
        return sum(
            case.state in (STARTED, ABANDONED)
            and not (case.helped or case.lent or case.late)
            and case not in untold
            for case in self.cases
        )

    def lent(self) -> int:
        return sum(case.lent for case in self.cases)

    def waiting(self) -> int:
        return sum(map(len, self.lines.values()))

    def room(self) -> bool:
        """Whether there is room for one more beside those that lend and wait."""
        under_way = self.borrowed() + self.lent() + self.waiting()
        return self.limiter.total_tokens + self.limiter.max_waiting > under_way

    def leave(self, case: Case) -> bool:
        line = self.lines[case.offload.endpoint.name]
        if case not in line:
            return False
        line.remove(case)
        return True

    def catch_up(self) -> None:
        """Let the loop turn, and note who has started meanwhile."""
        self.loop.turn()
        for line in self.lines.values():
            while line and line[0].offload.state is not WAITING:
                self.note_start(line.pop(0))  # first come, first served

    def note_start(self, case: Case) -> None:
        case.state = STARTED
        if self.executor.broken:
            case.refuse("no_thread")
        elif case.offload.reserved_worker is not None:
            case.late = self.executor.busy

    # --- what happens -------------------------------------------------------------

    @rule(
        endpoint=st.sampled_from(ENDPOINTS),
        owned=st.booleans(),
        nested=st.booleans(),
        reserved=st.booleans(),
        then=st.sampled_from(["", "", "abandon", "cancel"]),
    )
    def admit(
        self, endpoint: str, owned: bool, nested: bool, reserved: bool, then: str
    ) -> None:
        """A token is free, or there is room in line, or there is none."""
        case = Case(self, endpoint, owned)
        if reserved:
            case.offload.reserved_worker = SimpleNamespace()  # type: ignore[assignment]
        line = self.lines[endpoint]
        free = self.limiter.total_tokens > self.borrowed() and not line
        if not nested and owned and self.lent():
            free = free and self.room()
        fits = self.limiter.max_waiting > self.waiting()
        fits = fits and (not self.lent() or self.room())
        self.cases.append(case)
        if self.closing is not None and not nested:
            self.turned_away(case, nested, "shutdown")
        elif not free and not fits:
            self.turned_away(case, nested, "full")
        else:
            assert case.offload.admit(nested) is case.future
            assert case.offload.state is (STARTED if free else WAITING)
            case.state, case.waits_since = case.offload.state, self.loop.now
            if not free:
                line.append(case)
            if then:
                getattr(self, then)(case, turn=False)
            if free:
                self.note_placed(case)
        self.catch_up()

    def note_placed(self, case: Case) -> None:
        if self.executor.broken:
            case.refuse("no_thread")
        elif case.offload.reserved_worker is not None:
            case.late = self.executor.busy

    def turned_away(self, case: Case, nested: bool, reason: str) -> None:
        """It raises in place of an outcome."""
        with pytest.raises(RejectedError) as raised:
            case.offload.admit(nested)
        assert raised.value.rejection == reason
        assert case.ended == ([raised.value] if case.owned else [])
        case.state, case.reason = REFUSED, reason

    @rule(endpoint=st.sampled_from(ENDPOINTS), owned=st.booleans())
    def help(self, endpoint: str, owned: bool) -> None:
        """A thread waits for just this, and needs no token."""
        case = Case(self, endpoint, owned)
        jobs = self.executor.put_here

        def take(offload: Offload, at_once: bool) -> bool:
            offload.start_at(jobs.append)
            return True

        context = contextvars.copy_context()
        context.run(helper.set, take)
        full = self.limiter.is_lending_all()
        line = self.lines[endpoint]
        free = self.limiter.total_tokens > self.borrowed() and not line
        if owned and self.lent():
            free = free and self.room()
        self.cases.append(case)
        if self.closing is not None:
            context.run(self.turned_away, case, False, "shutdown")
            return
        context.run(case.offload.admit)
        case.state, case.helped = STARTED, full or not free
        if not case.helped:
            self.note_placed(case)
        self.catch_up()

    @precondition(lambda self: len(self.cases) % 4 == 2)
    @rule(endpoint=st.sampled_from(ENDPOINTS), owned=st.booleans())
    def cancel_before_it_is_admitted(self, endpoint: str, owned: bool) -> None:
        """It is refused: whoever would admit it sees that."""
        case = Case(self, endpoint, owned)
        self.cases.append(case)
        assert case.future.cancel()
        case.refuse("cancelled", asyncio.CancelledError)

    @precondition(lambda self: len(self.cases) % 4 == 3)
    @rule(broken=st.sampled_from([False, False, True]), busy=st.booleans())
    def change_workers(self, broken: bool, busy: bool) -> None:
        """There are no threads to be had, or the reserved one has work."""
        self.executor.broken, self.executor.busy = broken, busy

    @precondition(lambda self: self.executor.put_here)
    @rule(
        which=st.integers(0, 9),
        fails=st.booleans(),
        meanwhile=st.lists(
            st.tuples(st.sampled_from(OWN + OTHERS), st.integers(0, 9)), max_size=4
        ),
    )
    def work(self, which: int, fails: bool, meanwhile: list[tuple[str, int]]) -> None:
        """A worker runs a function, posts its end, and maybe takes the next in line."""
        jobs = self.executor.put_here
        job: Any = jobs.pop(which % len(jobs))
        [case] = [case for case in self.cases if case.offload is job.__self__]
        case.meanwhile = meanwhile
        case.error = LookupError("what the function raised") if fails else None
        abandoned = case.was_abandoned
        job()
        assert lease.here.lease is None
        assert lease.here.innermost is None
        assert case.calls == (0 if abandoned else 1)
        case.posted = True
        successor = case.offload.successor
        if successor is not None:
            [heir] = [other for other in self.cases if other.offload is successor]
            line = self.lines[heir.offload.endpoint.name]
            assert line.pop(0) is heir
            self.untold[case] = heir

    @precondition(lambda self: self.portal.posted)
    @rule()
    def hear(self) -> None:
        """The loop hears of what was posted first."""
        before = {case: case.offload.state for case in self.cases}
        self.portal.posted.popleft()()
        for case in self.cases:
            if before[case] not in SETTLED and case.offload.state is ENDED:
                self.note_end(case)
            elif (
                case.offload.state is REFUSED is not case.state
                and case not in self.lines[case.offload.endpoint.name]
            ):
                case.refuse("no_thread")
        self.catch_up()

    def note_end(self, case: Case) -> None:
        assert case.posted
        case.state = ENDED
        if case.calls == 0:
            case.settle((None,))
        else:
            case.settle(case.error or (case,))
        self.note_told_closing()
        heir = self.untold.pop(case, None)
        if heir is not None and heir.state is WAITING:
            heir.state = STARTED
        if heir is not None and heir.offload.reserved_worker is not None:
            self.note_placed(heir)

    def lend(self, case: Case) -> None:
        """It waits for other work; others may have its token."""
        limiter = self.limiter
        full = limiter.lent_tokens >= limiter.total_tokens + limiter.max_waiting
        case.offload.lend()
        case.lent = not full and not case.helped

    def end_loan(self, case: Case) -> None:
        case.offload.end_loan()
        case.lent = False

    # What may be done to any, at any time.

    def pick(self, which: int) -> Case:
        return self.cases[which % len(self.cases)]

    @precondition(lambda self: self.cases)
    @rule(what=st.sampled_from(OTHERS), which=st.integers(0, 9))
    def do(self, what: str, which: int) -> None:
        """The loop thread does something to one of them."""
        self.on_loop(what, which)

    def on_loop(self, what: str, which: int) -> None:
        if what == "time":
            self.time(1 + which % 3)
        elif what == "hear":
            if self.portal.posted:
                self.hear()
        else:
            getattr(self, what)(self.pick(which))

    def from_elsewhere(self, what: str, which: int) -> None:
        """Do something while this thread stands for a worker: as if on another."""
        with other_thread():
            self.on_loop(what, which)

    def time(self, seconds: int) -> None:
        """Time passes: what has waited or run too long is given up."""
        now = self.loop.now = self.loop.now + seconds
        due = []
        for case in self.cases:
            timer = case.offload._timer
            if timer is not None and timer.when() <= now:
                due.append(case)
        for line in self.lines.values():
            for case in line[:]:
                if case.waits_since + QUEUE_TIMEOUT <= now:
                    line.remove(case)
                    case.refuse("queue_timeout")
        for case in due:
            assert case.state is STARTED
            if case.posted:
                continue  # it has ended in time
            case.timed_out += 1
            if not case.finished:
                case.give_up()
                case.settle(RunTimeoutError)
        self.catch_up()

    def abandon(self, case: Case, turn: bool = True) -> None:
        won = self.expect_abandoned(case)
        assert case.offload.abandon("nobody waits for it") is won
        if turn:
            self.catch_up()

    def expect_abandoned(self, case: Case) -> bool:
        """Note what abandoning it makes of it, and return what it returns."""
        if case.state in (ABANDONED, *SETTLED):
            return True
        if self.leave(case):
            case.refuse("cancelled", AbandonedError)
            return True
        if case.finished:
            return False
        case.give_up()
        return True

    def cancel(self, case: Case, turn: bool = True) -> None:
        if case.outcome is None and not case.future.done():
            case.settle(asyncio.CancelledError)
            if case.state is not REFUSED:  # it raised in place of an outcome
                self.expect_abandoned(case)
            assert case.future.cancel()
        else:
            assert not case.future.cancel()
        if turn:
            self.catch_up()

    def shut_down(self, case: Case) -> None:
        if self.leave(case):
            case.refuse("shutdown")
            wanted = True
        else:
            wanted = case.state in (STARTED, WAITING)
            if wanted and self.expect_abandoned(case):
                case.settle(RunTimeoutError)
        assert case.offload.shut_down("the application is shutting down") is wanted
        self.catch_up()

    def fail(self, case: Case) -> None:
        error = OSError("its peer has gone")
        if case.state not in SETTLED:
            was_in_line = case in self.lines[case.offload.endpoint.name]
            if self.expect_abandoned(case) and not was_in_line:
                case.settle(error)
        case.offload.fail(error, "its peer has gone")
        self.catch_up()

    def at_end(self, case: Case) -> None:
        if case.left_clean_up or case.state is not ABANDONED:
            return
        case.left_clean_up = True

        def clean_up() -> None:
            case.cleaned += 1

        case.offload.at_end(clean_up)

    @precondition(lambda self: self.closing is None and len(self.cases) > 6)
    @rule()
    def close(self) -> None:
        """From now on, only what bodies ask for is let in."""
        self.closing = SimpleNamespace(
            admits=lambda nested: nested, ended=self.end_told
        )
        self.limiter.closing = self.closing
        self.expected_told = 0

    def end_told(self) -> None:
        self.told_closing += 1

    def note_told_closing(self) -> None:
        if self.closing is not None:
            self.expected_told += 1

    # --- what always holds ------------------------------------------------------------

    @invariant()
    def each_is_where_the_model_says(self) -> None:
        for case in self.cases:
            assert case.offload.state is case.state, (case.offload.path, case.state)

    @invariant()
    def tokens_are_held_once(self) -> None:
        if not self.cases:
            return
        limiter = self.limiter
        assert limiter.borrowed_tokens == self.borrowed()
        assert limiter.lent_tokens == self.lent()
        assert limiter.waiting == self.waiting()
        for name, line in self.lines.items():
            waiting = list(limiter.endpoint(name).waiting)
            assert waiting == [case.offload for case in line]
            assert not line or limiter.borrowed_tokens >= limiter.total_tokens
        for endpoint in limiter.endpoints.values():
            mine = [c for c in self.cases if c.offload.endpoint is endpoint]
            assert endpoint.lent == sum(case.lent for case in mine)

    @invariant()
    def each_is_counted_once(self) -> None:
        for endpoint in self.limiter.endpoints.values() if self.cases else ():
            mine = [c for c in self.cases if c.offload.endpoint is endpoint]
            ended = [case for case in mine if case.state is ENDED]
            refused = [case.reason for case in mine if case.state is REFUSED]
            assert endpoint.completed == len(ended)
            assert +endpoint.rejected == collections.Counter(refused)
            failed = sum(bool(case.calls and case.error) for case in ended)
            assert endpoint.failed == failed
            assert endpoint.abandoned == sum(case.was_abandoned for case in mine)
            assert endpoint.timed_out == sum(case.timed_out for case in mine)

    @invariant()
    def each_future_has_one_outcome(self) -> None:
        for case in self.cases:
            assert case.future.done() == (case.outcome is not None)
            if case.outcome is not None:
                check_outcome(case.future, case.outcome)

    @invariant()
    def each_owner_is_told_once(self) -> None:
        for case in self.cases:
            times = 1 if case.owned and case.state in SETTLED else 0
            assert len(case.ended) == times
            assert case.offload.owner is (case if case.owned and not times else None)

    @invariant()
    def clean_up_is_done_once(self) -> None:
        for case in self.cases:
            if case.left_clean_up and case.posted:
                assert case.cleaned == 1
            else:
                assert case.cleaned == 0

    @invariant()
    def timers_run_for_what_runs(self) -> None:
        for case in self.cases:
            assert case.offload._timer is None or case.state is STARTED

    @invariant()
    def a_shutdown_hears_of_each_end(self) -> None:
        if self.closing is not None:
            assert self.told_closing == self.expected_told

    def teardown(self) -> None:
        try:
            if self.cases:
                self.end_all()
        finally:
            for case in self.cases:
                if case.future.done() and not case.future.cancelled():
                    case.future.exception()  # it is no news that nobody awaits it
            self.patch.stop()
            self.loop.close()

    def end_all(self) -> None:
        """Whatever has happened: once all have run, nothing is left of them."""
        self.executor.broken = self.executor.busy = False
        while self.executor.put_here or self.portal.posted:
            while self.executor.put_here:
                self.work(0, False, [])
            while self.portal.posted:
                self.hear()
        assert {case.offload.state for case in self.cases} <= set(SETTLED)
        self.each_is_where_the_model_says()
        self.tokens_are_held_once()
        self.each_is_counted_once()
        self.each_future_has_one_outcome()
        self.each_owner_is_told_once()
        self.a_shutdown_hears_of_each_end()
        assert self.limiter.borrowed_tokens == self.limiter.lent_tokens == 0
        assert self.limiter.waiting == 0
        assert not self.limiter.running


def check_outcome(future: asyncio.Future[Any], outcome: Any) -> None:
    """Check that it is this error, or of this class, or this value in a tuple."""
    if outcome is asyncio.CancelledError:
        assert future.cancelled()
    elif isinstance(outcome, tuple):
        assert future.result() is outcome[0]
    elif isinstance(outcome, type):
        assert type(future.exception()) is outcome
    else:
        assert future.exception() is outcome


@contextlib.contextmanager
def other_thread() -> Iterator[None]:
    """Have this thread be as another one is, that runs nothing."""
    here, home = lease.here, thread_loop.here.home
    was = here.lease, here.innermost
    here.lease = here.innermost = thread_loop.here.home = None
    try:
        yield
    finally:
        here.lease, here.innermost = was
        thread_loop.here.home = home


@pytest.mark.timeout(600)
def test_any_order_of_events(allow_log):
    """Counted once, token back once, one outcome, owner told once: in any order."""
    allow_log("tornado.application", "still running after 2 s")
    allow_log("tornado.application", "the body failed after it was abandoned")
    run_state_machine_as_test(
        OffloadMachine, settings=settings(max_examples=250, stateful_step_count=50)
    )
