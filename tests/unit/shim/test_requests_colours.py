"""`shim.requests` from every place: pools, forks, streams, cancelled calls."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import os
import pickle
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import requests as real
from tornado.web import Application, RequestHandler
from urllib3.util import Timeout

from tests.patience import WAIT
from tests.unit.shim.conftest import in_coroutine, in_foreign_thread, in_worker
from tests.unit.shim.requests_peer import Peer, peer
from tornado_unblock import LoopThreadError, shim, testing, unblock
from tornado_unblock._loop.portal import current_portal
from tornado_unblock.shim import requests
from tornado_unblock.shim.requests import _client
from tornado_unblock.shim.requests._errors import body_error, exchange_error

pytestmark = pytest.mark.allow_threads("peer-", "asyncio_")


async def happened(semaphore: threading.Semaphore) -> bool:
    """Wait for something that the server counts."""
    acquire = functools.partial(semaphore.acquire, timeout=WAIT)
    return await asyncio.get_running_loop().run_in_executor(None, acquire)


@pytest.fixture
def server(tmp_path) -> Iterator[Peer]:
    with peer(tmp_path) as started:
        yield started
        requests.close()


# -- places --------------------------------------------------------------------------


def fetch(server: Peer) -> str:
    return requests.get(server.url + "/text").text


async def fetch_aio(server: Peer) -> str:
    return (await requests.get.aio(server.url + "/text")).text


def test_places(server):
    """Sync and awaited calls hold from a script, a worker and a foreign thread."""
    texts = {
        fetch(server),
        in_foreign_thread(lambda: fetch(server)),
        in_worker(lambda: fetch(server)),
        in_coroutine(lambda: fetch_aio(server)),
        shim.wait(fetch_aio(server)),
        in_worker(lambda: shim.wait(fetch_aio(server))),
        in_foreign_thread(lambda: shim.wait(fetch_aio(server))),
    }
    assert texts == {real.get(server.url + "/text").text}


def test_handlers(server, serve):
    """An unblocked body calls it as ever; a native handler awaits it."""

    class Unblocked(RequestHandler):
        @unblock
        def get(self):
            self.write(fetch(server) + shim.wait(fetch_aio(server)))

    class Native(RequestHandler):
        async def get(self):
            with pytest.raises(LoopThreadError, match=r"await get\.aio\("):
                fetch(server)
            self.write(2 * await fetch_aio(server))

    site = serve(Application([("/u", Unblocked), ("/n", Native)]))
    answers = {
        real.get(f"http://127.0.0.1:{site.port}/{path}").content for path in "un"
    }
    assert len(answers) == 1
    assert fetch(server).encode() * 2 in answers


VERBS = ["get", "head", "options", "post", "put", "patch", "delete"]


@pytest.mark.parametrize("verb", VERBS)
def test_verbs(server, verb):
    """Each function and each method of a session sends its verb, in both colours."""
    url = server.url + "/302"

    async def main(api):
        return await getattr(api, verb).aio(url)

    responses = [
        getattr(real, verb)(url),
        getattr(requests, verb)(url),
        getattr(requests.Session(), verb)(url),
        asyncio.run(main(requests)),
        asyncio.run(main(requests.session())),
    ]
    assert len({(r.status_code, r.text, r.request.method) for r in responses}) == 1
    assert all(isinstance(r, real.Response) for r in responses)
    assert requests.Session.__dict__[verb].__qualname__ == f"Session.{verb}"


def test_names():
    """What requests has is here, and its exceptions are the same classes."""
    for name in (name for name in dir(real) if not name.startswith("__")):
        assert hasattr(requests, name), name
    assert requests.ConnectionError is real.ConnectionError
    assert requests.exceptions is real.exceptions
    assert requests.__version__ == real.__version__
    assert requests.api is real.api
    with pytest.raises(AttributeError, match="nonsense"):
        requests.nonsense  # noqa: B018


def test_missing_libraries():
    """Without requests or aiohttp, the import says which extra to install."""
    code = "import sys; sys.modules['aiohttp'] = None; import tornado_unblock.shim"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}.requests"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "pip install 'tornado-unblock[requests]'" in done.stderr


# -- pools ---------------------------------------------------------------------------


def test_functions_share_connections(server):
    """One connection serves many calls of either colour, from any thread."""
    for _ in range(3):
        fetch(server)
        in_foreign_thread(lambda: fetch(server))
    assert server.connections == 1

    async def main():
        for _ in range(3):
            await fetch_aio(server)
        await requests.close.aio()
        assert server.connections == 2
        await fetch_aio(server)

    asyncio.run(main())
    assert server.connections == 3


def test_no_cookies_between_calls(server):
    """Cookies of one call are not sent with the next, in either colour."""

    async def main():
        await requests.get.aio(server.url + "/cookies")
        await requests.get.aio(server.url + "/echo")

    requests.get(server.url + "/cookies")
    requests.get(server.url + "/echo")
    asyncio.run(main())
    assert [seen.header("Cookie") for seen in server.seen] == [None] * 4


def test_session_in_both_colours(server):
    """What one colour of call puts into a session is there for the other."""

    async def main(session):
        async with session:
            await session.get.aio(server.url + "/echo")
            await session.get.aio(server.url + "/cookie-redirect")

    with requests.Session() as session:
        session.get(server.url + "/cookies")
        asyncio.run(main(session))
        session.get(server.url + "/")
    assert server.seen[1].header("Cookie") == "b=two; a=1"
    assert sorted(server.seen[-1].header("Cookie").split("; ")) == ["a=1", "via=1"]


def test_pool_of_the_background_loop(server):
    """Scripts keep their connections between waits, until the loop ends."""
    shim.wait(fetch_aio(server))
    shim.wait(fetch_aio(server))
    assert server.connections == 1
    testing.reset()
    assert server.closed.acquire(timeout=WAIT)
    shim.wait(fetch_aio(server))
    assert server.connections == 2


def test_shutdown_closes(server):
    """Draining a loop closes what is pooled there."""

    async def main():
        await fetch_aio(server)
        await current_portal().release()
        return await happened(server.closed)

    assert asyncio.run(main())


@pytest.mark.parametrize("tls", [False, True])
def test_loop_closed_without_a_word(server, tls):
    """A loop that is just closed leaves no socket behind, and no warning."""
    loop = asyncio.new_event_loop()
    url = server.tls_url if tls else server.url
    loop.run_until_complete(requests.get.aio(url, verify=server.certificate))
    loop.close()
    assert server.closed.acquire(timeout=WAIT)


def test_connections_closed_before_the_loop(server):
    """What `close` has closed is not closed again with the loop."""
    loop = asyncio.new_event_loop()

    async def main():
        await fetch_aio(server)
        kept = _client.clients.get()
        await kept.client.close()
        return kept

    kept = loop.run_until_complete(main())
    loop.close()
    assert kept.client.closed


CHILD = """
import asyncio, os, sys
from tornado_unblock import shim
from tornado_unblock._loop.portal import current_portal
from tornado_unblock.shim import requests

url = sys.argv[1]
session = requests.Session()
session.mount("x://", object())

def both():
    requests.get(url)
    session.get(url)
    shim.wait(requests.get.aio(url))

both()
pid = os.fork()
if pid == 0:
    try:
        both()
    except BaseException as error:
        print(repr(error), flush=True)
        os._exit(1)
    sys.exit()
status = os.waitpid(pid, 0)[1]
both()
print("status", status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_fork(server, child_env, tmp_path):
    """A child has connections of its own; its parent goes on with the old ones."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD, server.url],
        capture_output=True,
        text=True,
        check=False,
        env=child_env,
        cwd=tmp_path,
        timeout=WAIT,
    )
    assert (done.stdout, done.stderr) == ("status 0\n", "")
    assert server.connections == 6
    assert len(server.seen) == 9


# -- streams -------------------------------------------------------------------------


def test_stream_needs_no_thread(server):
    """A streamed body is read with ``async for``; sync reading is refused."""

    async def main():
        url = server.url + "/large"
        async with await requests.get.aio(url, stream=True) as response:
            for refused in (
                lambda: response.content,
                lambda: response.text,
                lambda: next(response.iter_content(9)),
                lambda: list(response.iter_lines()),
                lambda: next(iter(response)),
            ):
                with pytest.raises(LoopThreadError, match=r"async for|load"):
                    refused()
            chunks = response.iter_content(40_000)
            first = await chunks.__anext__()
            rest = [chunk async for chunk in chunks]
            assert len(first) == 40_000
            assert len(first + b"".join(rest)) == 131072
            with pytest.raises(RuntimeError, match="consumed"):
                response.content  # noqa: B018
            assert response.raw.read() == b""

        response = await requests.get.aio(url, stream=True)
        assert [len(chunk) async for chunk in response.iter_content.aio(99_999)] == [
            99_999,
            131072 - 99_999,
        ]
        response = await requests.get.aio(url, stream=True)
        sizes = [len(chunk) async for chunk in response.iter_content(None)]
        assert sum(sizes) == 131072
        response = await requests.get.aio(url, stream=True)
        assert len([chunk async for chunk in response]) == 1024

    asyncio.run(main())
    assert server.connections == 1


def test_load(server):
    """`load` reads a streamed body in one go, once, in both colours."""

    async def main():
        response = await requests.get.aio(server.url + "/gzip", stream=True)
        content = await response.load.aio()
        assert await response.load.aio() == response.content == content
        assert [line async for line in response.iter_lines()] == content.splitlines()
        assert list(response.iter_content(1000)) == [content]
        return content

    response = requests.get(server.url + "/gzip", stream=True)
    assert response.load() == asyncio.run(main())


def test_streams_read_in_the_other_colour(server):
    """A response of either colour is read by both."""

    @shim.dual
    def leaf(stream: bool = True) -> Any:
        return requests.get(server.url + "/text", stream=stream)

    async def read():
        async with await leaf.aio() as response:
            chunks = [chunk async for chunk in response.iter_content(7)]
        async with await leaf.aio() as response:
            with pytest.raises(LoopThreadError):
                response.content  # noqa: B018
            text = await response.load.aio()
        async with await leaf.aio() as response:
            lines = [line async for line in response.iter_lines()]
        response = await leaf.aio(stream=False)
        assert [chunk async for chunk in response.iter_content(7)] == chunks
        assert text == b"".join(chunks) == response.content
        assert lines == text.splitlines()
        return chunks

    def awaited() -> Any:
        return shim.wait(requests.get.aio(server.url + "/text", stream=True))

    chunks = asyncio.run(read())
    begun = awaited().iter_content(7)
    assert [next(begun), *begun] == chunks
    assert list(awaited().iter_content(7)) == chunks
    assert list(awaited().iter_lines()) == b"".join(chunks).splitlines()
    assert awaited().content == b"".join(chunks)
    assert next(iter(awaited())) == b"".join(chunks)[:128]
    assert pickle.loads(pickle.dumps(awaited())).content == b"".join(chunks)


def test_piece_by_piece(server):
    """What comes late is decoded as it comes."""

    async def main():
        response = await requests.get.aio(server.url + "/two-parts", stream=True)
        reading = asyncio.ensure_future(response.load.aio())
        await asyncio.sleep(0)
        assert not reading.done()
        server.go_on.release()
        return await reading

    assert asyncio.run(main()) == real.get(server.url + "/gzip").content


def test_closed_streams_are_empty(server):
    """After `close` there is nothing more to read, as in requests."""

    async def main():
        response = await requests.get.aio(server.url + "/text", stream=True)
        response.close()
        return [chunk async for chunk in response.iter_content(9)]

    response = real.get(server.url + "/text", stream=True)
    response.close()
    assert asyncio.run(main()) == list(response.iter_content(9)) == []


@pytest.mark.parametrize("how", ["close", "forget", "break"])
def test_unread_streams_are_closed(server, how):
    """A stream that nobody reads on does not keep its connection."""

    async def main():
        response = await requests.get.aio(server.url + "/stalls", stream=True)
        if how == "break":
            async for _ in response.iter_content(None):
                break
        if how == "close":
            response.close()
            response.close()
        del response
        gc.collect()
        return await happened(server.closed)

    assert asyncio.run(main())


def test_stream_closed_from_elsewhere(server):
    """`close` is for any thread, also when the loop has gone."""
    response = shim.wait(requests.get.aio(server.url + "/stalls", stream=True))
    with pytest.raises(NotImplementedError, match="iter_content"):
        response.raw.read()
    response.close()
    assert server.closed.acquire(timeout=WAIT)


@pytest.mark.parametrize("path", ["/stalls", "/text"])
@pytest.mark.parametrize("orderly", [False, True])
def test_stream_that_outlives_its_loop(server, orderly, path):
    """Its connection ends with the loop; it can be closed or forgotten afterwards."""
    call = requests.get.aio(server.url + path, stream=True)
    if orderly:
        kept = asyncio.run(call)
    else:
        loop = asyncio.new_event_loop()
        kept = loop.run_until_complete(call)
        loop.close()
    assert server.closed.acquire(timeout=WAIT)
    kept.close()
    kept.close()


def test_own_responses(server):
    """A response made by hand, as tests do, is that of requests."""
    response = requests.Response()
    response.status_code = 404

    async def main():
        return response.content

    assert asyncio.run(main()) is None


# -- cancelled, and at once ----------------------------------------------------------


@pytest.mark.parametrize("path", ["/slow", "/stalls"])
def test_cancelled_calls_close_their_connection(server, path):
    """Cancelling an awaited call ends it at once, on the server's side too."""

    async def main():
        task = asyncio.ensure_future(requests.get.aio(server.url + path))
        assert await happened(server.asked)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await happened(server.closed)

    assert asyncio.run(main())


def test_many_at_once(server):
    """Awaited calls wait side by side, with one digest auth among them all."""
    auth = requests.auth.HTTPDigestAuth("user", "pass")

    async def main():
        calls = [requests.get.aio(server.url + "/digest", auth=auth) for _ in range(20)]
        return await asyncio.gather(*calls)

    responses = asyncio.run(main())
    assert {response.text for response in responses} == {"let in"}
    assert {len(response.history) for response in responses} == {1}


def test_connect_timeout():
    """A connection that is not made in time is a ConnectTimeout, as in requests."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/"
        caught = []
        for ask in (real.get, requests.get, lambda *a, **k: asyncio.run(aio(*a, **k))):
            with pytest.raises(requests.ConnectTimeout) as error:
                ask(url, timeout=(0.2, 5))
            assert error.value.request.url == url
            caught.append(type(error.value.args[0].reason))
    assert len(set(caught)) == 1


async def aio(*args: Any, **kwargs: Any) -> Any:
    return await requests.get.aio(*args, **kwargs)


def test_errors_without_a_server():
    """Names that do not resolve, and what aiohttp has no word for, are told too."""
    request = real.Request("GET", "https://nowhere.invalid/x").prepare()
    key: Any = SimpleNamespace(host="nowhere.invalid", port=443, ssl=True)
    unresolved = socket.gaierror(-2, "Name or service not known")
    for error, text in (
        (aiohttp.ClientConnectorDNSError(key, unresolved), "Name or service not known"),
        (aiohttp.ClientError("odd"), "Connection aborted.*odd"),
        (aiohttp.ClientOSError(), "Connection aborted"),
    ):
        told = exchange_error(error, request, Timeout(1))
        assert type(told) is requests.ConnectionError
        assert told.request is request
        assert re.search(text, str(told))
    broken = body_error(aiohttp.ClientOSError(104, "reset"), request, 3, 4)
    assert type(broken) is requests.exceptions.ChunkedEncodingError
    assert "Connection broken" in str(broken)


# -- not covered ---------------------------------------------------------------------


class OwnAdapter(real.adapters.HTTPAdapter):
    """An adapter of an application."""


class Asking(real.auth.AuthBase):
    """Sends requests of its own, as NTLM does."""

    def __call__(self, request: Any) -> Any:
        request.register_hook("response", self.ask)
        return request

    def ask(self, response: Any, **kwargs: Any) -> Any:
        return response.connection.send(response.request, **kwargs)


def mounted(adapter: Any) -> requests.Session:
    session = requests.Session()
    session.mount("http://", adapter)
    return session


NOT_COVERED = {
    "retries": lambda: (mounted(real.adapters.HTTPAdapter(max_retries=2)), {}),
    "OwnAdapter": lambda: (mounted(OwnAdapter()), {}),
    "socks5": lambda: (requests, {"proxies": {"http": "socks5://127.0.0.1:1"}}),
    "https://": lambda: (requests, {"proxies": {"http": "https://127.0.0.1:1"}}),
    "X-Odd": lambda: (requests, {"headers": {"X-Odd": "\xfc"}}),
    "a hook": lambda: (requests, {"auth": Asking()}),
}
WORDS = {"retries": "shim.retry"}


@pytest.mark.parametrize("name", NOT_COVERED)
def test_not_covered(server, name):
    """What awaited calls do not cover is named, with what to do instead."""
    api, kwargs = NOT_COVERED[name]()
    with pytest.raises(NotImplementedError, match=WORDS.get(name, name)):
        asyncio.run(api.get.aio(server.url, **kwargs))


def test_overridden_methods(server):
    """A subclass that overrides a sync call only is not passed over in silence."""

    class Own(requests.Session):
        def request(self, method, url, *args, **kwargs):
            kwargs["headers"] = {"X-Own": "1"}
            return super().request(method, url, *args, **kwargs)

    class Dual(Own):
        request = shim.dual(Own.request)

    assert Own().get(server.url).ok
    with pytest.raises(NotImplementedError, match=r"Own\.request overrides"):
        asyncio.run(Own().get.aio(server.url))
    assert asyncio.run(Dual().get.aio(server.url)).ok
    assert [seen.header("X-Own") for seen in server.seen] == ["1", "1"]


def test_prepared_requests(server):
    """`send` takes what was prepared, and says so of anything else."""
    session = requests.Session()
    request = requests.Request("POST", server.url + "/echo", files={"f": b"data"})

    async def main():
        with pytest.raises(ValueError, match="PreparedRequest"):
            await session.send.aio(request)
        prepared = session.prepare_request(request)
        first = await session.send.aio(prepared)
        second = await session.request.aio(
            "POST", request.url, None, None, None, None, {"f": b"data"}
        )
        return first, second

    responses = (*asyncio.run(main()), session.send(session.prepare_request(request)))
    assert len({response.text for response in responses}) == 1


def test_tls_contexts_are_kept(server):
    """Certificates are read once for many calls, and again when a file changes."""
    from tornado_unblock.shim.requests import _tls

    async def main():
        await requests.get.aio(server.tls_url, verify=server.certificate)
        await requests.get.aio(server.tls_url, verify=server.certificate)

    before = len(_tls._contexts)
    asyncio.run(main())
    assert len(_tls._contexts) == before + 1
    os.utime(server.certificate, (1, 1))
    asyncio.run(main())
    assert len(_tls._contexts) == before + 2


def test_unverified_is_warned_of(server):
    """verify=False warns, as in requests."""
    with pytest.warns(Warning, match="not verified"):
        asyncio.run(requests.get.aio(server.tls_url, verify=False))
