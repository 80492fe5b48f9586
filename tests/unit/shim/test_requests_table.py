"""One table of calls, made with requests, and with the shim in both colours.

Compared is what the caller gets, down to the messages of exceptions, and what the
server got, byte for byte.
"""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional

import pytest
import requests as real
import urllib3

from tests.unit.shim.requests_peer import Peer, Seen, peer
from tornado_unblock.shim import requests as shim

pytestmark = [
    pytest.mark.allow_threads("peer-"),
    # Of verify=False; all three of them say it.
    pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with peer(tmp_path_factory.mktemp("peer")) as started:
        yield started
        shim.close()


@pytest.fixture(autouse=True)
def _no_proxies_of_the_machine(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", "/nowhere")


class Row(NamedTuple):
    """Calls made in a row: by the module's functions, or by one session."""

    name: str
    #: Each gives, for a peer: method, path or URL, keyword arguments.
    calls: tuple[Callable[[Peer], tuple[str, str, dict[str, Any]]], ...]
    #: Prepares the session, if there is one.
    session: Optional[Callable[[Any, Peer], None]] = None
    #: How a streamed body is read: the method's name, and its arguments.
    read: tuple[Any, ...] = ()
    environment: Optional[Callable[[Peer], dict[str, str]]] = None


def call(name: str, method: str, path: str, **kwargs: Any) -> Row:
    """Return a row of one call, whose arguments do not depend on the peer."""
    return Row(name, (lambda peer: (method, path, dict(kwargs)),))


def made(name: str, method: str, path: str, make: Callable[[Peer], Any]) -> Row:
    """Return a row of one call, whose arguments are made for it."""
    return Row(name, (lambda peer: (method, path, make(peer)),))


def streamed(name: str, path: str, *read: Any) -> Row:
    return Row(name, (lambda peer: ("GET", path, {"stream": True}),), read=read)


def session(
    name: str, setup: Callable[[Any, Peer], None], *paths: str, **kwargs: Any
) -> Row:
    """Return a row of several GET requests of one session."""
    calls = [lambda peer, path=path: ("GET", path, dict(kwargs)) for path in paths]
    return Row(name, tuple(calls), setup)


class BearerAuth(real.auth.AuthBase):
    def __call__(self, request: real.PreparedRequest) -> real.PreparedRequest:
        request.headers["Authorization"] = "Bearer x"
        return request


def pieces() -> Iterator[Any]:
    yield b"first,"
    yield b""
    yield "zweites, ü"


def failing() -> Iterator[bytes]:
    yield b"x" * 70000
    raise ZeroDivisionError("of the caller")


def note(response: Any, **kwargs: Any) -> None:
    response.headers["X-Hook"] = f"{response.text} {sorted(kwargs)}"


def mark(response: Any, **kwargs: Any) -> None:
    response.headers["X-Hook"] = "seen"


def replace(response: Any, **kwargs: Any) -> Any:
    other = type(response)()
    other.__dict__.update(vars(response), status_code=299)
    return other


def set_up(**attributes: Any) -> Callable[[Any, Peer], None]:
    def setup(session: Any, peer: Peer) -> None:
        for name, value in attributes.items():
            if isinstance(value, dict):
                getattr(session, name).update(value)
            else:
                setattr(session, name, value)

    return setup


def nothing(session: Any, peer: Peer) -> None:
    """Leave the session as it is made."""


def by_proxy(user: str = "") -> Callable[[Peer], dict[str, Any]]:
    return lambda peer: {
        "proxies": {
            "http": f"http://{user}127.0.0.1:{peer.port}",
            "https": f"http://{user}127.0.0.1:{peer.port}",
        },
        "verify": peer.certificate,
    }


ANSWERED = [
    "/",
    "/empty",
    "/nothing",
    "/text",
    "/latin",
    "/guess",
    "/json",
    "/json16",
    "/nojson",
    "/binary",
    "/large",
    "/gzip",
    "/gzip2",
    "/deflate",
    "/twice",
    "/unzippable",
    "/unknown-coding",
    "/chunked",
    "/chunked-gzip",
    "/until-closed",
    "/http10",
    "/reason",
    "/no-reason",
    "/odd-header",
    "/links",
    "/not-found",
    "/broken",
    "/teapot",
    "/unmodified",
    "/cookies",
]
REDIRECTS = ["301", "302", "303", "307", "308", "300"]

ROWS = [
    *(call(f"answer {path}", "GET", path) for path in ANSWERED),
    *(call(f"POST {n}", "POST", f"/{n}", data={"a": "1"}) for n in REDIRECTS),
    *(call(f"HEAD {n}", "HEAD", f"/{n}") for n in REDIRECTS[:3]),
    *(call(f"PUT {n}", "PUT", f"/{n}", data=b"abc") for n in REDIRECTS[:4]),
    *(call(verb, verb, "/echo") for verb in ("OPTIONS", "DELETE", "PATCH", "PUT")),
    call("HEAD", "HEAD", "/text"),
    call("own method", "purge", "/echo"),
    # -- the request -----------------------------------------------------------------
    call("params", "GET", "/echo", params={"a": [1, "ü &"], "b": None, "c": ""}),
    call("params added", "GET", "/echo?x=1#frag", params=[("y", 2), ("y", 3)]),
    call("params text", "GET", "/echo", params="raw=%20 yes"),
    call("odd path", "GET", "/ü/%7Euser/a%2Fb/../c d?q=ü|%zz"),
    call("form", "POST", "/echo", data={"a": "ü", "b": ["1", "2"], "c": None}),
    call("form list", "POST", "/echo", data=[("a", "1"), ("a", "2")]),
    call("text body", "POST", "/echo", data="plain ü"),
    call("bytes body", "PUT", "/echo", data=b"\x00\xff"),
    call("large body", "POST", "/echo", data=b"x" * 200_000),
    call("empty body", "POST", "/echo", data=b""),
    call("body of GET", "GET", "/echo", data=b"odd"),
    call("json", "POST", "/echo", json={"a": [1, None, "ü"]}),
    call("json null", "POST", "/echo", json=0),
    call("json own type", "PATCH", "/echo", json=1, headers={"content-type": "x/y"}),
    made("file", "POST", "/echo", lambda peer: {"data": opened(peer.both, "rb")}),
    made("text file", "POST", "/echo", lambda peer: {"data": io.StringIO("text")}),
    made("rest of file", "POST", "/echo", lambda peer: {"data": at(io.BytesIO, 3)}),
    made("generator", "POST", "/echo", lambda peer: {"data": pieces()}),
    made("failing generator", "POST", "/echo", lambda peer: {"data": failing()}),
    made("file redirected", "POST", "/307", lambda p: {"data": io.BytesIO(b"again")}),
    made("generator redirected", "POST", "/307", lambda peer: {"data": pieces()}),
    made("upload", "POST", "/echo", lambda peer: {"files": {"f": opened(peer.key)}}),
    call(
        "upload more",
        "POST",
        "/echo",
        files=[
            ("f", ("ü.txt", b"data", "text/plain", {"X-Part": "1"})),
            ("g", ("g.bin", io.BytesIO(b"\x00\x01").getvalue())),
            ("h", (None, "inline")),
        ],
        data={"field": ["1", "2"], "other": "ü"},
    ),
    call("headers", "GET", "/echo", headers={"X-A": "1", "accept": "x/y", "Host": "h"}),
    call("headers gone", "GET", "/echo", headers={"User-Agent": None, "Accept": None}),
    call("no coding", "GET", "/echo", headers={"Accept-Encoding": None}),
    call("header of bytes", "GET", "/echo", headers={b"X-B": "ü".encode()}),
    call("bad header", "GET", "/echo", headers={"X-A": "1\r\nX-B: 2"}),
    call("cookies", "GET", "/echo", cookies={"a": "1", "b": "x y"}),
    call("basic auth", "GET", "/echo", auth=("user", "pass:ü")),
    call("auth class", "GET", "/echo", auth=BearerAuth()),
    made("digest auth", "GET", "/digest", lambda peer: {"auth": digest()}),
    made("digest post", "POST", "/digest", lambda p: {"auth": digest(), "data": b"x"}),
    Row(
        "auth in URL",
        (lambda peer: ("GET", f"http://me:p%40@127.0.0.1:{peer.port}/echo", {}),),
    ),
    call("hook", "GET", "/text", hooks={"response": note}),
    call("hooks", "GET", "/text", hooks={"response": [note, replace]}),
    call("timeout given", "GET", "/text", timeout=(5, 5.5)),
    call("timeout object", "GET", "/text", timeout=urllib3.Timeout(total=9)),
    # -- redirects -------------------------------------------------------------------
    call("redirects", "GET", "/two?x=1"),
    call("fragment kept", "GET", "/302#here"),
    call("relative redirect", "GET", "/relative"),
    call("not followed", "POST", "/302", data=b"x", allow_redirects=False),
    call("cookies of redirects", "GET", "/cookie-redirect"),
    call("nothing to follow", "GET", "/", allow_redirects=False),
    call("other host", "GET", "/elsewhere", auth=("user", "secret")),
    call("same host", "GET", "/302", auth=("user", "secret")),
    call("loop", "GET", "/loop"),
    call("to another scheme", "GET", "/nowhere"),
    call("no location", "GET", "/no-location"),
    call("broken redirect", "GET", "/broken-redirect"),
    call("unzippable redirect", "GET", "/unzippable-redirect"),
    session("few redirects", set_up(max_redirects=1), "/two"),
    session("no redirects", set_up(max_redirects=0), "/302"),
    # -- what goes wrong -------------------------------------------------------------
    call("hangs up", "GET", "/hangs-up"),
    call("hangs up on POST", "POST", "/hangs-up", data=b"x"),
    call("resets", "GET", "/resets"),
    call("resets midway", "GET", "/resets-midway"),
    call("breaks off", "GET", "/breaks-off"),
    call("breaks off in a chunk", "GET", "/breaks-off-chunk"),
    call("bad status", "GET", "/bad-status"),
    call("read timeout", "GET", "/slow", timeout=0.2),
    call("stalls", "GET", "/stalls", timeout=(3, 0.2)),
    call("timeout pair too long", "GET", "/", timeout=(1, 2, 3)),
    call("timeout of zero", "GET", "/", timeout=0),
    call("timeout of text", "GET", "/", timeout="1"),
    call("nobody there", "GET", "http://127.0.0.1:1/x"),
    call("no scheme", "GET", "127.0.0.1/x"),
    call("other scheme", "GET", "ftp://127.0.0.1/x"),
    call("no host", "GET", "http:///x"),
    call("bad host", "GET", "http://.bad/x"),
    call("bad port", "GET", "http://127.0.0.1:99999/x"),
    call("bad json", "POST", "/", json={"a": float("nan")}),
    call("bad files", "POST", "/", data="x", files={"a": "b"}),
    call("unknown argument", "GET", "/", unknown=1),
    # -- TLS -------------------------------------------------------------------------
    Row("tls", (lambda p: ("GET", p.tls_url + "/echo", {"verify": p.certificate}),)),
    Row("tls untrusted", (lambda p: ("GET", p.tls_url + "/echo", {}),)),
    Row("unverified", (lambda p: ("GET", p.tls_url + "/echo", {"verify": False}),)),
    Row("no bundle", (lambda p: ("GET", p.tls_url, {"verify": "/nowhere.pem"}),)),
    Row("plain to tls", (lambda p: ("GET", f"https://127.0.0.1:{p.port}/", {}),)),
    Row(
        "client certificate",
        (
            lambda peer: (
                "GET",
                peer.mutual_url + "/echo",
                {"verify": peer.certificate, "cert": (peer.certificate, peer.key)},
            ),
        ),
    ),
    Row(
        "client certificate in one file",
        (
            lambda peer: (
                "GET",
                peer.mutual_url + "/echo",
                {"verify": peer.certificate, "cert": peer.both},
            ),
        ),
    ),
    Row(
        "bundle of the environment",
        (lambda p: ("GET", p.tls_url + "/echo", {}),),
        environment=lambda peer: {"REQUESTS_CA_BUNDLE": peer.certificate},
    ),
    # -- proxies ---------------------------------------------------------------------
    made("proxy", "GET", "http://127.0.0.2:9/echo?x=1", by_proxy()),
    made("proxy with auth", "GET", "http://127.0.0.2:9/echo", by_proxy("me:p%40@")),
    made("proxy and redirect", "GET", "http://127.0.0.2:9/302", by_proxy("me:p@")),
    made("tunnel", "GET", "https://localhost:9/echo", by_proxy()),
    made("tunnel refused", "GET", "https://forbidden:9/echo", by_proxy("me:p@")),
    call("no proxy there", "GET", "/", proxies={"http": "http://127.0.0.1:1"}),
    call("proxy without host", "GET", "/", proxies={"http": "http://"}),
    Row(
        "proxy of the environment",
        (lambda peer: ("GET", "http://127.0.0.2:9/echo", {}),),
        environment=lambda peer: {"http_proxy": f"127.0.0.1:{peer.port}"},
    ),
    Row(
        "no proxy for this host",
        (lambda peer: ("GET", "/echo", {}),),
        environment=lambda peer: {
            "http_proxy": "http://127.0.0.1:1",
            "no_proxy": "127.0.0.1",
        },
    ),
    # -- streaming -------------------------------------------------------------------
    streamed("pieces", "/large", "iter_content", 30_000),
    streamed("small pieces", "/text", "iter_content", 7),
    streamed("default pieces", "/http10", "iter_content"),
    streamed("decoded pieces", "/gzip", "iter_content", 5, True),
    streamed("pieces, no encoding", "/binary", "iter_content", 999, True),
    streamed("unzipped pieces", "/twice", "iter_content", 11),
    streamed("lines", "/text", "iter_lines"),
    streamed("short lines", "/text", "iter_lines", 6),
    streamed("text lines", "/gzip", "iter_lines", 9, True),
    streamed("lines by delimiter", "/text", "iter_lines", 8, False, b" "),
    streamed("pieces that break off", "/breaks-off", "iter_content", 3),
    streamed("pieces of a wrong size", "/text", "iter_content", "3"),
    streamed("nothing to stream", "/empty", "iter_content", 3),
    streamed("nothing read", "/large"),
    streamed("split characters", "/text", "iter_content", 1, True),
    streamed("cut character", "/cut", "iter_content", 2, True),
    streamed("lines to the end", "/lines", "iter_lines"),
    Row(
        "hook of a stream",
        (lambda p: ("GET", "/text", {"stream": True, "hooks": {"response": mark}}),),
        read=("iter_content", 5),
    ),
    # -- sessions --------------------------------------------------------------------
    session("session cookies", nothing, "/cookies", "/echo", "/cookie-redirect", "/"),
    session("cookies for once", nothing, "/echo", "/echo", cookies={"once": "1"}),
    session("own cookies", set_up(cookies={"mine": "1"}), "/echo", "/cookies"),
    session("own headers", set_up(headers={"X-Mine": "1", "Accept": None}), "/echo"),
    session("own params", set_up(params={"p": "1"}), "/echo", params={"q": "2"}),
    session("own auth", set_up(auth=("user", "pass")), "/echo", "/302"),
    session("own digest auth", lambda s, p: setattr(s, "auth", digest()), "/digest"),
    session("own hooks", set_up(hooks={"response": [note]}), "/text"),
    session("own verify", lambda s, p: setattr(s, "verify", p.certificate), "/echo"),
    session(
        "own proxies",
        lambda s, p: s.proxies.update(http=f"http://127.0.0.1:{p.port}"),
        "http://127.0.0.2:9/echo",
    ),
    session("distrust", set_up(trust_env=False), "/echo"),
    session(
        "retries of nothing",
        lambda s, p: s.mount("http://", real.adapters.HTTPAdapter(max_retries=0)),
        "/echo",
    ),
]


def digest() -> real.auth.HTTPDigestAuth:
    return real.auth.HTTPDigestAuth("user", "pass")


def opened(path: str, mode: str = "r") -> Any:
    return Path(path).open(mode)


def at(kind: Any, position: int) -> Any:
    file = kind(b"0123456789")
    file.seek(position)
    return file


# -- making the calls ----------------------------------------------------------------


def in_sync(module: Any, row: Row, peer: Peer) -> list[Any]:
    """Make a row's calls, one after the other, and describe what comes of them."""
    results = []
    session = prepared(module, row, peer)
    for step in row.calls:
        method, url, kwargs = target(step, peer)
        try:
            response = session.request(method, url, **kwargs)
            chunks = []
            if row.read:
                chunks = list(getattr(response, row.read[0])(*row.read[1:]))
            results.append((described(response, kwargs), chunks))
            response.close()
        except Exception as error:
            results.append(blamed(error))
        finish(kwargs)
    return results


async def awaited(row: Row, peer: Peer) -> list[Any]:
    """Make them in a coroutine."""
    results = []
    session = prepared(shim, row, peer)
    for step in row.calls:
        method, url, kwargs = target(step, peer)
        try:
            async with await session.request.aio(method, url, **kwargs) as response:
                chunks = []
                if row.read:
                    read = getattr(response, row.read[0])(*row.read[1:])
                    chunks = [chunk async for chunk in read]
                results.append((described(response, kwargs), chunks))
        except Exception as error:
            results.append(blamed(error))
        finish(kwargs)
    return results


def prepared(module: Any, row: Row, peer: Peer) -> Any:
    if row.session is None:
        return module
    session = module.Session()
    row.session(session, peer)
    return session


def target(step: Any, peer: Peer) -> tuple[str, str, dict[str, Any]]:
    method, url, kwargs = step(peer)
    if url.startswith("/"):
        url = peer.url + url
    return method, url, kwargs


def finish(kwargs: dict[str, Any]) -> None:
    for file in (kwargs.get("data"), *dict(kwargs.get("files") or ()).values()):
        if hasattr(file, "close"):
            file.close()


# -- describing what came of them ----------------------------------------------------


def described(response: Any, kwargs: dict[str, Any], deep: bool = True) -> Any:
    """Return all there is to know about a response."""
    streams = kwargs.get("stream")
    assert response.elapsed.total_seconds() >= 0
    return {
        "status": (response.status_code, response.reason, response.ok, bool(response)),
        "url": response.url,
        "headers": list(response.headers.items()),
        "encoding": response.encoding,
        "cookies": sorted((c.name, c.value, c.domain) for c in response.cookies),
        "links": response.links,
        "kind": (response.is_redirect, response.is_permanent_redirect),
        "next": deep and response.next and asked(response.next),
        "request": asked(response.request),
        "repr": repr(response),
        "raised": outcome(response.raise_for_status),
        "body": None if streams or not deep else body(response),
        # That of the history holds itself in some versions of requests.
        "history": deep and [described(r, {}, False) for r in response.history],
    }


def body(response: Any) -> dict[str, Any]:
    return {
        "content": response.content,
        "text": response.text,
        "apparent": response.apparent_encoding,
        "json": outcome(response.json),
        "pieces": list(response.iter_content(9)),
        "lines": outcome(lambda: list(response.iter_lines(decode_unicode=True))),
        "whole": b"".join(response),
    }


def outcome(fn: Callable[[], Any]) -> Any:
    try:
        return fn()
    except Exception as error:
        return blamed(error)


def asked(request: Any) -> Any:
    text = request.body if isinstance(request.body, (str, bytes)) else None
    return request.method, same(request.url), same(request.headers), same(text)


def blamed(error: Any) -> Any:
    """Return what an exception says: its class, its text, and those inside it."""
    request, response = getattr(error, "request", None), None
    if getattr(error, "response", None) is not None:
        response = (error.response.status_code, len(error.response.history))
    told = re.sub(r"HTTPS?Connection(Pool)?\(", "Connection(", str(error))
    told = re.sub(r" at 0x\w+", "", told)
    inner = getattr(error.args[0] if error.args else None, "reason", None)
    return type(error), told, type(inner), request and request.url, response


def same(value: Any) -> Any:
    """Return a text without what is random in it."""
    text = value if isinstance(value, bytes) else str(value).encode()
    text = re.sub(rb"\b[0-9a-f]{32}\b", b"BOUNDARY", text)
    return re.sub(rb'(cnonce|response)="\w+"', rb"\1=RANDOM", text)


# -- where awaited calls differ ------------------------------------------------------

#: The exception has another text.
OWN_WORDS = {
    "breaks off in a chunk",
    "bad status",
    "resets midway",
    "nobody there",
    "timeout pair too long",
    "no proxy there",
    "proxy without host",
    "pieces of a wrong size",
}


def told(result: Any, name: str) -> Any:
    """Return a result without what awaited calls are free to do otherwise."""
    if not isinstance(result[0], type):
        return result
    # They set `request` on exceptions where requests sometimes does not.
    kind, text, reason, _, response = result
    return kind, name in OWN_WORDS or text, reason, response


def unordered(seen: Seen) -> Any:
    """Return a request without the order of its headers."""
    if seen.method == "CONNECT":
        return seen.target, seen.header("Proxy-Authorization")
    first, *headers = seen.head.split(b"\r\n")
    return first, sorted(headers), seen.body


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_same_as_requests(row: Row, server: Peer, monkeypatch) -> None:
    """Both colours give what requests gives, and send what it sends."""
    environment = row.environment(server) if row.environment else {}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    got, sent = [], []
    for make in (
        lambda: in_sync(real, row, server),
        lambda: in_sync(shim, row, server),
        lambda: asyncio.run(awaited(row, server)),
    ):
        before = len(server.seen)
        got.append(make())
        sent.append([Seen(same(s.head), same(s.body)) for s in server.seen[before:]])
    assert got[1] == got[0]
    assert sent[1] == sent[0]
    assert [told(g, row.name) for g in got[2]] == [told(g, row.name) for g in got[0]]
    assert [unordered(seen) for seen in sent[2]] == [unordered(s) for s in sent[0]]


def test_the_table_is_long_enough():
    """It covers what is promised to be compared."""
    assert len({row.name for row in ROWS}) == len(ROWS) >= 70
