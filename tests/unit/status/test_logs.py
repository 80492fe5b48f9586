"""Log records say which body they come from."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tornado_unblock import configure, run_in_executor, status


class Lines(logging.Handler):
    """Keeps what it is given, formatted."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.addFilter(status.HopFilter())
        form = "%(endpoint)s|%(executor)s|%(hop_id)s|%(message)s"
        self.setFormatter(logging.Formatter(form))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def logged() -> Any:
    logger = logging.getLogger("tests.hops")
    handler = Lines()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield logger, handler.lines
    logger.removeHandler(handler)


def test_records_of_a_body(logged):
    """The records of one body have a number in common; another has another."""
    logger, lines = logged
    configure("reports", max_workers=1)

    def body(name):
        logger.info("begins %s", name)
        logger.info("ends %s", name)

    async def main():
        await run_in_executor(body, "a", executor="reports")
        await run_in_executor(body, "b", executor="reports")

    asyncio.run(main())
    rows = [line.split("|") for line in lines]
    name = "test_records_of_a_body.<locals>.body"
    assert {row[0].rpartition(".")[2] for row in rows} == {name.rpartition(".")[2]}
    assert {row[1] for row in rows} == {"reports"}
    assert [row[3] for row in rows] == ["begins a", "ends a", "begins b", "ends b"]
    first, same, second, again = [int(row[2]) for row in rows]
    assert first == same != second == again


def test_records_of_others(logged):
    """Outside of a body nothing is known; what a record brings along stays."""
    logger, lines = logged
    logger.info("x")
    logger.info("y", extra={"endpoint": "mine"})
    assert lines == ["-|-|-|x", "mine|-|-|y"]
