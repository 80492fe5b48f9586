"""The limiter keeps its guarantees in any order of events, and shares fairly."""

from __future__ import annotations

import collections
from fractions import Fraction

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tornado_unblock._limits.limiter import MOST_ENDPOINTS, OTHERS, Endpoint, Limiter

ROUTES = ["orders", "reports", "search", "stats"]
# Each is exact as a float, so that the rule can be stated in fractions.
SHARES = [Fraction(1, 4), Fraction(1, 2), Fraction(3, 4), Fraction(7, 8), Fraction(1)]


class Request:
    """What asks for a token, and notes whether it got one."""

    def __init__(self, limiter: Limiter, endpoint: str, is_new: bool = False) -> None:
        self.limiter = limiter
        self.is_new = is_new
        self.endpoint = limiter.endpoint(endpoint)
        self.refused = False
        self.started = False

    def ask(self) -> Request:
        if self.limiter.borrow(self.endpoint, is_new=self.is_new):
            self.start()
        else:
            self.refused = not self.limiter.wait(self)
        return self

    def start(self) -> None:
        assert not self.started
        self.started = True


def fits(held: int, free: int, share: Fraction) -> bool:
    """Tell whether who holds that much may have one more: the rule, restated."""
    if held == 0 or share == 1:
        return free > 0
    return free > 1 and held * (1 - share) < share * free


class Ticket(Request):
    """A request of the state machine."""

    def __init__(self, machine: LimiterMachine, endpoint: str, is_new: bool) -> None:
        super().__init__(machine.limiter, endpoint, is_new)
        self.machine = machine

    def start(self) -> None:
        super().start()
        self.machine.started(self)


class LimiterMachine(RuleBasedStateMachine):
    """Requests of several endpoints come, wait, lose patience and end, in any order."""

    @initialize(
        total=st.integers(1, 8),
        max_waiting=st.integers(0, 8),
        share=st.sampled_from(SHARES),
    )
    def make(self, total: int, max_waiting: int, share: Fraction) -> None:
        self.limiter = Limiter(total, max_waiting, float(share))
        self.total, self.max_waiting, self.share = total, max_waiting, share
        self.running: list[Ticket] = []
        self.lending: list[Ticket] = []
        self.lines: dict[str, list[Ticket]] = collections.defaultdict(list)
        # When each endpoint was last served from its line, or began to have one.
        self.served: dict[str, int] = {}
        self.clock = 0
        # Whose tokens were passed on without the loop's knowing it yet.
        self.untold: list[Endpoint] = []

    def free(self) -> int:
        return self.total - len(self.running)

    def held(self, name: str) -> int:
        return sum(ticket.endpoint.name == name for ticket in self.running)

    def waiting(self) -> int:
        return sum(map(len, self.lines.values()))

    def may_borrow(self, name: str) -> bool:
        return fits(self.held(name), self.free(), self.share)

    def started(self, ticket: Ticket) -> None:
        """Check a start at the moment it happens."""
        name = ticket.endpoint.name
        assert self.may_borrow(name)
        if self.share < 1:
            assert self.held(name) == 0 or self.free() > 1
        line = self.lines[name]
        if line:
            assert line.pop(0) is ticket  # first come, first served
            self.check_turn(name)
        self.running.append(ticket)

    def check_turn(self, name: str) -> None:
        if self.share == 1:  # else one that holds much is passed over
            others = [other for other in ROUTES if other != name and self.lines[other]]
            assert all(self.served[other] > self.served[name] for other in others)
        self.clock += 1
        self.served[name] = self.clock

    def may_come(self, name: str) -> bool:
        """Whether there is room for one more beside those that lend and wait."""
        under_way = len(self.running) + len(self.lending) + self.waiting()
        lent = sum(ticket.endpoint.name == name for ticket in self.lending)
        room = self.total + self.max_waiting - under_way
        return not self.lending or fits(lent + len(self.lines[name]), room, self.share)

    @rule(name=st.sampled_from(ROUTES), is_new=st.booleans())
    def request(self, name: str, is_new: bool) -> None:
        line = self.lines[name]
        at_once = not line and self.may_borrow(name)
        at_once = at_once and (not is_new or self.may_come(name))
        room = fits(len(line), self.max_waiting - self.waiting(), self.share)
        room = room and self.may_come(name)
        ticket = Ticket(self, name, is_new)
        ticket.ask()
        assert ticket.started == at_once
        assert ticket.refused == (not at_once and not room)
        if not ticket.started and not ticket.refused:
            if not line:
                self.clock += 1
                self.served[name] = self.clock
            line.append(ticket)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.running))
        self.running.remove(ticket)
        self.limiter.give_back(ticket.endpoint)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def pass_on(self, data: st.DataObject) -> None:
        """What a worker does: the same as to end, of which the loop hears later."""
        ticket = data.draw(st.sampled_from(self.running))
        name = ticket.endpoint.name
        successor = self.limiter.pass_on(ticket.endpoint)
        if successor is None:
            return
        assert isinstance(successor, Ticket)
        assert [n for n in ROUTES if self.lines[n]] == [name]
        self.running.remove(ticket)
        successor.start()
        self.untold.append(successor.endpoint)

    @precondition(lambda self: self.untold)
    @rule()
    def passed_on(self) -> None:
        self.limiter.passed_on(self.untold.pop(0))

    @precondition(lambda self: self.waiting())
    @rule(data=st.data())
    def lose_patience(self, data: st.DataObject) -> None:
        line = self.lines[
            data.draw(st.sampled_from([n for n in ROUTES if self.lines[n]]))
        ]
        ticket = data.draw(st.sampled_from(line))
        line.remove(ticket)
        assert self.limiter.leave(ticket)
        assert not self.limiter.leave(ticket)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def lend(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.running))
        self.running.remove(ticket)
        self.lending.append(ticket)
        if len(self.lending) > self.total + self.max_waiting:
            self.lending.remove(ticket)
            self.running.append(ticket)
            assert not self.limiter.lend(ticket.endpoint)
        else:
            assert self.limiter.lend(ticket.endpoint)

    @precondition(lambda self: self.lending)
    @rule(data=st.data())
    def take_again(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.lending))
        self.lending.remove(ticket)
        self.running.append(ticket)
        self.limiter.end_loan(ticket.endpoint)

    @invariant()
    def counts_are_right(self) -> None:
        limiter = self.limiter
        assert limiter.total_tokens == self.total
        assert limiter.borrowed_tokens == len(self.running)
        assert limiter.lent_tokens == len(self.lending)
        assert limiter.waiting == self.waiting() <= self.max_waiting
        for name, endpoint in limiter.endpoints.items():
            assert endpoint.borrowed == self.held(name)
            assert endpoint.lent == sum(t.endpoint.name == name for t in self.lending)
            assert list(endpoint.waiting) == self.lines[name]

    @invariant()
    def a_route_alone_in_line_goes_on(self) -> None:
        waiting = [name for name in ROUTES if self.lines[name]]
        only = self.limiter.sole_waiting_endpoint
        if len(waiting) != 1:
            # Its line may have been emptied by workers.
            assert only is None or not self.lines[only.name]
        elif not self.untold:
            (name,) = waiting
            left = fits(self.held(name) - 1, self.free() + 1, self.share)
            assert only is (self.limiter.endpoint(name) if left else None)

    @invariant()
    def nobody_waits_who_may_start(self) -> None:
        left = [name for name in ROUTES if self.lines[name] and self.may_borrow(name)]
        assert left == []


TestLimiterMachine = LimiterMachine.TestCase
TestLimiterMachine.__doc__ = "Whatever happens, in whatever order, the guarantees hold."


def ask(limiter: Limiter, endpoint: str, times: int) -> list[Request]:
    return [Request(limiter, endpoint).ask() for _ in range(times)]


@pytest.mark.parametrize(
    ("total", "share", "most"),
    [
        (50, 0.8, 40),
        (10, 0.8, 8),
        (100, 0.8, 80),
        (50, 0.9, 45),
        (20, 0.5, 10),
        (10, 0.95, 9),
        (1, 0.8, 1),
        (2, 0.8, 1),
        (3, 1.0, 3),
    ],
)
def test_one_saturated_route_gets_its_share(total, share, most):
    """Alone it may hold its share of the tokens, and never the last one."""
    limiter = Limiter(total, 1000, share)
    started = [request for request in ask(limiter, "a", 2 * total) if request.started]
    assert len(started) == limiter.borrowed_tokens == most


def test_two_saturated_routes_share_and_a_third_starts_at_once():
    """Once bodies end, two busy endpoints hold alike, and leave room for others."""
    limiter = Limiter(50, 1000, 0.8)
    first, second = limiter.endpoint("a"), limiter.endpoint("b")
    ask(limiter, "a", 200)
    ask(limiter, "b", 200)
    for _ in range(100):
        limiter.give_back(max(first, second, key=lambda endpoint: endpoint.borrowed))
    assert abs(first.borrowed - second.borrowed) <= 1
    assert 40 < limiter.borrowed_tokens < 50
    assert Request(limiter, "c").ask().started


def test_share_of_one_switches_fairness_off():
    """One endpoint then may hold every token and all the room to wait."""
    limiter = Limiter(5, 7, 1.0)
    requests = ask(limiter, "a", 13)
    assert [request.started for request in requests] == [True] * 5 + [False] * 8
    assert [request.refused for request in requests] == [False] * 12 + [True]
    assert not ask(limiter, "b", 1)[0].started


def test_room_to_wait_is_shared():
    """A busy endpoint cannot take the last place in line from one that has none."""
    limiter = Limiter(1, 10, 0.5)
    ask(limiter, "a", 100)
    assert len(limiter.endpoint("a").waiting) == 5
    assert not ask(limiter, "b", 1)[0].refused
    assert limiter.waiting == 6


def test_no_room_to_wait():
    """With `max_waiting` 0 a request starts at once or is turned away."""
    limiter = Limiter(1, 0, 0.8)
    assert [r.refused for r in ask(limiter, "a", 2)] == [False, True]
    assert ask(limiter, "b", 1)[0].refused


def test_waiting_routes_take_turns():
    """One endpoint's long line does not hold up another's short one."""
    limiter = Limiter(1, 100, 1.0)
    [running] = ask(limiter, "a", 1)
    waiting = ask(limiter, "a", 3) + ask(limiter, "b", 2) + ask(limiter, "c", 1)
    order = []
    for _ in range(len(waiting)):
        limiter.give_back(running.endpoint)
        [running] = [r for r in waiting if r.started and r not in order]
        order.append(running)
    assert "".join(request.endpoint.name for request in order) == "abcaba"


def test_one_more_for_each_that_is_lent():
    """A lent token starts who waits; taken again, it is owed by the next end."""
    limiter = Limiter(1, 10, 1.0)
    first, second, third = ask(limiter, "a", 3)
    limiter.lend(first.endpoint)
    assert (second.started, third.started) == (True, False)
    limiter.end_loan(first.endpoint)
    assert (limiter.total_tokens, limiter.borrowed_tokens) == (1, 2)
    limiter.give_back(first.endpoint)
    assert not third.started
    limiter.give_back(second.endpoint)
    assert third.started


def test_who_leaves_the_line_is_not_started():
    """The next in line starts instead, and its place is free again."""
    limiter = Limiter(1, 2, 1.0)
    first, second, third = ask(limiter, "a", 3)
    limiter.leave(second)
    assert limiter.waiting == 1
    limiter.give_back(first.endpoint)
    assert (second.started, third.started) == (False, True)


def test_all_who_wait():
    """They can be listed, whatever their turns."""
    limiter = Limiter(1, 10, 1.0)
    _, *waiting = ask(limiter, "a", 3) + ask(limiter, "b", 2)
    assert limiter.all_waiting() == waiting


def test_routes_are_kept():
    """The same name always means the same endpoint."""
    limiter = Limiter(1, 1, 1.0)
    assert limiter.endpoint("a") is limiter.endpoint("a") is limiter.endpoints["a"]
    assert limiter.endpoint("b") is not limiter.endpoint("a")


def test_names_without_end():
    """After a thousand endpoints, what else there is shares one."""
    limiter = Limiter(2, 2, 1)
    for number in range(MOST_ENDPOINTS + 50):
        limiter.endpoint(f"made at run time {number}")
    assert len(limiter.endpoints) == MOST_ENDPOINTS + 1
    assert limiter.endpoint("one more") is limiter.endpoints[OTHERS]
    assert limiter.endpoint("made at run time 0").name == "made at run time 0"
