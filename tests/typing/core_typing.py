"""What a user's type checker makes of the public names.

Never run: mypy and basedpyright read it, see test_typing.py. Each line marked `ignore`
has to be an error for both of them, since an ignore without one is an error itself.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tornado.web import Application, RequestHandler
from typing_extensions import assert_type

from tornado_unblock import (
    cancelled,
    configure,
    run_in_executor,
    unblock,
    unblock_application,
)


class Orders(RequestHandler):
    @unblock
    def get(self, number: int, brief: bool = False) -> None: ...

    @unblock(executor="reports", timeout=10.0)
    def lines(self) -> Iterator[str]:
        while not cancelled():
            yield "line"

    @unblock(executor=ThreadPoolExecutor(1))
    def prepare(self) -> None: ...


def keeps_signatures(handler: Orders) -> None:
    """The parameters stay; the result is Any, a Future on the loop thread."""
    handler.get(7)
    handler.get(7, brief=True)
    assert_type(handler.lines(), Any)
    handler.get("seven")  # type: ignore[arg-type]
    handler.get()  # type: ignore[call-arg]
    handler.lines(1)  # type: ignore[call-arg]


def refuses_unknown_options() -> None:
    """Misspelt options and positional ones are errors."""
    unblock(pool="reports")  # type: ignore[call-overload]
    unblock("reports")  # type: ignore[call-overload]
    unblock(timeout="10")  # type: ignore[call-overload]
    unblock(executr="reports")  # type: ignore[call-overload]
    unblock_application(Application(), executr="reports")  # type: ignore[call-arg]
    unblock_application(Application(), timeout="10")  # type: ignore[arg-type]
    unblock_application(Application(), routes={"/": {"executr": "x"}})  # type: ignore[dict-item]


def area(width: float, height: float) -> float:
    return width * height


async def keeps_results() -> None:
    """What is awaited has the type of what the function returns."""
    assert_type(await run_in_executor(area, 2.0, 3.0), float)
    assert_type(await run_in_executor(area, 2.0, height=3.0, timeout=1.0), float)
    run_in_executor(7)  # type: ignore[arg-type]


def configures() -> None:
    """Options are passed by name."""
    configure(max_workers=10)
    configure("reports", queue_timeout=None, timeout=1, processes=None, strict=True)
    configure(factory=lambda: ThreadPoolExecutor(1))
    configure(max_worker=10)  # type: ignore[call-arg]
    configure(max_workers="10")  # type: ignore[arg-type]
    configure(max_workers=None)  # type: ignore[arg-type]
    configure("reports", 10)  # type: ignore[call-arg]
    configure(factory=int)  # type: ignore[arg-type]
    assert_type(cancelled(), bool)
