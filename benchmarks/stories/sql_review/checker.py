"""The checker: a MySQL server that is there, or the stand-in."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass

import pymysql

from benchmarks.harness import drivers
from benchmarks.harness.errors import SetupError
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.processes import Children

USUAL = "mysql://root@127.0.0.1:3306/test"
STAND_IN = (sys.executable, "-m", "benchmarks.stories.sql_review.standin")


@dataclass(frozen=True)
class Checker:
    """Where the checker is.

    Attributes:
        url: Its URL.
        title: What it is, with its version.
    """

    url: str
    title: str


def arguments(url: str) -> drivers.Arguments:
    """Return what `pymysql.connect` takes.

    Raises:
        SetupError: It is no URL of a MySQL server.
    """
    parts = drivers.parse_url(url)
    if drivers.DRIVERS[parts.scheme] is not drivers.MYSQL:
        raise SetupError("The checker must speak the MySQL protocol: mysql://…")
    return drivers.mysql_arguments(parts)


def find(wanted: str, children: Children, interrupts: Interrupts) -> Checker:
    """Find the checker that is wanted; start the stand-in if it is that.

    Raises:
        SetupError: A server that was asked for does not answer.
    """
    if wanted == "auto":
        with contextlib.suppress(SetupError), interrupts.allowed():
            return _look_at(USUAL)
    if wanted in ("auto", "stand-in"):
        child = children.start("stand-in", STAND_IN)
        with interrupts.allowed():
            return _look_at(f"mysql://root@127.0.0.1:{child.next_line()}/test")
    with interrupts.allowed():
        return _look_at(wanted)


def _look_at(url: str) -> Checker:
    try:
        with contextlib.closing(pymysql.connect(**arguments(url))) as connection:
            version = str(connection.get_server_info())  # type: ignore[no-untyped-call]
    except pymysql.Error as error:
        parts = drivers.parse_url(url)
        place = f"{parts.hostname}:{parts.port or drivers.MYSQL.port}"
        raise SetupError(
            f"No checker answers at {place}: {error.args[-1]}. "
            "--checker stand-in does without a server."
        ) from error
    # MariaDB puts a version before its own, for old clients.
    return Checker(url, version.replace("5.5.5-", "", 1))
