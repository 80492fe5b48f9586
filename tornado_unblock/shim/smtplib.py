"""`smtplib`, and `send` for both colours; awaited, on aiosmtplib (extra: ``smtplib``).

    from tornado_unblock.shim import smtplib       # instead of: import smtplib

    refused = smtplib.send(message, hostname="mail.example")
    refused = await smtplib.send.aio(message, hostname="mail.example")

All else is the standard library's, `SMTP` too; its classes are what `send` raises.
"""

from __future__ import annotations

import functools
import smtplib as _smtplib
import socket
import ssl
from collections.abc import Sequence
from email.message import Message
from typing import Any, NamedTuple, Optional, Union

from tornado_unblock.shim._crossing.dual import pair
from tornado_unblock.shim._crossing.wait import call

try:
    import aiosmtplib
except ImportError as error:  # pragma: no cover - the tests have it
    raise ImportError(
        "tornado_unblock.shim.smtplib needs aiosmtplib: "
        "pip install 'tornado-unblock[smtplib]'"
    ) from error

Refused = dict[str, tuple[int, bytes]]


class _Account(NamedTuple):
    """Where to send, and as whom."""

    hostname: str
    port: int
    username: Optional[str]
    password: Optional[str]
    use_tls: bool
    start_tls: bool
    context: Optional[ssl.SSLContext]
    local_hostname: Optional[str]
    timeout: float


def _account(
    hostname: str = "localhost",
    port: int = 0,
    *,
    username: Optional[str] = None,
    password: Optional[str] = None,
    use_tls: bool = False,
    start_tls: bool = False,
    context: Optional[ssl.SSLContext] = None,
    local_hostname: Optional[str] = None,
    timeout: float = 60.0,
) -> _Account:
    if use_tls and start_tls:
        raise ValueError("use_tls and start_tls exclude each other")
    if (username is None) != (password is None):
        raise ValueError("username and password go together")
    port = port or (465 if use_tls else 587 if start_tls else 25)
    return _Account(
        hostname,
        port,
        username,
        password,
        use_tls,
        start_tls,
        context,
        local_hostname,
        timeout,
    )


class _Envelope(NamedTuple):
    """What `smtplib.SMTP.send_message` makes of its arguments."""

    sender: str
    recipients: Any
    data: Any
    mail_options: Sequence[str]
    rcpt_options: Sequence[str]


class _Packer(_smtplib.SMTP):
    """The standard library's reading of a message, without a connection."""

    envelope: _Envelope

    def __init__(self, has_extension: Any) -> None:
        super().__init__(local_hostname="localhost")
        self._has_extension = has_extension

    def ehlo_or_helo_if_needed(self) -> None:
        """It is done already, by who asks."""

    def has_extn(self, opt: str) -> bool:
        """Whether the server can do it."""
        return bool(self._has_extension(opt))

    def sendmail(
        self,
        from_addr: str,
        to_addrs: Any,
        msg: Any,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
    ) -> Refused:
        """Keep what should be sent."""
        self.envelope = _Envelope(from_addr, to_addrs, msg, mail_options, rcpt_options)
        return {}


def _send(
    message: Message,
    sender: Optional[str] = None,
    recipients: Union[str, Sequence[str], None] = None,
    mail_options: Sequence[str] = (),
    rcpt_options: Sequence[str] = (),
    **where: Any,
) -> Refused:
    """Send a message over a connection of its own; not on a loop thread.

    Args:
        message: The message, as for ``smtplib.SMTP.send_message``.
        sender: The address it comes from; by default that in the message.
        recipients: The addresses it goes to; by default those in the message.
        mail_options: Options of ``MAIL FROM``.
        rcpt_options: Options of ``RCPT TO``.
        **where: ``hostname`` ("localhost"), ``port`` (25; 465 with ``use_tls``, 587
            with ``start_tls``), ``username`` and ``password``, ``use_tls`` (TLS from
            the start), ``start_tls`` (STARTTLS, or nothing is sent), ``context`` (an
            ``ssl.SSLContext``; the default one checks certificates),
            ``local_hostname``, ``timeout`` (seconds for each answer; 60).

    Returns:
        The recipients that were refused, with code and text; empty if none was.

    Raises:
        LoopThreadError: An event loop runs here: ``await send.aio(...)``.
        smtplib.SMTPException: As for ``smtplib.SMTP``: all recipients refused, not
            logged in, disconnected, and so on.
        OSError: There is no connection: refused, timed out, no such host, TLS.
        ValueError: Options that exclude each other, or a message without sender.
    """
    account = _account(**where)
    connect: Any = _smtplib.SMTP
    if account.use_tls:
        context = account.context or ssl.create_default_context()
        connect = functools.partial(_smtplib.SMTP_SSL, context=context)
    with connect(
        account.hostname,
        account.port,
        local_hostname=account.local_hostname,
        timeout=account.timeout,
    ) as client:
        if account.start_tls:
            client.starttls(context=account.context or ssl.create_default_context())
        if account.username is not None:
            client.login(account.username, account.password)
        return client.send_message(  # type: ignore[no-any-return]
            message, sender, recipients, mail_options, rcpt_options
        )


async def _send_aio(
    message: Message,
    sender: Optional[str] = None,
    recipients: Union[str, Sequence[str], None] = None,
    mail_options: Sequence[str] = (),
    rcpt_options: Sequence[str] = (),
    **where: Any,
) -> Refused:
    account = _account(**where)
    context = account.context
    if context is None and (account.use_tls or account.start_tls):
        # It reads the certificates of the system.
        context = await call(ssl.create_default_context)
    client = aiosmtplib.SMTP(
        hostname=account.hostname,
        port=account.port,
        local_hostname=account.local_hostname,
        timeout=account.timeout,
        use_tls=account.use_tls,
        start_tls=False,
        tls_context=context,
    )
    try:
        async with client:
            await _introduce(client, account, context)
            packer = _Packer(client.supports_extension)
            packer.send_message(message, sender, recipients, mail_options, rcpt_options)
            return await _transmit(client, packer.envelope)
    except aiosmtplib.SMTPException as error:
        raise _translated(error) from error
    finally:
        client.close()


async def _introduce(
    client: aiosmtplib.SMTP, account: _Account, context: Optional[ssl.SSLContext]
) -> None:
    """Do what comes before a mail, or say what the server cannot do."""
    await client._ehlo_or_helo_if_needed()
    if account.start_tls:
        _need(client, "starttls")
        await client.starttls(tls_context=context)
        await client._ehlo_or_helo_if_needed()
    if account.username is not None:
        _need(client, "auth")
        await client.login(account.username, account.password or "")


def _need(client: aiosmtplib.SMTP, extension: str) -> None:
    if not client.supports_extension(extension):
        raise _smtplib.SMTPNotSupportedError(
            f"the server does not support {extension.upper()}"
        )


async def _transmit(client: aiosmtplib.SMTP, envelope: _Envelope) -> Refused:
    refused, _ = await client.sendmail(
        envelope.sender,
        envelope.recipients,
        envelope.data,
        mail_options=envelope.mail_options,
        rcpt_options=envelope.rcpt_options,
    )
    return {address: _answer(*answer) for address, answer in refused.items()}


def _answer(code: int, text: str) -> tuple[int, bytes]:
    return code, text.encode("utf-8", "surrogateescape")


_RESPONSES: tuple[tuple[Any, Any], ...] = (
    (aiosmtplib.SMTPAuthenticationError, _smtplib.SMTPAuthenticationError),
    (aiosmtplib.SMTPHeloError, _smtplib.SMTPHeloError),
    (aiosmtplib.SMTPDataError, _smtplib.SMTPDataError),
    (aiosmtplib.SMTPConnectResponseError, _smtplib.SMTPConnectError),
    (aiosmtplib.SMTPResponseException, _smtplib.SMTPResponseException),
)


def _translated(error: Any) -> Exception:
    """Return what the standard library raises in such a case."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return _smtplib.SMTPRecipientsRefused(
            {e.recipient: _answer(e.code, e.message) for e in error.recipients}
        )
    if isinstance(error, aiosmtplib.SMTPSenderRefused):
        answer = _answer(error.code, error.message)
        return _smtplib.SMTPSenderRefused(*answer, error.sender)
    for theirs, ours in _RESPONSES:
        if isinstance(error, theirs):
            return ours(*_answer(error.code, error.message))  # type: ignore[no-any-return]
    if isinstance(error, aiosmtplib.SMTPConnectTimeoutError):
        return socket.timeout("timed out")
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return _smtplib.SMTPNotSupportedError(str(error))
    cause = error.__cause__
    if isinstance(error, aiosmtplib.SMTPConnectError) and isinstance(cause, OSError):
        return cause
    if isinstance(
        error, (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError)
    ):
        return _smtplib.SMTPServerDisconnected(str(error))
    return _smtplib.SMTPException(str(error))


send = pair(_send, _send_aio)
"""Send a message over a connection of its own."""


def __getattr__(name: str) -> Any:
    return getattr(_smtplib, name)
