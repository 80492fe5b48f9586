"""The service that bodies ask: it answers each request after 20 ms.

A bare asyncio protocol, so that it is never the bottleneck. It prints its URL, and ends
with its standard input.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading

DELAY = 0.02  # seconds
BODY = (
    b'{"state": "done", "parcels": [' + b'{"depot": "Lyon", "days": 2}, ' * 30 + b"0]}"
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)


class Upstream(asyncio.Protocol):
    """One connection; its client asks again when it is answered."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note where answers go."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._asked = b""

    def data_received(self, data: bytes) -> None:
        """Answer each request later."""
        self._asked += data
        while b"\r\n\r\n" in self._asked:
            _, _, self._asked = self._asked.partition(b"\r\n\r\n")
            asyncio.get_running_loop().call_later(DELAY, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(ANSWER)


async def _main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", 0, backlog=4096)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}/", flush=True)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    await server.serve_forever()


def _leave_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(_main())
