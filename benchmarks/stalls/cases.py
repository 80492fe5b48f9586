"""The stalls: each behind a helper, the line that blocks marked by its name."""

# ruff: noqa: D103 - the case's name says it

from __future__ import annotations

import concurrent.futures
import gc
import importlib
import json
import logging
import logging.handlers
import os
import pickle
import re
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tornado.template import Template

SECONDS = 0.4
_SQL = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000000)"
    " SELECT count(*) FROM n"
)


class Case(NamedTuple):
    """A stall.

    Attributes:
        name: What is done.
        run: Does it.
        causes: What it may be called.
        line: Where it blocks.
        lines: All of the function's.
    """

    name: str
    run: Callable[[], object]
    causes: frozenset[str]
    line: int
    lines: range


CASES: list[Case] = []


def case(name: str, *causes: str) -> Callable[[Callable[[], object]], Any]:
    """Add a case; its line is the one that says ``# blocks``."""

    def add(run: Callable[[], object]) -> Callable[[], object]:
        code = run.__code__
        lines = Path(code.co_filename).read_text().splitlines()
        first = code.co_firstlineno
        line = next(
            n for n in range(first, len(lines) + 1) if "# blocks" in lines[n - 1]
        )
        last = max(n for _, _, n in code.co_lines() if n)
        CASES.append(Case(name, run, frozenset(causes), line, range(first, last + 1)))
        return run

    return add


class SlowServer:
    """Accepts, and answers nothing for a while: an HTTP, SMTP or TLS server."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            client, _ = self._socket.accept()
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        threading.Event().wait(SECONDS)
        with client:
            client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")


_server = SlowServer()
_url = f"http://127.0.0.1:{_server.port}/"
_row = {"id": 1, "name": "x" * 200, "tags": ["a", "b"], "price": 1.25}
_kept: list[Any] = []
# With the certificates of the system in it, which takes longer than a handshake.
_context = ssl.create_default_context()
_LIBRARIES = (
    "requests",
    "pymysql",
    "psycopg2",
    "psycopg",
    "sqlalchemy.dialects.mysql.pymysql",
    "redis",
)


def prepare() -> None:
    """Make what the cases need that is not to count: 50 MB of JSON, many objects.

    And import their libraries: that stalls longer than some of them, and is a case of
    its own.
    """
    for name in _LIBRARIES:
        importlib.import_module(name)
    _kept.append(json.dumps([_row] * 200_000))
    _kept.append([(n, str(n)) for n in range(900_000)])
    _kept.append([[] for _ in range(3_000_000)])
    gc.collect()


@case("time.sleep", "sleep")
def sleep() -> None:
    time.sleep(SECONDS)  # blocks


@case("subprocess.run", "subprocess")
def program() -> None:
    subprocess.run(["sleep", str(SECONDS)], check=True)  # blocks


@case("os.system", "subprocess")
def system() -> None:
    os.system(f"sleep {SECONDS}")  # blocks


@case("requests.get", "http")
def http() -> None:
    import requests

    requests.get(_url, timeout=9)  # blocks


@case("urllib.request.urlopen", "http")
def standard_http() -> None:
    urllib.request.urlopen(_url, timeout=9).read()  # blocks


@case("pymysql: SELECT SLEEP", "database")
def mysql() -> None:
    import pymysql

    with pymysql.connect(host="127.0.0.1", user="root", ssl_disabled=True) as link:
        cursor = link.cursor()
        cursor.execute(f"SELECT SLEEP({SECONDS})")  # blocks


@case("psycopg2: pg_sleep", "database")
def postgresql() -> None:
    import psycopg2

    link = psycopg2.connect("postgresql://root@127.0.0.1/postgres")
    link.cursor().execute(f"SELECT pg_sleep({SECONDS})")  # blocks


@case("psycopg 3: pg_sleep", "database")
def postgresql_3() -> None:
    import psycopg

    with psycopg.connect("postgresql://root@127.0.0.1/postgres") as link:
        link.execute(f"SELECT pg_sleep({SECONDS})")  # blocks


@case("sqlite3: a long query", "database")
def sqlite() -> None:
    link = sqlite3.connect(":memory:")
    link.execute(_SQL).fetchone()  # blocks


@case("SQLAlchemy on MySQL", "database")
def sqlalchemy() -> None:
    import sqlalchemy as sa

    engine = sa.create_engine("mysql+pymysql://root@127.0.0.1/test?ssl_disabled=1")
    with engine.connect() as link:
        link.execute(sa.text(f"SELECT SLEEP({SECONDS})"))  # blocks


@case("redis: BLPOP", "redis")
def redis() -> None:
    import redis as client

    client.Redis().execute_command("BLPOP", "nothing_here", SECONDS)  # blocks


@case("a loop that computes", "cpu")
def computes() -> int:
    total = 0
    for number in range(9_000_000): total += number  # blocks # fmt: skip # noqa: E701
    return total


@case("a C function that computes", "cpu")
def c_code() -> int:
    return sum(range(25_000_000))  # blocks


@case("a regular expression", "regex")
def regex() -> None:
    re.match(r"(a+)+$", "a" * 24 + "b")  # blocks


@case("json.loads of 50 MB", "parsing")
def parses() -> None:
    json.loads(_kept[0])  # blocks


@case("pickle.dumps", "parsing")
def pickles() -> None:
    pickle.dumps(_kept[1])  # blocks


@case("threading.Lock", "lock")
def lock() -> None:
    held = threading.Lock()
    held.acquire()
    threading.Timer(SECONDS, held.release).start()
    with held:  # blocks
        pass


@case("Future.result", "future")
def future() -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(threading.Event().wait, SECONDS).result()  # blocks


@case("reading a file", "file")
def file() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "pipe")
        os.mkfifo(path)
        threading.Thread(target=_write_slowly, args=(path,)).start()
        with open(path) as pipe:
            pipe.read()  # blocks


def _write_slowly(path: str) -> None:
    with open(path, "w"):
        threading.Event().wait(SECONDS)


@case("a socket's recv", "network")
def recv() -> None:
    with socket.create_connection(("127.0.0.1", _server.port)) as link:
        link.recv(100)  # blocks


@case("smtplib", "mail")
def mail() -> None:
    import smtplib

    try:
        smtplib.SMTP("127.0.0.1", _server.port)  # blocks
    except smtplib.SMTPException:
        pass


@case("a DNS lookup", "dns")
def dns() -> None:
    try:
        socket.getaddrinfo("database.example.test", 80)  # blocks
    except OSError:
        pass


@case("a TLS handshake", "tls")
def tls() -> None:
    with socket.create_connection(("127.0.0.1", _server.port)) as link:
        try:
            _context.wrap_socket(link, server_hostname="localhost")  # blocks
        except OSError:
            pass


@case("the garbage collector", "gc")
def collects() -> None:
    gc.collect()  # blocks


@case("compiling a template", "template")
def template() -> None:
    text = "{% for x in y %}{{ x }}{% if x %}<b>{{ x + 1 }}</b>{% end %}{% end %}\n"
    Template(text * 900)  # blocks


@case("a logging handler", "logging")
def logs() -> None:
    logger = logging.getLogger("stalls.audit")
    logger.propagate = False
    logger.handlers = [
        logging.handlers.HTTPHandler(f"127.0.0.1:{_server.port}", "/log")
    ]
    logger.warning("an order was placed")  # blocks


@case("an import", "import")
def imports() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "slow_module.py")
        path.write_text(f"import threading\nthreading.Event().wait({SECONDS})\n")
        _import_from(folder)


def _import_from(folder: str) -> None:
    import sys

    sys.path.insert(0, folder)
    try:
        import slow_module  # type: ignore[import-not-found] # noqa: F401 # blocks
    finally:
        sys.path.remove(folder)
        sys.modules.pop("slow_module", None)
