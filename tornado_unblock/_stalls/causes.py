"""What a stall is: which kind of call, in words, and what to do about it.

The tables are data: a row says by which package, function or C call a cause is known.

# Threads: the watcher's.
"""

from __future__ import annotations

from typing import NamedTuple

from tornado_unblock._executors.functions import is_async
from tornado_unblock._handlers.methods import TABLE, Result
from tornado_unblock._stalls.frames import (
    Sample,
    Step,
    is_own,
    module_kind,
    package_of,
)
from tornado_unblock._stalls.owner import Owner


class Cause(NamedTuple):
    """A kind of stall.

    Attributes:
        name: As in `Stall.cause`.
        words: What a log line says.
        advice: What to do, where no handler can be told to be unblocked.
        packages: Top packages whose code does it.
        calls: Beginnings of the dotted names of C functions that do it.
        computes: Whether it computes, holding the interpreter: a thread is no help.
    """

    name: str
    words: str
    advice: str = ""
    packages: frozenset[str] = frozenset()
    calls: tuple[str, ...] = ()
    computes: bool = False


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


UNKNOWN = Cause("", "")
GC = Cause(
    "gc",
    "the garbage collector",
    "call gc.freeze() once everything is loaded, and keep fewer objects alive",
)
LOGGING = Cause(
    "logging",
    "a logging handler",
    "put it behind a queue: tornado_unblock.shim.logging",
)
DNS = Cause(
    "dns",
    "a DNS lookup",
    "resolve off the loop: await loop.getaddrinfo(...), or a client that does",
    calls=(
        *("_socket.getaddrinfo", "_socket.gethostby", "_socket.getnameinfo"),
        *("socket.getaddrinfo", "socket.gethostby", "socket.getfqdn"),
    ),
)
TLS = Cause(
    "tls",
    "TLS: certificates or a handshake",
    "make one ssl.SSLContext at start, and share it",
    calls=("_ssl.", "ssl."),
)
TEMPLATE = Cause(
    "template",
    "the compilation of a template",
    "load it once at start, and keep compiled_template_cache on",
)
IMPORT = Cause("import", "an import", "import it at start")
THREAD_START = Cause(
    "thread-start",
    "the start of a thread, which did not come to run",
    "the machine has more to do than it can: give it less, or more processors",
)
COMPUTING = Cause(
    "cpu",
    "computation",
    "compute in a process: await run_in_executor(fn, ..., executor=processes)",
    computes=True,
)
MANY = Cause(
    "many",
    "many short callbacks in one turn",
    "schedule fewer at once, or let the loop in between: await asyncio.sleep(0)",
)
HELD = Cause(
    "c-code",
    "C code that held the interpreter",
    "watch(faulthandler=True) sees into such code",
    computes=True,
)

_BY_PACKAGE = (
    Cause(
        "retry",
        "waiting for the next try",
        packages=_set("tenacity stamina backoff retrying retry"),
    ),
    Cause(
        "database",
        "a database",
        packages=_set(
            "pymysql MySQLdb mysql psycopg2 psycopg pg8000 sqlite3 sqlalchemy peewee "
            "pony django records torndb pymssql pyodbc oracledb cx_Oracle firebird "
            "clickhouse_driver duckdb mariadb cassandra neo4j pymongo mongoengine "
            "influxdb hdbcli ibm_db playhouse psycopg_binary psycopg_c bson"
        ),
        calls=(
            *("sqlite3.", "_sqlite3.", "psycopg2.", "MySQLdb.", "_mysql.", "pyodbc."),
            *("oracledb.", "duckdb.", "_duckdb.", "mariadb.", "psycopg_"),
        ),
    ),
    Cause(
        "redis", "Redis or a cache", packages=_set("redis memcache pymemcache pylibmc")
    ),
    Cause(
        "aws",
        "a cloud service",
        packages=_set("boto3 botocore s3transfer boto google azure"),
    ),
    Cause(
        "search",
        "a search engine",
        packages=_set("elasticsearch opensearchpy elastic_transport pysolr"),
    ),
    Cause(
        "queue",
        "a message queue",
        packages=_set("pika kombu amqp kafka stomp zmq celery"),
    ),
    Cause("ssh", "SSH", packages=_set("paramiko fabric")),
    Cause("ldap", "LDAP", packages=_set("ldap ldap3"), calls=("_ldap.",)),
    Cause("rpc", "a remote call", packages=_set("grpc thrift suds zeep xmlrpc Pyro4")),
    Cause("mail", "a mail server", packages=_set("smtplib imaplib poplib")),
    Cause(
        "http",
        "an HTTP request",
        packages=_set("requests urllib3 urllib http httpx httpcore pycurl niquests"),
        calls=("pycurl.",),
    ),
    Cause(
        "subprocess",
        "another program",
        packages=_set("subprocess sh plumbum pexpect"),
        calls=(
            *("subprocess.", "posix.system", "os.system", "posix.wait", "os.wait"),
            *("os.popen", "_posixsubprocess.", "pty.", "os.spawn", "posix.spawn"),
        ),
    ),
    Cause(
        "future",
        "waiting for another thread or process",
        packages=_set("concurrent multiprocessing joblib"),
        calls=("concurrent.futures.", "multiprocessing.", "_multiprocessing."),
    ),
    Cause(
        "lock",
        "a lock, or another thread",
        packages=_set("threading queue _queue filelock"),
        calls=(
            *("_thread.", "threading.", "queue.", "_queue.", "_multiprocessing."),
            *("fcntl.flock", "fcntl.lockf"),
        ),
    ),
    Cause("sleep", "a sleep", calls=("time.sleep",)),
    Cause(
        "file",
        "a file",
        packages=_set("pathlib shutil glob zipfile tarfile tempfile fileinput"),
        calls=(
            *("_io.", "io.", "builtins.open", "posix.", "nt.", "os.", "pathlib."),
            *("shutil.", "mmap.", "builtins.print"),
        ),
    ),
    Cause(
        "regex",
        "a regular expression",
        packages=_set("re sre_compile sre_parse regex"),
        calls=("re.", "_sre.", "regex."),
        computes=True,
    ),
    Cause(
        "parsing",
        "reading or writing JSON or the like",
        packages=_set(
            "json simplejson ujson orjson yaml csv pickle xml lxml marshal msgpack "
            "toml tomllib html bs4 plistlib pyexpat"
        ),
        calls=(
            *("json.", "_json.", "orjson.", "ujson.", "_pickle.", "pickle."),
            *("marshal.", "_csv.", "pyexpat.", "lxml.", "msgpack.", "_yaml."),
        ),
        computes=True,
    ),
    Cause(
        "cpu",
        "computation",
        packages=_set(
            "numpy pandas PIL cv2 bcrypt argon2 scipy sklearn gzip bz2 lzma zlib "
            "compression"
        ),
        calls=(
            *("zlib.", "_bz2.", "_lzma.", "_zstd.", "_hashlib.", "hashlib."),
            *("_bcrypt.", "builtins.s", "numpy."),
        ),
        computes=True,
    ),
    Cause(
        "network",
        "a socket",
        packages=_set("socket socketserver ftplib telnetlib nntplib select selectors"),
        calls=("_socket.", "socket.", "select."),
    ),
)

# Top package of what the program calls -> the facade that replaces it.
_FACADES = {
    **dict.fromkeys(("requests", "urllib3", "urllib", "http", "httpx"), "requests"),
    **dict.fromkeys(("pymysql", "MySQLdb", "mysql", "psycopg2", "psycopg"), "db"),
    **dict.fromkeys(("sqlite3", "_sqlite3", "torndb", "mariadb", "_mysql"), "db"),
    **dict.fromkeys(("sqlalchemy",), "session"),
    **dict.fromkeys(("subprocess", "_posixsubprocess"), "subprocess"),
    **dict.fromkeys(("tenacity", "stamina", "backoff", "retrying"), "retry"),
    **dict.fromkeys(("redis", "smtplib", "time", "logging"), ""),
    **dict.fromkeys(("_io", "io", "pathlib"), "files"),
}
_DNS_FUNCTIONS = _set(
    "getaddrinfo gethostbyname gethostbyname_ex gethostbyaddr getfqdn"
)
_TLS_FUNCTIONS = _set(
    "do_handshake load_verify_locations load_default_certs load_cert_chain "
    "create_default_context _do_ssl_handshake set_default_verify_paths _load_windows_"
    "store_certs ssl_wrap_socket"
)
_METHODS = {method.name: method for method in TABLE}
# Tornado calls them on the loop thread, whatever is unblocked.
_NEVER_MOVED = _set("__init__ initialize set_default_headers on_connection_close")
_COMPILERS = {
    "tornado": ("template.py", _set("_parse __init__ _generate_python load")),
    "jinja2": ("", _set("compile _parse _generate _tokenize tokeniter parse generate")),
    "mako": ("", _set("_compile compile _compile_text _compile_module_file parse")),
}


def inner_steps(sample: Sample, home: str = "") -> tuple[Step, ...]:
    """Return the frames that the program's innermost own one has called."""
    steps = sample.steps
    for index in range(len(steps) - 1, sample.begins - 1, -1):
        if is_own(steps[index], home):
            return steps[index + 1 :]
    return steps[sample.begins :]


def cause_of(
    sample: Sample, home: str = "", *, collecting: bool = False, computing: bool = False
) -> Cause:
    """Tell what a thread was doing.

    Args:
        sample: What was seen.
        home: A package that is the program's own though it is installed.
        collecting: Whether most of the time went to the garbage collector.
        computing: Whether the thread used the processor for most of it.
    """
    cause = _cause_of(sample, home, computing)
    if "gc.collect" in sample.called or (collecting and cause in (COMPUTING, UNKNOWN)):
        return GC
    return cause


def _cause_of(sample: Sample, home: str, computing: bool) -> Cause:
    inner = inner_steps(sample, home)
    names = [(package_of(s.file), s.name) for s in inner]
    special = _special(sample, names)
    if special is not UNKNOWN:
        return special
    for package, _ in names:  # the outermost library tells most
        for cause in _BY_PACKAGE:
            if package in cause.packages:
                return cause
    for called in sample.called:
        for cause in (DNS, TLS, *_BY_PACKAGE):
            if cause.calls and called.startswith(cause.calls):
                return cause
    return COMPUTING if computing else UNKNOWN


def _special(sample: Sample, inner: list[tuple[str, str]]) -> Cause:
    """Return what lies across packages, whatever it is called by."""
    files = [(s.file, s.name) for s in sample.steps[sample.begins :]]
    if any(_logs(file, name) for file, name in files):
        return LOGGING
    if any(name in _DNS_FUNCTIONS and p in ("socket", "tornado") for p, name in inner):
        return DNS
    if any(name in _TLS_FUNCTIONS for _, name in inner):
        return TLS
    if ("threading", "start") in inner:
        return THREAD_START
    for (package, name), step in zip(inner, inner_steps(sample)):
        file, functions = _COMPILERS.get(package, ("", frozenset()))
        if name in functions and step.file.endswith(file):
            return TEMPLATE
    if any(
        f.startswith("<frozen importlib") and n == "_load_unlocked" for f, n in files
    ):
        return IMPORT
    return UNKNOWN


def _logs(file: str, name: str) -> bool:
    """Whether a frame hands a record to a handler."""
    return name == "handle" and module_kind(file) == "stdlib" and "logging" in file


def advice_for(sample: Sample, cause: Cause, home: str = "") -> str:
    """Return what to do about it."""
    if cause in (GC, LOGGING, IMPORT, TEMPLATE, THREAD_START, MANY):
        return cause.advice
    if cause.computes:
        return COMPUTING.advice
    facade = _facade(sample, home)
    if sample.owner is None or not sample.serving:
        return _unserved(facade, cause)
    own = next((s for s in sample.steps[sample.begins :] if is_own(s, home)), None)
    if own is not None and own.coroutine:
        first = "await run_in_executor(fn, ...) around what blocks"
        return f"{first}, or await the .aio of {facade}" if facade else first
    elsewhere = _stays(sample.owner, own.name) if own is not None else ""
    if elsewhere:
        return elsewhere
    first = f"put @unblock on class {sample.owner.handler_class.__qualname__}"
    other = f"make it a coroutine that awaits the .aio of {facade}"
    return f"{first}, or {other}" if facade else first


def _stays(owner: Owner, method: str) -> str:
    """Return what to do where a class may be unblocked, and this method stays.

    "" where @unblock on the class moves it.
    """
    cls, verb = owner.handler_class, owner.verb.lower()
    known = _METHODS.get(method)
    if method in _NEVER_MOVED:
        name = cls.__qualname__
        return f"move it from {method} to prepare, and put @unblock on class {name}"
    if known is None or known.verb or not is_async(getattr(cls, verb, None)):
        return ""
    if known.result is Result.AT_ONCE:
        return (
            f"do it in prepare, with @unblock on that: {method} stays on the loop "
            f"thread, as {verb} is a coroutine"
        )
    return f"put @unblock on {cls.__qualname__}.{method}: {verb} is a coroutine"


def _unserved(facade: str, cause: Cause) -> str:
    if facade:
        return f"await the .aio of {facade}, or run_in_executor(fn, ...)"
    return cause.advice or "await run_in_executor(fn, ...) around what blocks"


def _facade(sample: Sample, home: str) -> str:
    """Return the name of the facade for what the program calls; "" if there is none."""
    inner = inner_steps(sample, home)
    called = [package_of(step.file) for step in inner]
    called += [name.partition(".")[0] for name in sample.called]
    for package in called:
        name = _FACADES.get(package)
        if name is not None and (package != "time" or "time.sleep" in sample.called):
            return f"tornado_unblock.shim.{name or package}"
    return ""
