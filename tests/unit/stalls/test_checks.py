"""`no_stalls`: a block that stalls a loop fails, and says where."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from tornado.web import RequestHandler

from tests.patience import WAIT
from tests.unit.conftest import Server, uvloop
from tests.unit.stalls.conftest import Block
from tests.unit.stalls.test_counts import STALL
from tornado_unblock import ConfigurationError, Place, StallError, UnblockError
from tornado_unblock._stalls import checks
from tornado_unblock._stalls.checks import allows
from tornado_unblock.testing import no_stalls


class Orders(RequestHandler):
    def get(self) -> None:
        self.load()

    def load(self) -> None:
        self.application.settings["do"]()


class Watched(no_stalls):
    """One whose first warning a test can wait for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.warned = threading.Event()

    def _note(self, stall: Any) -> None:
        super()._note(stall)
        self.warned.set()


@contextlib.contextmanager
def stalled(
    make_server: Callable[..., Server], new_loop: Any, **options: Any
) -> Iterator[Watched]:
    """Have a handler stall its loop in a block of `no_stalls`."""
    block = Block()
    server = make_server(("/", Orders), do=block.wait, new_loop=new_loop)
    with Watched(0.05, **options) as found:
        client = server.send("/")
        assert found.warned.wait(WAIT)
        block.release()
        client.recv(65536)
        # The turn of the loop is over when the next has begun.
        server.call(asyncio.sleep, 0)
        yield found


@pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop], ids=["asyncio", "uvloop"]
)
def test_fails(make_server: Callable[..., Server], new_loop: Any) -> None:
    """The error names the endpoint and the line."""
    with pytest.raises(StallError, match="the event loop was stalled once") as caught:
        with stalled(make_server, new_loop):
            pass
    text = str(caught.value)
    assert "Orders.get (GET /, route /)" in text
    assert "in Block.wait: assert self._event.wait(WAIT)" in text or (
        "in wait: assert self._event.wait(WAIT)" in text
    )
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value, UnblockError)


@pytest.mark.parametrize(
    "pattern", ["test_checks.py:*load", "stalls/test_checks.py", "Orders.get"]
)
def test_allowed(make_server: Callable[..., Server], pattern: str) -> None:
    """What is not mended yet passes, and can be looked at."""
    with stalled(make_server, asyncio.new_event_loop, allow=[pattern]) as found:
        pass
    assert found.stalls == []
    assert [stall.endpoint for stall in found.allowed] == ["Orders.get"]


def test_own_errors_go_first(make_server: Callable[..., Server]) -> None:
    """What a test fails with is not hidden by its stalls."""
    with pytest.raises(KeyError), stalled(make_server, asyncio.new_event_loop):
        raise KeyError("its own")


def test_in_the_midst_of_a_turn() -> None:
    """A coroutine that stalls its own loop, and leaves the block before it awaits."""
    started = threading.Event()

    async def test() -> None:
        found = Watched(0.05)
        block = Block()

        def release() -> None:
            assert found.warned.wait(WAIT)
            block.release()

        def body() -> None:
            with found:
                threading.Thread(target=release).start()
                started.set()
                block.wait()

        with pytest.raises(StallError, match="coroutine"):
            body()

    asyncio.run(test())
    assert started.is_set()


def test_nothing_stalls(make_server: Callable[..., Server]) -> None:
    """A block without stalls passes."""
    server = make_server(("/", Orders), do=lambda: None)
    with no_stalls(threshold=30.0) as found:
        assert server.get("/").status == 200
    assert found.stalls == []
    assert found.message() == "the event loop was stalled 0 times"


def test_misuse() -> None:
    """Bad values, and a block entered twice, say so."""
    with pytest.raises(ConfigurationError, match=r"no_stalls\(\): threshold"):
        no_stalls(0)
    with pytest.raises(ConfigurationError, match="allow is a list of patterns"):
        no_stalls(allow="orders.py")
    with pytest.raises(ConfigurationError, match="allow is a list of patterns"):
        no_stalls(allow=[7])  # type: ignore[list-item]
    once = no_stalls()
    with once, pytest.raises(ConfigurationError, match="entered already"):
        once.__enter__()
    once.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        ("orders.py", True),
        ("shop/orders.py", True),
        ("/srv/shop/orders.py", True),
        ("ders.py", False),
        ("orders.py:7", True),
        ("orders.py:8", False),
        ("orders.py:load", True),
        ("orders.py:Orders.load", True),
        ("orders.py:get", False),
        ("web.py:get", True),
        ("*.py:load", True),
        ("Orders.get", True),
        ("Orders.*", True),
        ("Other.get", False),
    ],
)
def test_patterns(pattern: str, covered: bool) -> None:
    """Files from their end, with a line or a function, or the endpoint."""
    stall = STALL.__class__(
        1.0,
        True,
        "handler",
        "",
        "",
        "Orders.get",
        place=Place("/srv/shop/orders.py", 7, "Orders.load", ""),
        chain=(Place("/srv/shop/web.py", 3, "get", ""),),
    )
    assert allows([pattern], stall) == covered
    assert not allows([], stall)
    assert checks.allows([pattern], STALL) == (pattern in _OF_STALL)


_OF_STALL = {
    *("orders.py", "orders.py:7", "orders.py:load"),
    *("*.py:load", "Orders.get", "Orders.*"),
}


def _stop(loop: asyncio.AbstractEventLoop) -> None:
    loop.stop()


def _exit(loop: asyncio.AbstractEventLoop) -> None:
    raise SystemExit


@pytest.mark.parametrize("end", [_stop, _exit])
def test_the_turn_in_which_the_loop_ends(end: Callable[[Any], None]) -> None:
    """It is told of, as `AsyncTestCase.stop` in a handler that blocks has it."""
    found, loop = Watched(0.05), asyncio.new_event_loop()

    def stall() -> None:
        assert found.warned.wait(WAIT)
        end(loop)

    loop.call_soon(stall)
    with pytest.raises(StallError, match=r"in (.*[.])?stall: assert found[.]warned"):
        with found, contextlib.suppress(SystemExit):
            loop.run_forever()
    loop.close()
    assert [stall.over for stall in found.stalls] == [True]


def test_a_clock_of_the_tests_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test puts into `time` is for the program, and not for the watch."""
    found, loop = Watched(0.05), asyncio.new_event_loop()
    for name in ("perf_counter", "process_time"):
        monkeypatch.setattr(time, name, lambda: 0.0)

    def stall() -> None:
        assert found.warned.wait(WAIT)
        loop.stop()

    loop.call_soon(stall)
    with pytest.raises(StallError):
        with found:
            loop.run_forever()
    loop.close()
