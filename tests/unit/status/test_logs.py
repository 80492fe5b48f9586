"""Log records say which body they come from."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from tornado.web import Application, RequestHandler

from tests.unit.conftest import all_quiet
from tornado_unblock import (
    configure,
    run_in_executor,
    status,
    unblock,
    unblock_application,
)


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


@pytest.mark.parametrize("mode", ["class", "application"])
def test_records_of_a_request(logged, make_server, mode):
    """All that one request logs on its worker has the same number."""
    logger, lines = logged

    class Orders(RequestHandler):
        def prepare(self):
            logger.info("prepare")

        def get(self):
            logger.info("get")

        def on_finish(self):
            logger.info("on_finish")

    app = Application([("/", unblock(Orders) if mode == "class" else Orders)])
    if mode == "application":
        unblock_application(app)
    server = make_server()
    server.call(server.server.stop)
    server.serve(app)
    for _ in range(2):
        server.get("/")
        server.call(all_quiet)
    rows = [line.split("|") for line in lines]
    assert [row[3] for row in rows] == ["prepare", "get", "on_finish"] * 2
    assert {row[0].rpartition(".<locals>.")[2] for row in rows} == {"Orders.get"}
    assert {row[1] for row in rows} == {"default"}
    numbers = [row[2] for row in rows]
    assert len(set(numbers[:3])) == len(set(numbers[3:])) == 1
    assert numbers[0] != numbers[3]


def test_records_of_others(logged):
    """Outside of a body nothing is known; what a record brings along stays."""
    logger, lines = logged
    logger.info("x")
    logger.info("y", extra={"endpoint": "mine"})
    assert lines == ["-|-|-|x", "mine|-|-|y"]
