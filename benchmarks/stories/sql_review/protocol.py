"""The few MySQL packets that the stand-in sends; pure functions from values to bytes.

What is here is enough for a client of protocol version 4.1 to log in without a
password, to ask, and to read one small result set of text.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

VERSION = "8.0.0-stand-in"

COM_QUIT, COM_INIT_DB, COM_QUERY, COM_PING = 0x01, 0x02, 0x03, 0x0E

# Long passwords, a database in the login, protocol 4.1, transactions, a salt of 20
# bytes, named authentication. No TLS, no compression.
CAPABILITIES = 0x1 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x80000
STATUS = 0x2  # autocommit
UTF8MB4 = 45
LONGLONG, VAR_STRING = 0x08, 0xFD  # types of columns

ER_UNKNOWN_COMMAND = 1047
ER_PARSE = 1064

Columns = Sequence[tuple[str, int]]


def packet(sequence: int, payload: bytes) -> bytes:
    """Return `payload` with its header: 3 bytes of length, 1 of sequence number."""
    return struct.pack("<I", len(payload))[:3] + bytes([sequence % 256]) + payload


def greeting(connection: int, salt: bytes) -> bytes:
    """Return what a server says first; `salt` has 20 bytes, none of them zero."""
    return b"".join(
        (
            b"\x0a" + VERSION.encode() + b"\x00",
            struct.pack("<I", connection) + salt[:8] + b"\x00",
            struct.pack("<HBH", CAPABILITIES & 0xFFFF, UTF8MB4, STATUS),
            struct.pack("<HB", CAPABILITIES >> 16, len(salt) + 1) + bytes(10),
            salt[8:] + b"\x00" + b"mysql_native_password\x00",
        )
    )


def ok() -> bytes:
    """Return the answer to what succeeded without rows."""
    return b"\x00\x00\x00" + struct.pack("<HH", STATUS, 0)


def error(number: int, message: str) -> bytes:
    """Return the answer to what did not succeed."""
    return b"\xff" + struct.pack("<H", number) + b"#42000" + message.encode()


def result_set(columns: Columns, rows: Iterable[Sequence[str]]) -> list[bytes]:
    """Return the payloads of a result set, one for each packet.

    Args:
        columns: Name and type of each; less than 251.
        rows: The values as text, each shorter than 251 bytes.
    """
    end = b"\xfe" + struct.pack("<HH", 0, STATUS)
    texts = [b"".join(_text(value) for value in row) for row in rows]
    return [
        bytes([len(columns)]),
        *(_column(*column) for column in columns),
        end,
        *texts,
        end,
    ]


def _column(name: str, kind: int) -> bytes:
    names = (_text("def"), _text(""), _text(""), _text(""), _text(name), _text(name))
    rest = struct.pack("<BHIBHB", 0x0C, UTF8MB4, 255, kind, 0, 0)
    return b"".join(names) + rest + bytes(2)


def _text(value: str) -> bytes:
    encoded = value.encode()
    return bytes([len(encoded)]) + encoded
