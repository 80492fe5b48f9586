"""What the status page costs: `python -m benchmarks.status_cost [--seconds S]`.

First, a server that serves nothing but its page, which nobody looks at: the processor
time it takes, as a share of one core; beside it the same without a page, and with a
watch alone. Then 100 browsers that watch (server-sent events), and no browser: what the
thread of the page takes by itself, and how much processor time the thread of the loop
takes for one request. Rounds with and without browsers take turns.

It counts processor time, not the clock, so that a busy machine does not matter much.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from tornado_unblock import status, unblock, watch
from tornado_unblock.status.snapshot import THREAD

BROWSERS = 100
ROUNDS = 7
REQUESTS = 3000
IDLE = {
    "nothing": "a server without a page",
    "watch": "the same with tornado_unblock.watch()",
    "serve": "the same with status.serve(), which keeps a watch",
}


class Orders(RequestHandler):
    """Runs on a worker, as what the page shows does."""

    @unblock
    def get(self) -> None:
        """Answer."""
        self.write("ok")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--child", choices=IDLE, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        asyncio.run(idle(given.child, given.seconds))
        return
    print(f"Unwatched, {given.seconds:g} s, share of a core:")
    for kind, text in IDLE.items():
        command = [sys.executable, "-m", "benchmarks.status_cost", "--child", kind]
        command += ["--seconds", str(given.seconds)]
        share = float(subprocess.check_output(command))
        print(f"  {share:7.2%}  {text}", flush=True)
    asyncio.run(watched())


async def idle(kind: str, seconds: float) -> None:
    """Serve, and print the share of a core that it took."""
    serve(Application([("/", Orders)]))
    if kind == "watch":
        watch()
    elif kind == "serve":
        status.serve(0)
    await asyncio.sleep(1.0)
    began, used = time.monotonic(), time.process_time()
    await asyncio.sleep(seconds)
    print((time.process_time() - used) / (time.monotonic() - began))


def serve(application: Application) -> int:
    """Serve on a free port, and return it."""
    (listening,) = bind_sockets(0, "127.0.0.1")
    HTTPServer(application).add_sockets([listening])
    return int(listening.getsockname()[1])


# -- browsers that watch -----------------------------------------------------------


BROWSER = """
import selectors, socket, sys
selector = selectors.DefaultSelector()
for _ in range(int(sys.argv[2])):
    one = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    one.sendall(b"GET /events HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    selector.register(one, selectors.EVENT_READ)
print("there", flush=True)
while True:
    for key, _ in selector.select():
        if not key.fileobj.recv(1 << 20):
            selector.unregister(key.fileobj)
"""


async def watched() -> None:
    """Take turns with and without browsers, and print what a request costs."""
    page = status.serve(0)
    port = serve(Application([("/", Orders)]))
    loop = IOLoop.current()
    costs: dict[bool, list[float]] = {False: [], True: []}
    shares: dict[bool, list[float]] = {False: [], True: []}
    await loop.run_in_executor(None, ask, port, REQUESTS)
    for number in range(2 * ROUNDS):
        looked_at = bool(number % 2)
        browsers = (
            await loop.run_in_executor(None, browse, page.port) if looked_at else None
        )
        await asyncio.sleep(2.0)
        began, used, other = time.monotonic(), time.thread_time(), cpu_of_page()
        await loop.run_in_executor(None, ask, port, REQUESTS)
        costs[looked_at].append((time.thread_time() - used) / REQUESTS)
        await asyncio.sleep(3.0)
        shares[looked_at].append((cpu_of_page() - other) / (time.monotonic() - began))
        if browsers is not None:
            browsers.kill()
            browsers.wait()
            await asyncio.sleep(1.0)
    page.stop()
    pairs = [a / b - 1 for a, b in zip(costs[True], costs[False])]
    print(f"{BROWSERS} browsers watch:")
    print(
        f"  {statistics.median(shares[False]):7.2%}  of a core: its thread, unwatched"
    )
    print(f"  {statistics.median(shares[True]):7.2%}  of a core: its thread, watched")
    usual = statistics.median(costs[False]) * 1e6
    print(f"  {usual:7.0f}  µs of the loop's thread for a request, unwatched")
    print(
        f"  {statistics.median(pairs):+7.2%}  more of that, watched (median of pairs)"
    )


def browse(port: int) -> subprocess.Popen[bytes]:
    """Have browsers watch, in a process of their own."""
    command = [sys.executable, "-c", BROWSER, str(port), str(BROWSERS)]
    browsers = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert browsers.stdout is not None
    browsers.stdout.readline()
    return browsers


CLIENT = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as client:
    answers = client.makefile("rb")
    for _ in range(int(sys.argv[2])):
        client.sendall(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
        length = 0
        while (line := answers.readline()) != b"\\r\\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        answers.read(length)
"""


def ask(port: int, times: int) -> None:
    """Send requests, one after the other, on one connection of another process."""
    subprocess.run([sys.executable, "-c", CLIENT, str(port), str(times)], check=True)


def cpu_of_page() -> float:
    """Return the processor time of the page's thread so far; in seconds."""
    (thread,) = (t for t in threading.enumerate() if t.name == THREAD)
    text = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text()
    return int(text.split()[0]) / 1e9


if __name__ == "__main__":
    main()
