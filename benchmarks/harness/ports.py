"""A free port, for servers that bind it themselves."""

from __future__ import annotations

import random
import socket

# Below what the system gives to those who ask for any: Linux begins at 32768.
RANGE = range(20_000, 30_000)


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    while True:
        port = random.choice(RANGE)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:  # taken
                continue
        return port
