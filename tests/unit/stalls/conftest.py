"""A watch whose warnings a test can wait for, and a stall that it lets go."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from typing import Any, Callable

import pytest

import tornado_unblock
from tests.patience import WAIT
from tornado_unblock import Stall

LOGGER = "tornado_unblock.stalls"


class Reports(logging.Handler):
    """The records of the watch, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self._records: queue.Queue[logging.LogRecord] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self._records.put(record)

    def next(self) -> Stall:
        """Return the stall of the next record."""
        record = self._records.get(timeout=WAIT)
        self.text = record.getMessage()
        found: Stall = record.stall  # type: ignore[attr-defined]
        return found

    def ended(self) -> Stall:
        """Return the next stall that is over."""
        while True:
            stall = self.next()
            if stall.over:
                return stall


class Block:
    """What a body waits for; the test lets it go."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def wait(self) -> None:
        assert self._event.wait(WAIT)

    def release(self) -> None:
        self._event.set()


@pytest.fixture
def reports(allow_log: Any) -> Iterator[Reports]:
    """Collect what the watch logs; every one of its records may come."""
    allow_log(LOGGER, "^Event loop stalled", level=logging.WARNING)
    handler = Reports()
    logger = logging.getLogger(LOGGER)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.fixture
def watch(reports: Reports) -> Iterator[Callable[..., Any]]:
    """Begin a watch that ends with the test."""
    begun = []

    def begin(threshold: float = 0.05, **options: Any) -> Any:
        begun.append(tornado_unblock.watch(threshold, log_every=0, **options))
        return begun[-1]

    yield begin
    for one in begun:
        one.stop()


@pytest.fixture
def block() -> Block:
    return Block()
