"""What a user's type checker makes of decorated handlers and of what they await.

Never run: mypy and basedpyright read it, see test_typing.py. Each line marked `ignore`
has to be an error for both of them, since an ignore without one is an error itself.
core_typing.py holds the common cases; here are the finer ones.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, Callable, Optional, Union

from tornado.web import Application, Finish, HTTPError, RequestHandler, authenticated
from typing_extensions import assert_type

from tornado_unblock import (
    ClientGoneError,
    RejectedError,
    RunTimeoutError,
    UnblockError,
    cancelled,
    configure,
    run_in_executor,
    unblock,
    unblock_application,
)
from tornado_unblock.testing import reset


class Base(RequestHandler):
    @unblock
    def prepare(self) -> None: ...

    @unblock()
    def load(self, key: str, /, *keys: str, default: int = 0) -> dict[str, int]:
        return dict.fromkeys((key, *keys), default)

    @unblock(json_encoder=json.dumps)
    def post(self) -> list[int]:
        return [1, 2]

    @unblock(executor="reports", timeout=1, json_encoder=None)
    def put(self, number: int) -> Union[str, bytes]:
        return str(number)

    @authenticated
    @unblock
    def delete(self) -> Optional[str]:
        return None


class Derived(Base):
    @unblock
    def prepare(self) -> None:
        super().prepare()

    @unblock(timeout=None)
    def post(self) -> Any:
        return super().post()


def keeps_each_kind_of_parameter(handler: Base) -> None:
    """Positional-only, repeated and keyword-only ones are as they were."""
    handler.load("a")
    handler.load("a", "b", default=1)
    handler.load(key="a")  # type: ignore[call-arg]
    handler.load("a", default="1")  # type: ignore[arg-type]
    handler.load("a", other=1)  # type: ignore[call-arg]


def leaves_results_open(handler: Derived) -> None:
    """On the loop thread they are Futures, in a worker values."""
    assert_type(handler.post(), Any)
    assert_type(handler.put(1), Any)
    assert_type(Base.put(handler, 1), Any)


def decorates_any_callable(plain: Callable[[int], str]) -> None:
    """Parameters survive it, whichever way it is put on."""
    assert_type(unblock(plain), Callable[[int], Any])
    assert_type(unblock(timeout=1.0)(plain), Callable[[int], Any])


@unblock
class Whole(RequestHandler):
    def initialize(self, key: str) -> None:
        self.key = key

    def get(self, number: int) -> None:
        self.write(self.key * number)

    def name(self) -> str:
        return self.key


@unblock(executor="reports", timeout=1.0)
class Other(Whole):
    pass


def keeps_classes(whole: Whole, other: Other) -> None:
    """A decorated class is the class it was."""
    assert_type(whole.name(), str)
    assert_type(other.name(), str)
    other.get(7)
    other.get()  # type: ignore[call-arg]
    kind: type[Whole] = Other
    del kind


def unblocks_applications(app: Application) -> None:
    """What comes back is what went in."""
    assert_type(unblock_application(app), Application)
    unblock_application(app, routes={Whole: None, "/x": {"timeout": 1.0}}, timeout=2.0)
    unblock_application("app")  # type: ignore[type-var]
    unblock_application(app, {})  # type: ignore[call-arg]


def refuses_wrong_options(pool: ThreadPoolExecutor) -> None:
    """Each option has its type, and none is positional."""
    unblock(executor=pool)
    unblock(executor=7)  # type: ignore[call-overload]
    unblock(timeout="1")  # type: ignore[call-overload]
    unblock(json_encoder="json")  # type: ignore[call-overload]
    unblock(max_workers=7)  # type: ignore[call-overload]
    unblock(None, "reports")  # type: ignore[call-overload]


def area(width: float, height: float = 1.0) -> float:
    return width * height


def fail() -> Iterator[bytes]:
    yield b""


def makes_futures() -> None:
    """What is not awaited is a Future of the function's result."""
    assert_type(run_in_executor(area, 1.0), asyncio.Future[float])
    assert_type(run_in_executor(fail, executor="x"), asyncio.Future[Iterator[bytes]])
    assert_type(run_in_executor(lambda: "x"), asyncio.Future[str])
    partial: functools.partial[float] = functools.partial(area, 1.0)
    assert_type(run_in_executor(partial, height=2.0), asyncio.Future[float])
    wrong: asyncio.Future[str] = run_in_executor(area, 1.0)  # type: ignore[arg-type, assignment, unused-ignore]
    del wrong


async def awaits() -> None:
    """Several at once, too, and on processes."""
    width, text = await asyncio.gather(
        run_in_executor(area, 1.0), run_in_executor(str, 7)
    )
    assert_type(width, float)
    assert_type(text, str)
    with ProcessPoolExecutor(1) as pool:
        assert_type(await run_in_executor(area, 1.0, executor=pool), float)
    run_in_executor(area, 1.0, executor=7)  # type: ignore[arg-type]
    run_in_executor(area, 1.0, timeout="1")  # type: ignore[arg-type]
    run_in_executor()  # type: ignore[call-arg]


def knows_the_errors(error: UnblockError) -> None:
    """They are told apart by type, and those of Tornado have its attributes."""
    if isinstance(error, RejectedError):
        assert_type(error.status_code, int)
        assert_type(error.retry_after, Optional[int])
        assert_type(error.rejection, str)
    as_http: list[HTTPError] = [
        RejectedError("full", reason="full"),
        RunTimeoutError("late", status_code=503),
    ]
    as_finish: Finish = ClientGoneError()
    as_timeout: asyncio.TimeoutError = RunTimeoutError("late")
    RejectedError("full")  # type: ignore[call-arg]
    del as_http, as_finish, as_timeout


def encode(value: Any) -> bytes:
    return repr(value).encode()


def configures() -> None:
    """The encoder has a type; the rest is checked when it runs."""
    configure("reports", max_workers=2, timeout=None, json_encoder=encode)
    configure(json_encoder=lambda: "x")  # type: ignore[arg-type, misc, unused-ignore]
    configure("reports", encode)  # type: ignore[arg-type, call-arg, misc, unused-ignore]
    assert_type(cancelled(), bool)
    reset()
