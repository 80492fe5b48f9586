"""`shim.smtplib`: mail sent in both colours, to a real server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import smtplib as original
import socket
import ssl
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Optional

import aiosmtplib
import pytest

from tests.patience import WAIT
from tests.unit.shim.conftest import in_coroutine, in_foreign_thread, in_worker
from tests.unit.shim.requests_peer import CERTIFICATE, KEY
from tornado_unblock import LoopThreadError
from tornado_unblock.shim import smtplib

# aiosmtplib 4, the last one for Python 3.9, forgets a Future when it cannot connect.
if int(aiosmtplib.__version__.partition(".")[0]) < 5:
    pytestmark = pytest.mark.allow_log("asyncio", "never retrieved")


class Peer:
    """A small SMTP server; a thread for each connection.

    Args:
        tls: For STARTTLS, or from the start.
        answers: What to answer to commands that begin so, instead of the usual; None:
            nothing.
    """

    def __init__(self, tls: Optional[ssl.SSLContext] = None, **answers: Any) -> None:
        self.tls, self.answers = tls, answers
        self.at_once = False
        self.extensions = ["8BITMIME", "SMTPUTF8", "AUTH PLAIN LOGIN"]
        self.lines: list[str] = []
        self.mails: list[bytes] = []
        self.gone = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(WAIT)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=[sock])
                self._threads.append(thread)
                thread.start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(WAIT)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(lambda: sock.close())
            if self.at_once:
                sock = self._wrap(sock)
            self._say(sock, "greeting", "220 hello")
            file = sock.makefile("rb")
            while line := file.readline():
                text = line.decode().strip()
                self.lines.append(text)
                verb = text.split()[0].lower()
                if verb == "starttls" and self._say(sock, verb, "220 go"):
                    sock = self._wrap(sock)
                    file = sock.makefile("rb")
                elif verb == "data" and self._say(sock, verb, "354 go"):
                    lines = iter(file.readline, b".\r\n")
                    self.mails.append(b"".join(lines))
                    self._say(sock, "end", "250 kept")
                elif verb in ("starttls", "data"):
                    continue
                elif self._other(sock, verb, text):
                    break
        self.gone.set()

    def _other(self, sock: socket.socket, verb: str, text: str) -> bool:
        usual = "250 fine"
        if verb == "ehlo":
            more = [*self.extensions, *(["STARTTLS"] if self.tls else [])]
            usual = "\r\n".join(["250-here", *(f"250-{x}" for x in more), "250 X"])
        elif verb == "auth":
            good = base64.b64encode(b"\0me\0secret").decode() in text
            usual = "235 welcome" if good else "535 who?"
        elif verb == "rcpt" and "<no" in text:
            usual = "550 nobody"
        elif verb == "quit":
            usual = "221 bye"
        self._say(sock, verb, usual)
        return verb == "quit" or self.answers.get(verb) == "drop"

    def _say(self, sock: socket.socket, verb: str, usual: str) -> bool:
        text = self.answers.get(verb, usual)
        if text not in (None, "drop"):
            sock.sendall(f"{text}\r\n".encode())
        return text == usual

    def _wrap(self, sock: socket.socket) -> socket.socket:
        assert self.tls is not None
        return self.tls.wrap_socket(sock, server_side=True)


@pytest.fixture
def peer() -> Iterator[Any]:
    """Make servers that end with the test."""
    peers: list[Peer] = []

    def make(*args: Any, **answers: Any) -> Peer:
        peers.append(Peer(*args, **answers))
        return peers[-1]

    yield make
    for one in peers:
        one.close()


@pytest.fixture
def contexts(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's TLS context, and one of clients that trust it."""
    (tmp_path / "both.pem").write_text(CERTIFICATE + KEY)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(tmp_path / "both.pem")
    return theirs, ssl.create_default_context(cadata=CERTIFICATE)


def mail(to: str = "a@x, b@x", text: str = "Dear all,\n.\n") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Bcc"] = "me@x", to, "c@x"
    message["Subject"] = "News"
    message.set_content(text)
    return message


def sync(*args: Any, **options: Any) -> Any:
    return smtplib.send(*args, hostname="127.0.0.1", **options)


def awaited(*args: Any, **options: Any) -> Any:
    return in_coroutine(
        lambda: smtplib.send.aio(*args, hostname="127.0.0.1", **options)
    )


each_colour = pytest.mark.parametrize("send", [sync, awaited], ids=lambda f: f.__name__)


@pytest.mark.parametrize("text", ["Dear all,\n.\n", "Ärger\n"])
def test_the_same_on_the_wire(peer, text):
    """Both colours send what the standard library sends, byte for byte."""
    seen = []
    for send in (sync, awaited):
        server = peer()
        send(mail(text=text), port=server.port, local_hostname="us")
        seen.append((server.lines, server.mails))
    server = peer()
    with original.SMTP("127.0.0.1", server.port, local_hostname="us") as client:
        client.send_message(mail(text=text))
    for lines, mails in seen:
        assert mails == server.mails
        assert [x.lower() for x in lines] == [x.lower() for x in server.lines]
    assert b"Bcc" not in server.mails[0]
    assert "ehlo us" in server.lines


@each_colour
@pytest.mark.parametrize("place", [in_foreign_thread, in_worker])
def test_from_threads(place, send, peer):
    """From workers and from other threads."""
    server = peer()
    assert place(lambda: send(mail(), port=server.port)) == {}
    assert len(server.mails) == 1


@each_colour
def test_addresses(send, peer):
    """The envelope may differ from the message; refused recipients are returned."""
    server = peer()
    refused = send(
        mail(),
        "you@x",
        ["no@x", "d@x"],
        ["BODY=8BITMIME"],
        ["NOTIFY=NEVER"],
        port=server.port,
    )
    assert refused == {"no@x": (550, b"nobody")}
    lines = [line.lower() for line in server.lines]
    assert any("from:<you@x>" in x and "body=8bitmime" in x for x in lines)
    assert "rcpt to:<d@x> notify=never" in lines


@each_colour
def test_international_addresses(send, peer):
    """They need a server that can do it."""
    server = peer()
    assert send(mail(to="ä@x"), port=server.port) == {}
    assert any("smtputf8" in line.lower() for line in server.lines)
    server.extensions = []
    with pytest.raises(smtplib.SMTPNotSupportedError, match="SMTPUTF8"):
        send(mail(to="ä@x"), port=server.port)
    with pytest.raises(smtplib.SMTPNotSupportedError, match="SMTPUTF8"):
        send(mail(), mail_options=["SMTPUTF8"], port=server.port)


@each_colour
def test_login(send, peer):
    """Who is not let in gets the standard library's error."""
    server = peer()
    account = {"username": "me", "password": "secret"}
    assert send(mail(), port=server.port, **account) == {}
    server.extensions = ["AUTH PLAIN"]
    with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
        send(mail(), port=server.port, username="me", password="wrong")
    assert (caught.value.smtp_code, caught.value.smtp_error) == (535, b"who?")
    server.extensions = ["AUTH RUNES"]
    with pytest.raises(smtplib.SMTPException, match=r"(?i)no suitable auth"):
        send(mail(), port=server.port, **account)
    server.extensions = []
    with pytest.raises(smtplib.SMTPNotSupportedError):
        send(mail(), port=server.port, **account)


@each_colour
def test_tls(send, peer, contexts):
    """STARTTLS and TLS from the start; certificates are checked."""
    theirs, ours = contexts
    server = peer(theirs)
    assert send(mail(), port=server.port, start_tls=True, context=ours) == {}
    assert "STARTTLS" in [line.upper() for line in server.lines]
    with pytest.raises(ssl.SSLCertVerificationError):
        send(mail(), port=server.port, start_tls=True)
    server.at_once = True
    assert send(mail(), port=server.port, use_tls=True, context=ours) == {}
    with pytest.raises(ssl.SSLCertVerificationError):
        send(mail(), port=server.port, use_tls=True)
    assert len(server.mails) == 2


@each_colour
@pytest.mark.parametrize(
    ("answers", "error", "code"),
    [
        ({"greeting": "421 later"}, "SMTPConnectError", 421),
        ({"ehlo": "500 no", "helo": "501 no"}, "SMTPHeloError", 501),
        ({"mail": "551 no"}, "SMTPSenderRefused", 551),
        ({"data": "554 no"}, "SMTPDataError", 554),
        ({"end": "552 no"}, "SMTPDataError", 552),
        ({"data": "drop"}, "SMTPServerDisconnected", None),
        ({"mail": "drop"}, "SMTPServerDisconnected", None),
        ({"mail": None}, "SMTPServerDisconnected", None),
    ],
)
def test_refusals(send, answers, error, code, peer):
    """What the server refuses is the standard library's error."""
    server = peer(**answers)
    timeout = 0.2 if None in answers.values() or "data" in answers else WAIT
    with pytest.raises(original.SMTPException) as caught:
        send(mail(), port=server.port, timeout=timeout)
    assert type(caught.value).__name__ == error
    assert getattr(caught.value, "smtp_code", None) == code


@each_colour
def test_all_recipients_refused(send, peer):
    """Each with its reason."""
    server = peer()
    with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
        send(mail(), recipients="no@x", port=server.port)
    assert caught.value.recipients == {"no@x": (550, b"nobody")}


@each_colour
def test_no_starttls(send, peer):
    """Nothing is sent where it was asked for and cannot be had."""
    server = peer()
    with pytest.raises(smtplib.SMTPNotSupportedError):
        send(mail(), port=server.port, start_tls=True)
    assert server.mails == []


@each_colour
def test_no_connection(send):
    """Errors of the network are those of the network."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        send(mail(), port=port)
    with pytest.raises(socket.gaierror):
        smtplib.send(mail(), hostname="nowhere.invalid")
    with pytest.raises(socket.gaierror):
        in_coroutine(lambda: smtplib.send.aio(mail(), hostname="nowhere.invalid"))


@each_colour
def test_a_silent_server(send, peer):
    """A server that never greets is given up after the timeout."""
    server = peer(greeting=None)
    with pytest.raises((socket.timeout, smtplib.SMTPServerDisconnected)):
        send(mail(), port=server.port, timeout=0.05)


def test_cancelled(peer):
    """The connection is closed at once."""
    server = peer(data=None)

    async def main() -> None:
        task = asyncio.ensure_future(
            smtplib.send.aio(mail(), hostname="127.0.0.1", port=server.port)
        )
        while "DATA" not in server.lines:  # noqa: ASYNC110 - another thread's
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main(), debug=True)
    assert server.gone.wait(WAIT)


@pytest.mark.parametrize(
    ("options", "port"),
    [({}, 25), ({"use_tls": True}, 465), ({"start_tls": True}, 587), ({"port": 7}, 7)],
)
def test_ports(options, port):
    """The usual ones are the default."""
    assert smtplib._account(**options).port == port


@each_colour
def test_misuse(send):
    """Options that make no sense together are refused."""
    with pytest.raises(ValueError, match="exclude each other"):
        send(mail(), use_tls=True, start_tls=True)
    with pytest.raises(ValueError, match="go together"):
        send(mail(), username="me")


def test_on_a_loop_thread():
    """There it must be awaited."""

    async def main() -> None:
        with pytest.raises(LoopThreadError, match=r"send\.aio"):
            smtplib.send(mail())

    in_coroutine(main)


def test_all_else():
    """Every other name is the standard library's."""
    assert smtplib.SMTP is original.SMTP
    assert smtplib.SMTPException is original.SMTPException
    with pytest.raises(AttributeError, match="nothing"):
        _ = smtplib.nothing
