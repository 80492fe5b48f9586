"""A checker for machines without a MySQL server: it speaks the protocol, and waits.

`SELECT SLEEP(2) ...` is answered after two seconds with a row that is always the
same; any number of connections wait side by side. It listens on the loopback only
and lets everyone in. It is native asynchronous code, so never the bottleneck.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import sys

from benchmarks.stories.sql_review import protocol

COLUMNS = (
    ("slept", protocol.LONGLONG),
    ("stage", protocol.VAR_STRING),
    ("accepted", protocol.LONGLONG),
)
ROW = ("0", "done", "1")
# PyMySQL writes 0.5 as 0.5e0.
SLEEP = re.compile(r"SELECT SLEEP\((\d+(?:\.\d+)?(?:e[+-]?\d+)?)\)", re.IGNORECASE)
WITHOUT_ROWS = re.compile(r"SET |COMMIT|ROLLBACK", re.IGNORECASE)
SALT = b"nothing is kept here"  # nobody's password is looked at

_connections = itertools.count(1)


class Session:
    """One client, from its login to its last command."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer

    async def run(self) -> None:
        """Serve until the client quits or is gone."""
        self._send(0, protocol.greeting(next(_connections), SALT))
        sequence, _login = await self._receive()
        self._send(sequence + 1, protocol.ok())
        while True:
            sequence, command = await self._receive()
            if command[:1] == bytes([protocol.COM_QUIT]):
                return
            self._send(sequence + 1, *await answer(command))
            await self._writer.drain()

    async def _receive(self) -> tuple[int, bytes]:
        header = await self._reader.readexactly(4)
        size = int.from_bytes(header[:3], "little")
        return header[3], await self._reader.readexactly(size)

    def _send(self, sequence: int, *payloads: bytes) -> None:
        for number, payload in enumerate(payloads, sequence):
            self._writer.write(protocol.packet(number, payload))


async def answer(command: bytes) -> list[bytes]:
    """Return the payloads that answer one command."""
    kind = command[0] if command else 0
    if kind in (protocol.COM_PING, protocol.COM_INIT_DB):
        return [protocol.ok()]
    if kind == protocol.COM_QUERY:
        return await answer_query(command[1:].decode())
    return [
        protocol.error(
            protocol.ER_UNKNOWN_COMMAND, f"The stand-in does not know command {kind}"
        )
    ]


async def answer_query(text: str) -> list[bytes]:
    """Sleep as long as the query says, and return the one result there is."""
    if WITHOUT_ROWS.match(text):
        return [protocol.ok()]
    wanted = SLEEP.match(text)
    if wanted is None:
        return [
            protocol.error(
                protocol.ER_PARSE, "The stand-in answers SELECT SLEEP(seconds) only"
            )
        ]
    await asyncio.sleep(float(wanted[1]))
    return protocol.result_set(COLUMNS, [ROW])


async def serve_session(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Serve one connection until either side ends."""
    # Cancelled is what it is when the loop ends, and asyncio's streams would report
    # that as an error before Python 3.12.
    ends = (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError)
    try:
        with contextlib.suppress(*ends):
            await Session(reader, writer).run()
    finally:
        writer.close()


async def start() -> asyncio.Server:
    """Listen on a free port of the loopback."""
    return await asyncio.start_server(serve_session, "127.0.0.1", 0, backlog=1024)


async def _main() -> None:
    server = await start()
    print(server.sockets[0].getsockname()[1], flush=True)
    # The parent holds the other end of this pipe: it ends with the parent.
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    asyncio.run(_main())
