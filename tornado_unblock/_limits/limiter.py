"""Who may have a worker, who waits, and who is turned away.

One limiter stands before each executor on each loop. It counts tokens: one for
each body that a worker runs. It knows nothing of threads or handlers.

# Threads: the loop thread only; hence no lock. `Limiter.pass_on` alone is for a worker.
# Guarantees:
# - never more than `total_tokens` borrowed, but for those taken again after
#   they were lent;
# - never more than `total_tokens` and `max_waiting` under way: bodies that run, bodies
#   that wait for other work and have lent their token, and what waits for one;
# - requests of one endpoint start in the order in which they came;
# - waiting endpoints take turns;
# - no endpoint can borrow the last free token while it holds another, so an
#   endpoint that has none is let in at once while any is free.
"""

from __future__ import annotations

import collections
import math
from typing import Any, Optional, Protocol

from tornado_unblock._limits.closing import Closing
from tornado_unblock._limits.counts import Counts

# What a 503 may ask a client to wait, in seconds.
_LONGEST_RETRY = 60

MOST_ENDPOINTS = 1000
OTHERS = "(others)"


class Waiter(Protocol):
    """What waits for a token."""

    endpoint: Endpoint

    def start(self) -> None:
        """Go: the token is yours."""


class Endpoint(Counts):
    """One endpoint's part of a limiter."""

    __slots__ = ("borrowed", "lent", "name", "waiting")

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.borrowed = 0
        # How many of its bodies wait for other work, without a token.
        self.lent = 0
        # In order; to leave from the middle costs no more than from the front. A worker
        # may take the first, so this is never looked at and then relied upon.
        self.waiting: collections.OrderedDict[Waiter, None] = collections.OrderedDict()

    def take_first(self) -> Optional[Waiter]:
        """Take the first that waits out of the line, if there is one; any thread."""
        try:
            return self.waiting.popitem(last=False)[0]
        except KeyError:
            return None

    def retry_after(self) -> int:
        """Return in how many seconds those that wait now will have had their turn."""
        wait = len(self.waiting) * self.mean_run_time() / max(1, self.borrowed)
        return max(1, min(_LONGEST_RETRY, math.ceil(wait)))


class Limiter:
    """Fair admission to a bounded number of workers.

    An endpoint may borrow while it holds less than ``share / (1 - share)`` times
    the free tokens, the dynamic threshold of Choudhury and Hahne ("Dynamic
    queue length thresholds for shared-memory packet switches", 1998): alone it
    gets at most ``share`` of all, several saturated ones share equally, and
    some tokens always stay free. The room to wait is shared by the same rule.

    Args:
        total_tokens: Bodies that may run at once.
        max_waiting: Requests that may wait at once.
        max_endpoint_share: The share of both that one endpoint may hold, in (0, 1];
            1 switches fairness off.
    """

    def __init__(
        self, total_tokens: int, max_waiting: int, max_endpoint_share: float
    ) -> None:
        self.total_tokens = total_tokens
        self.borrowed_tokens = 0
        # Bodies that wait for other work, and let others have their token.
        self.lent_tokens = 0
        self.max_waiting = max_waiting
        self.endpoints: dict[str, Endpoint] = {}
        # What holds a token or waits to take one again.
        self.running: set[Any] = set()
        # Set when no more is to be admitted.
        self.closing: Optional[Closing] = None
        # Rounded: 0.8 / (1 - 0.8) is a little more than 4.
        self._factor = (
            round(max_endpoint_share / (1 - max_endpoint_share), 9)
            if max_endpoint_share < 1
            else None
        )
        # Endpoints with waiting requests, the one whose turn it is first.
        self._turns: collections.OrderedDict[Endpoint, None] = collections.OrderedDict()
        # The endpoint that would get whatever token it gives back, if there is one.
        # Read by workers.
        self.sole_waiting_endpoint: Optional[Endpoint] = None

    @property
    def waiting(self) -> int:
        """How many wait; any thread."""
        return sum(len(endpoint.waiting) for endpoint in list(self._turns))

    def endpoint(self, name: str) -> Endpoint:
        """Return the endpoint called ``name``, made on first use.

        After `MOST_ENDPOINTS` all further ones are one, called `OTHERS`: functions made
        at run time may have any number of names.
        """
        endpoint = self.endpoints.get(name)
        if endpoint is None and len(self.endpoints) >= MOST_ENDPOINTS:
            name = OTHERS
            endpoint = self.endpoints.get(name)
        if endpoint is None:
            endpoint = self.endpoints[name] = Endpoint(name)
        return endpoint

    def all_waiting(self) -> list[Any]:
        """Return all that wait, whatever their turns."""
        return [waiter for endpoint in self._turns for waiter in list(endpoint.waiting)]

    def borrow(self, endpoint: Endpoint, *, is_new: bool = False) -> bool:
        """Take a token for ``endpoint`` if it may have one now.

        Args:
            endpoint: Who asks.
            is_new: Whether it asks for a request of which nothing has run yet. What is
                under way may be what a body without a token waits for.
        """
        free = self.total_tokens - self.borrowed_tokens
        if endpoint.waiting or not self._fits(endpoint.borrowed, free):
            return False
        if is_new and self.lent_tokens and not self._fits(*self._under_way(endpoint)):
            return False
        # Written out: it happens to each request.
        endpoint.borrowed += 1
        self.borrowed_tokens += 1
        if self._turns:
            self._see_who_is_next()
        return True

    def wait(self, waiter: Waiter) -> bool:
        """Put ``waiter`` in line; False when there is no room for its endpoint."""
        endpoint = waiter.endpoint
        room = self.max_waiting - self.waiting
        if not self._fits(len(endpoint.waiting), room):
            return False
        if self.lent_tokens and not self._fits(*self._under_way(endpoint)):
            return False
        self._turns.setdefault(endpoint)
        endpoint.waiting[waiter] = None
        self._see_who_is_next()
        return True

    def leave(self, waiter: Waiter) -> bool:
        """Take ``waiter`` out of the line; False when it is not there any more."""
        try:
            del waiter.endpoint.waiting[waiter]
        except KeyError:
            return False
        self.passed_on(waiter.endpoint)
        return True

    def give_back(self, endpoint: Endpoint) -> None:
        """Return a token, and start whoever may have it now."""
        endpoint.borrowed -= 1
        self.borrowed_tokens -= 1
        if self._turns:
            self.start_waiting()

    def pass_on(self, endpoint: Endpoint) -> Optional[Waiter]:
        """Give a token of ``endpoint`` to the next in line; the worker that has it.

        Returns:
            Who has it now, to be told so; None if it is to be given back, because
            nobody of this endpoint waits, or it may be the turn of others.
        """
        return endpoint.take_first() if self.sole_waiting_endpoint is endpoint else None

    def passed_on(self, endpoint: Endpoint) -> None:
        """Take note of a `pass_on`: the line of ``endpoint`` is shorter now."""
        if not endpoint.waiting:
            self._turns.pop(endpoint, None)
        self._see_who_is_next()

    def lend(self, endpoint: Endpoint) -> bool:
        """Let others have a token while who holds it waits for their work.

        Returns:
            Whether they have: False when so many wait like this that the threads they
            keep are as many as may be.
        """
        if self.lent_tokens >= self.total_tokens + self.max_waiting:
            return False
        endpoint.lent += 1
        self.lent_tokens += 1
        self.give_back(endpoint)
        return True

    def is_lending_all(self) -> bool:
        """Whether no token is free but what is lent."""
        lent = self.lent_tokens
        return lent > 0 and self.borrowed_tokens + lent >= self.total_tokens

    def end_loan(self, endpoint: Endpoint) -> None:
        """End a `lend`: hold the token again, over the total if need be."""
        endpoint.lent -= 1
        self.lent_tokens -= 1
        self.take_again(endpoint)

    def take_again(self, endpoint: Endpoint) -> None:
        """Hold one token more, over the total if need be."""
        endpoint.borrowed += 1
        self.borrowed_tokens += 1
        if self._turns:
            self._see_who_is_next()

    def start_waiting(self) -> None:
        """Start waiting requests, endpoint by endpoint, while tokens allow."""
        passed_over = 0
        while passed_over < len(self._turns):
            endpoint = next(iter(self._turns))
            free = self.total_tokens - self.borrowed_tokens
            if endpoint.waiting and not self._fits(endpoint.borrowed, free):
                self._turns.move_to_end(endpoint)
                passed_over += 1
                continue
            passed_over = 0
            del self._turns[endpoint]
            waiter = endpoint.take_first()
            if waiter is not None:
                if endpoint.waiting:
                    self._turns[endpoint] = None
                endpoint.borrowed += 1
                self.borrowed_tokens += 1
                waiter.start()
        self._see_who_is_next()

    def _see_who_is_next(self) -> None:
        self.sole_waiting_endpoint = None
        if len(self._turns) == 1:
            endpoint = next(iter(self._turns))
            free = self.total_tokens - self.borrowed_tokens
            if self._fits(endpoint.borrowed - 1, free + 1):
                self.sole_waiting_endpoint = endpoint

    def _under_way(self, endpoint: Endpoint) -> tuple[int, int]:
        """Return how many of ``endpoint`` wait in either way, and the room for more."""
        taken = self.borrowed_tokens + self.lent_tokens + self.waiting
        return (
            endpoint.lent + len(endpoint.waiting),
            self.total_tokens + self.max_waiting - taken,
        )

    def _fits(self, held: int, free: int) -> bool:
        if held == 0 or self._factor is None:
            return free > 0
        return free > 1 and held < self._factor * free
