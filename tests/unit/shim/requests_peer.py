"""A server for the tests of `shim.requests`: it records every byte it is sent.

What it answers is bytes, too, so that it can be as broken as a test wants. It speaks
plainly or over TLS, and is its own proxy: it answers whatever URL it is asked for, and
behind a CONNECT it goes on over TLS.
"""

from __future__ import annotations

import gzip
import re
import socket
import ssl
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional, Union

from tornado_unblock._executors.threads import start_thread

#: Of tests only: 127.0.0.1 and localhost, until 2120; its own authority.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBdzCCAR6gAwIBAgICSm8wCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJMTI3LjAu
MC4xMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAUMRIwEAYDVQQD
DAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARIOp0m3gcPRlDS
j2boGiP0Zkakwca2VwOQp96u5LdEVCK+xdLJd2B9lRt5mLiThwItehFx4cT0rCmt
GIuAVF5Xo14wXDAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwIBhjAdBgNV
HQ4EFgQUH2HZaNb8dbpZDU4/uMljkp9zi04wGgYDVR0RBBMwEYcEfwAAAYIJbG9j
YWxob3N0MAoGCCqGSM49BAMCA0cAMEQCHzLURrFv64Ia4gNMewtW9bTCmnQ7HdyF
2BlcdFYBg5YCIQCNX5UllQNkArvibR5F6X06E9RCMR9LJkAXGa8ZHa4h3A==
-----END CERTIFICATE-----
"""
KEY = """\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIOPzD1Fwr/E4exrBsP1bvNvTF6Wn2hySnsSp3zU9vacdoAoGCCqGSM49
AwEHoUQDQgAESDqdJt4HD0ZQ0o9m6Boj9GZGpMHGtlcDkKferuS3RFQivsXSyXdg
fZUbeZi4k4cCLXoRceHE9KwprRiLgFReVw==
-----END EC PRIVATE KEY-----
"""
#: Longer than any test: what is never answered is awaited by a deadline of the test.
PATIENCE = 30.0


class Seen(NamedTuple):
    """One request, as it came."""

    head: bytes
    body: bytes

    @property
    def target(self) -> str:
        return self.head.split(b" ", 2)[1].decode("latin-1")

    @property
    def path(self) -> str:
        return re.sub(r"^https?://[^/]*", "", self.target).partition("?")[0]

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode("latin-1")

    def header(self, name: str) -> Optional[str]:
        pattern = rb"(?im)^" + name.encode() + rb": (.*)\r$"
        found = re.search(pattern, self.head)
        return found[1].decode("latin-1") if found else None


class Close(NamedTuple):
    """An answer after which the connection ends, with a reset if so wished."""

    data: bytes
    reset: bool = False


class Wait(NamedTuple):
    """An answer of which the rest never comes."""

    data: bytes


class Pause(NamedTuple):
    """An answer that comes in two parts."""

    data: bytes
    rest: bytes


Answer = Union[bytes, Close, Wait, Pause]


def answer(
    body: Union[bytes, str] = b"", status: str = "200 OK", *headers: str
) -> bytes:
    """Return a whole response."""
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(data)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + data


def chunked(*pieces: bytes, headers: tuple[str, ...] = (), end: bytes = b"0\r\n\r\n"):
    """Return a response in chunks."""
    lines = ["HTTP/1.1 200 OK", *headers, "Transfer-Encoding: chunked", "", ""]
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return "\r\n".join(lines).encode("latin-1") + body + end


def redirect(status: str, location: str, *headers: str) -> bytes:
    return answer("moved", status, f"Location: {location}", *headers)


TEXT = "Grüße, 世界\r\nline two\nline three, the last"
ZIPPED = gzip.compress(TEXT.encode(), mtime=0)
RAW_DEFLATE = zlib.compress(TEXT.encode())[2:-4]
UTF8 = "Content-Type: text/plain; charset=utf-8"
JSON = "Content-Type: application/json"

ANSWERS: dict[str, Union[Answer, Callable[[Seen], Answer]]] = {
    "/": answer("hello", "200 OK", "Content-Type: text/plain", "X-Two: 1", "x-two: 2"),
    "/empty": answer(b"", "204 No Content"),
    "/nothing": answer(b""),
    "/text": answer(TEXT, "200 OK", UTF8),
    "/lines": answer("one\ntwo\n", "200 OK", UTF8),
    "/cut": answer("ü".encode() * 9 + b"\xc3", "200 OK", UTF8),
    "/latin": answer("Grüße".encode("latin-1"), "200 OK", "Content-Type: text/plain"),
    "/guess": answer("Привет, мир. " * 20, "200 OK", "Content-Type: text/x"),
    "/json": answer('{"a": [1, "ü"]}', "200 OK", JSON),
    "/json16": answer('{"a": "ü"}'.encode("utf-16"), "200 OK", JSON),
    "/nojson": answer("{", "200 OK", JSON),
    "/binary": answer(bytes(range(256)) * 40),
    "/large": answer(b"0123456789abcdef" * 8192),
    "/gzip": answer(ZIPPED, "200 OK", UTF8, "Content-Encoding: gzip"),
    "/gzip2": answer(ZIPPED + ZIPPED, "200 OK", UTF8, "Content-Encoding: gzip"),
    "/deflate": answer(RAW_DEFLATE, "200 OK", UTF8, "Content-Encoding: deflate"),
    "/twice": answer(
        gzip.compress(ZIPPED, mtime=0), "200 OK", UTF8, "Content-Encoding: gzip, gzip"
    ),
    "/unzippable": answer(b"not zipped", "200 OK", "Content-Encoding: gzip"),
    "/unknown-coding": answer(b"as it is", "200 OK", "Content-Encoding: x-odd"),
    "/chunked": chunked(b"one,", b"two,", b"three"),
    "/chunked-gzip": chunked(
        ZIPPED[:9], ZIPPED[9:], headers=(UTF8, "Content-Encoding: gzip")
    ),
    "/until-closed": Close(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"),
    "/http10": Close(b"HTTP/1.0 200 Fine\r\nContent-Length: 3\r\n\r\nold"),
    "/reason": answer(b"", "404 Nicht gefunden: \xfc"),
    "/no-reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    "/odd-header": answer(b"", "200 OK", "X-Odd: \xfc\xff", "X-Empty:"),
    "/links": answer(
        b"", "200 OK", 'Link: </2>; rel="next", </9>; rel="last"; title="end"'
    ),
    "/not-found": answer("no", "404 Not Found"),
    "/broken": answer("oh", "500 Internal Server Error"),
    "/teapot": answer("short", "418 I'm a teapot"),
    "/unmodified": b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
    "/cookies": answer(
        b"",
        "200 OK",
        "Set-Cookie: a=1; Path=/",
        "Set-Cookie: b=two; Path=/echo",
        "Set-Cookie: gone=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "Set-Cookie: far=x; Domain=example.com",
    ),
    "/301": redirect("301 Moved Permanently", "/echo"),
    "/302": redirect("302 Found", "/echo"),
    "/303": redirect("303 See Other", "/echo"),
    "/307": redirect("307 Temporary Redirect", "/echo"),
    "/308": redirect("308 Permanent Redirect", "/echo"),
    "/300": redirect("300 Multiple Choices", "/echo"),
    "/relative": redirect("302 Found", "a/../echo?x=%7e%c3%bc y#frag"),
    "/cookie-redirect": redirect("302 Found", "/echo", "Set-Cookie: via=1; Path=/"),
    "/loop": redirect("302 Found", "/loop"),
    "/two": redirect("302 Found", "/301"),
    "/nowhere": redirect("302 Found", "ftp://127.0.0.1/"),
    "/no-location": answer("?", "302 Found"),
    "/broken-redirect": Close(redirect("302 Found", "/echo")[:-2]),
    "/unzippable-redirect": redirect("302 Found", "/echo", "Content-Encoding: gzip"),
    "/elsewhere": lambda seen: redirect(
        "302 Found",
        f"http://localhost:{port_of(seen)}/echo",
    ),
    "/hangs-up": Close(b""),
    "/resets": Close(b"", reset=True),
    "/breaks-off": Close(answer(b"0123456789")[:-4]),
    "/resets-midway": Close(answer(b"0123456789")[:-4], reset=True),
    "/breaks-off-chunk": Close(chunked(b"whole", end=b"5\r\nha")),
    "/bad-status": Close(b"what is this?\r\n\r\n"),
    "/slow": Wait(b""),
    "/stalls": Wait(answer(b"0123456789")[:-4]),
    "/proxied/": answer("by proxy"),
}


def port_of(seen: Seen) -> str:
    return (seen.header("Host") or "").split(":")[-1]


def _echo(seen: Seen) -> bytes:
    """Say which parts of the request came."""
    text = f"{seen.method} {seen.path} {len(seen.body)} {seen.header('Cookie')}"
    return answer(text, "200 OK", UTF8)


def _authorized(seen: Seen) -> bytes:
    if (seen.header("Authorization") or "").startswith("Digest "):
        return answer("let in", "200 OK", "Set-Cookie: in=1")
    challenge = 'Digest realm="r", nonce="0a4f", qop="auth", algorithm=MD5'
    return answer(
        "who?",
        "401 Unauthorized",
        f"WWW-Authenticate: {challenge}",
        "Set-Cookie: asked=1",
    )


_zipped = answer(ZIPPED, "200 OK", UTF8, "Content-Encoding: gzip")
ANSWERS["/two-parts"] = Pause(_zipped[: 5 - len(ZIPPED)], _zipped[5 - len(ZIPPED) :])
ANSWERS["/echo"] = _echo
ANSWERS["/digest"] = _authorized


class Peer:
    """The server; one thread per connection."""

    def __init__(self, files: Path) -> None:
        #: Released for what a `Pause` waits for.
        self.go_on = threading.Semaphore(0)
        self.certificate = str(files / "peer.pem")
        self.key = str(files / "peer.key")
        Path(self.certificate).write_text(CERTIFICATE)
        Path(self.key).write_text(KEY)
        Path(files / "both.pem").write_text(CERTIFICATE + KEY)
        self.both = str(files / "both.pem")
        self.seen: list[Seen] = []
        self.connections = 0
        self.asked = threading.Semaphore(0)
        self.closed = threading.Semaphore(0)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(self.certificate, self.key)
        self.mutual_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.mutual_tls.load_cert_chain(self.certificate, self.key)
        self.mutual_tls.load_verify_locations(self.certificate)
        self.mutual_tls.verify_mode = ssl.CERT_REQUIRED
        self._listeners: list[socket.socket] = []
        self._open: set[socket.socket] = set()
        self.port = self._listen(None)
        self.tls_port = self._listen(self.tls)
        self.mutual_port = self._listen(self.mutual_tls)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"https://127.0.0.1:{self.tls_port}"

    @property
    def mutual_url(self) -> str:
        return f"https://127.0.0.1:{self.mutual_port}"

    def close(self) -> None:
        for sock in (*self._listeners, *list(self._open)):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for sock in self._listeners:
            sock.close()

    def _listen(self, tls: Optional[ssl.SSLContext]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        self._listeners.append(listener)
        start_thread(lambda: self._accept(listener, tls), "peer-listener")
        return int(listener.getsockname()[1])

    def _accept(self, listener: socket.socket, tls: Optional[ssl.SSLContext]) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            start_thread(lambda sock=sock: self._serve(sock, tls), "peer-connection")

    def _serve(self, sock: socket.socket, tls: Optional[ssl.SSLContext]) -> None:
        with suppress(OSError, EOFError):
            sock.settimeout(PATIENCE)
            if tls is not None:
                sock = _wrap(sock, tls)
            self._open.add(sock)
            while True:
                seen = _read(sock)
                self.seen.append(seen)
                self.asked.release()
                if seen.method == "CONNECT":
                    sock = self._tunnel(sock, seen)
                elif not self._give(sock, ANSWERS.get(seen.path, answer()), seen):
                    break
        self._open.discard(sock)
        sock.close()
        self.closed.release()

    def _tunnel(self, sock: socket.socket, seen: Seen) -> socket.socket:
        if seen.target.startswith("forbidden"):
            sock.sendall(answer(b"", "407 Proxy Authentication Required"))
            raise EOFError
        sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return _wrap(sock, self.tls)

    def _give(self, sock: socket.socket, what: Any, seen: Seen) -> bool:
        if callable(what):
            what = what(seen)
        data = what if isinstance(what, bytes) else what.data
        if seen.method == "HEAD":
            data = data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        sock.sendall(data)
        if isinstance(what, Pause):
            self.go_on.acquire(timeout=PATIENCE)
            sock.sendall(what.rest)
        if isinstance(what, Wait):
            # Until the client has had enough.
            while sock.recv(65536):
                pass
        if isinstance(what, Close) and what.reset:
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        return isinstance(what, (bytes, Pause))


def _wrap(sock: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
    try:
        return tls.wrap_socket(sock, server_side=True)
    except OSError:
        sock.close()
        raise


def _read(sock: socket.socket) -> Seen:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(sock)
        if data.startswith(b"\x16"):
            # TLS, of which this side knows nothing.
            sock.sendall(answer(b"", "400 Bad Request"))
            raise EOFError
    head, _, body = data.partition(b"\r\n\r\n")
    seen = Seen(head + b"\r\n", body)
    if (seen.header("Transfer-Encoding") or "").lower() == "chunked":
        while not body.endswith(b"0\r\n\r\n"):
            body += _more(sock)
    while len(body) < int(seen.header("Content-Length") or 0):
        body += _more(sock)
    return Seen(seen.head, body)


def _more(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise EOFError
    return data


@contextmanager
def peer(files: Path) -> Iterator[Peer]:
    """Serve for as long as the block lasts."""
    server = Peer(files)
    try:
        yield server
    finally:
        server.close()
