"""What a stall is, told from frames and from names of C functions."""

from __future__ import annotations

import pytest
import tornado.web

from tests.unit.stalls.samples import (
    OWN,
    STDLIB,
    TORNADO,
    Delegate,
    Orders,
    library,
    owner,
    sample,
    step,
)
from tornado_unblock._stalls.causes import (
    COMPUTING,
    GC,
    MANY,
    UNKNOWN,
    advice_for,
    cause_of,
)
from tornado_unblock._stalls.frames import Sample


@pytest.mark.parametrize(
    ("inner", "cause"),
    [
        ([library("requests"), library("urllib3"), library("http")], "http"),
        ([library("pymysql"), library("socket", "readinto")], "database"),
        ([library("sqlalchemy"), library("pymysql")], "database"),
        ([library("sqlite3")], "database"),
        ([library("redis"), library("socket", "recv")], "redis"),
        ([library("subprocess")], "subprocess"),
        ([library("threading", "wait")], "lock"),
        ([library("concurrent"), library("threading", "wait")], "future"),
        ([library("threading", "start"), library("threading", "wait")], "thread-start"),
        ([library("re", "match")], "regex"),
        ([library("json")], "parsing"),
        ([library("smtplib"), library("socket")], "mail"),
        ([library("ssl", "do_handshake")], "tls"),
        ([library("urllib"), library("ssl", "do_handshake")], "tls"),
        ([library("requests"), library("socket", "getaddrinfo")], "dns"),
        ([step(f"{TORNADO}/template.py", "_parse")], "template"),
        ([library("jinja2", "compile")], "template"),
        ([step("<frozen importlib._bootstrap>", "_load_unlocked")], "import"),
        ([step(f"{STDLIB}/logging/__init__.py", "handle")], "logging"),
        ([library("tenacity"), library("requests")], "retry"),
        ([library("botocore"), library("urllib3")], "aws"),
    ],
)
def test_by_frames(inner: list, cause: str) -> None:
    """The outermost library tells most, but for what lies across all of them."""
    assert cause_of(sample(step(OWN), *inner)).name == cause


@pytest.mark.parametrize(
    ("called", "cause"),
    [
        ("time.sleep", "sleep"),
        ("psycopg2.extensions.cursor.execute", "database"),
        ("sqlite3.Connection.execute().fetchone", "database"),
        ("_thread.lock.acquire", "lock"),
        ("posix.system", "subprocess"),
        ("_io.TextIOWrapper.read", "file"),
        ("builtins.open", "file"),
        ("re.Pattern.search", "regex"),
        ("_json.scanner", "parsing"),
        ("_bz2.BZ2Compressor.compress", "cpu"),
        ("_socket.socket.recv", "network"),
        ("_socket.gethostbyname", "dns"),
        ("_ssl._SSLSocket.do_handshake", "tls"),
        ("gc.collect", "gc"),
        ("shop.compute", ""),
    ],
)
def test_by_calls(called: str, cause: str) -> None:
    """A C function has no frame: its name tells."""
    assert cause_of(sample(step(OWN), called=(called,))).name == cause


def test_the_collector() -> None:
    """It is to blame unless what was called is known to take long itself."""
    assert cause_of(sample(step(OWN)), collecting=True) is GC
    parsing = sample(step(OWN), library("json"))
    assert cause_of(parsing, collecting=True).name == "parsing"


def test_computing() -> None:
    """A thread that uses the processor, in code of the program, computes."""
    assert cause_of(sample(step(OWN)), computing=True) is COMPUTING
    assert cause_of(sample(step(OWN))) is UNKNOWN


def test_installed_programs() -> None:
    """A program that is installed is told from its libraries by its handler."""
    shop = library("requests", "get")
    assert cause_of(sample(step(OWN), shop, called=("time.sleep",))).name == "http"
    found = cause_of(sample(step(OWN), shop, called=("time.sleep",)), "requests")
    assert found.name == "sleep"


def served(*steps: object, called: tuple[str, ...] = ()) -> Sample:
    return sample(*steps, called=called, owner=owner(), serving=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "advice"),
    [
        (
            served(step(OWN), library("requests")),
            "put @unblock on class Orders, or make it a coroutine that awaits the .aio "
            "of tornado_unblock.shim.requests",
        ),
        (
            served(step(OWN), library("paramiko")),
            "put @unblock on class Orders",
        ),
        (
            served(step(OWN), library("threading", "start")),
            "the machine has more to do than it can: give it less, or more processors",
        ),
        (
            served(step(OWN, coroutine=True), library("pymysql")),
            "await run_in_executor(fn, ...) around what blocks, or await the .aio of "
            "tornado_unblock.shim.db",
        ),
        (
            served(step(OWN, coroutine=True), library("paramiko")),
            "await run_in_executor(fn, ...) around what blocks",
        ),
        (
            served(step(OWN), called=("time.sleep",)),
            "put @unblock on class Orders, or make it a coroutine that awaits the .aio "
            "of tornado_unblock.shim.time",
        ),
        (
            sample(step(OWN), library("redis")),
            "await the .aio of tornado_unblock.shim.redis, or run_in_executor(fn, ...)",
        ),
        (
            sample(step(OWN), library("paramiko")),
            "await run_in_executor(fn, ...) around what blocks",
        ),
        (served(step(OWN), library("re")), COMPUTING.advice),
        (
            sample(step(OWN), library("socket", "getaddrinfo")),
            "resolve off the loop: await loop.getaddrinfo(...), or a client that does",
        ),
    ],
)
def test_advice(seen: Sample, advice: str) -> None:
    """It fits who runs, and names the facade for what is called."""
    assert advice_for(seen, cause_of(seen)) == advice


class Coroutine(tornado.web.RequestHandler):
    async def get(self) -> None:
        """Is only named."""


@pytest.mark.parametrize(
    ("cls", "method", "advice"),
    [
        (Orders, "initialize", "move it from initialize to prepare, and put @unblock "),
        (Coroutine, "set_default_headers", "move it from set_default_headers to prep"),
        (Orders, "prepare", "put @unblock on class Orders"),
        (Orders, "write_error", "put @unblock on class Orders"),
        (Coroutine, "prepare", "put @unblock on Coroutine.prepare: get is a coroutine"),
        (Coroutine, "on_finish", "put @unblock on Coroutine.on_finish"),
        (Coroutine, "get_current_user", "do it in prepare, with @unblock on that"),
        (Coroutine, "helper", "put @unblock on class Coroutine"),
    ],
)
def test_advice_for_hooks(cls: type, method: str, advice: str) -> None:
    """Not all methods move when their class is unblocked."""
    steps = (step(OWN, method), library("requests"))
    seen = sample(*steps, owner=owner(Delegate(cls)), serving=True)
    assert advice_for(seen, cause_of(seen)).startswith(advice)


def test_advice_that_needs_no_handler() -> None:
    """What is across all handlers is not mended in one of them."""
    seen = served(step(OWN), library("requests"))
    assert advice_for(seen, MANY) == MANY.advice
    assert "gc.freeze" in advice_for(seen, GC)


def test_time_that_does_not_sleep() -> None:
    """Only `time.sleep` has a facade, not all of `time`."""
    seen = served(step(OWN), called=("time.strptime",))
    assert "shim" not in advice_for(seen, cause_of(seen))


def test_the_first_library_that_is_known() -> None:
    """A package that no cause is known by is looked through."""
    seen = sample(step(OWN), library("wrapt"), library("redis"))
    assert cause_of(seen).name == "redis"
