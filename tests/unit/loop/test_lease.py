"""A body's right to reach the loop: one thread's, once, and for as long as it runs."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.patience import WAIT
from tornado_unblock import AbandonedError, run_in_executor
from tornado_unblock._loop.lease import (
    Lease,
    check_lease,
    current_lease,
    in_worker,
    innermost_lease,
    set_current_lease,
)
from tornado_unblock._loop.portal import current_portal


def test_each_thread_has_its_own():
    """A body's thread has its lease; another, even one it starts, has none."""

    def body() -> Any:
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(current_lease()))
        thread.start()
        thread.join(WAIT)
        return current_lease() is not None, in_worker(), found

    async def main() -> Any:
        assert not in_worker()
        return await run_in_executor(body)

    assert asyncio.run(main()) == (True, True, [None])


def test_a_loop_in_a_worker_is_no_worker():
    """While a body runs a loop of its own, that loop's rules apply."""

    async def inner() -> Any:
        return in_worker(), current_lease() is not None

    async def main() -> Any:
        return await run_in_executor(lambda: (asyncio.run(inner()), in_worker()))

    assert asyncio.run(main()) == ((False, True), True)


def test_innermost():
    """A function that a body has had run in between has a lease of its own."""

    async def main() -> None:
        outer, inner = Lease(current_portal()), Lease(current_portal())
        set_current_lease(outer)
        assert current_lease() is innermost_lease() is outer
        set_current_lease(outer, inner)
        assert (current_lease(), innermost_lease()) == (outer, inner)
        set_current_lease(None)
        assert (current_lease(), innermost_lease()) == (None, None)

    asyncio.run(main())


def test_what_is_revoked_is_refused():
    """The error says why."""

    async def main() -> None:
        lease = Lease(current_portal())
        assert check_lease() is None
        set_current_lease(lease)
        try:
            assert check_lease() is lease
            lease.revoked = "Orders.get: its timeout is over"
            with pytest.raises(
                AbandonedError, match=r"Orders\.get: its timeout is over"
            ):
                check_lease()
        finally:
            set_current_lease(None)

    asyncio.run(main())
