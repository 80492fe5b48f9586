"""The page over HTTP: who may see it, and that nothing else is told."""

from __future__ import annotations

import asyncio
import json
import os
import re

import pytest
from tornado.web import Application, HTTPError, RequestHandler

from tests.unit.status.conftest import Client, Events
from tornado_unblock import (
    ConfigurationError,
    run_in_executor,
    status,
    unblock,
    watch,
)
from tornado_unblock.status import group, web
from tornado_unblock.status.group import current_group

# The application's own log of what it has refused.
pytestmark = pytest.mark.allow_log("tornado.access", "^40[13] GET /_unblock")

SECRETS = [
    *("PLANTED-PATH", "PLANTED-QUERY", "PLANTED-LOCAL", "PLANTED-HEADER"),
    *("PLANTED-COOKIE", "PLANTED-ERROR", "PLANTED-BODY", "PLANTED-GLOBAL"),
    *("PLANTED-ARGUMENT", "PLANTED-HOST", "PLANTED-SOURCE"),
]
GLOBAL = "PLANTED-GLOBAL"


def everybody(handler):
    return True


@pytest.fixture
def mount(make_server):
    """Serve the page in an application."""

    def start(authorize=everybody, **options):
        rules = status.handlers("/_unblock", authorize=authorize, **options)
        return Client(make_server(*rules).port, "/_unblock")

    return start


# -- what it tells -------------------------------------------------------------------


class Secretive(RequestHandler):
    """Holds what is in its path while it is held itself."""

    def initialize(self, gate):
        self.gate = gate

    @unblock(timeout=60)
    def get(self, what):
        local = "PLANTED-LOCAL" + what
        if self.get_argument("fail", ""):
            raise ValueError(f"PLANTED-ERROR {local}")
        self.gate(), "PLANTED-SOURCE"

    def post(self, what):
        local = "PLANTED-LOCAL" + what
        self.gate(), "PLANTED-SOURCE", local


def wait_for(gate, argument):
    gate()


def request_of(method, more=""):
    return (
        f"{method} /PLANTED-PATH?token=PLANTED-QUERY{more} HTTP/1.1\r\n"
        "Host: PLANTED-HOST\r\nX-Request-Id: PLANTED-HEADER\r\n"
        "Cookie: a=PLANTED-COOKIE\r\nContent-Length: 12\r\n"
        "Connection: close\r\n\r\nPLANTED-BODY"
    ).encode()


async def told_to_others():
    """Return what other processes of this user are told."""
    here = current_group()
    (member,) = here.members()
    words = ("process", "parts", "page", "snapshot")
    with pytest.raises(OSError, match="not answered"):
        await here.ask(member, "PLANTED-QUERY")
    return [await here.ask(member, word) for word in words]


@pytest.mark.allow_log("tornado_unblock.stalls", "Event loop stalled")
@pytest.mark.expect_log("tornado.application", "PLANTED-PATH")
@pytest.mark.allow_log("tornado.access", "500 GET")
def test_no_byte_of_a_secret(make_server, serve_status, gate):
    """Of what a program works with nothing is told, wherever one looks."""
    watch(threshold=0.05)
    application = Application([("/(.*)", Secretive, {"gate": gate})])
    page = serve_status(app=application)
    server = make_server(("/(.*)", Secretive, {"gate": gate}))
    failing = server.connect()
    failing.sendall(request_of("GET", "&fail=1"))
    while failing.recv(65536):
        pass
    server.connect().sendall(request_of("GET"))
    assert gate.wait()

    async def start():
        run_in_executor(wait_for, gate, "PLANTED-ARGUMENT", executor="others")

    server.call(start)
    assert gate.wait()
    server.connect().sendall(request_of("POST"))
    assert gate.wait()
    events = page.events()
    while "stalled for" not in events.next()["alarms"]:
        pass
    answers = [
        page.get(path, Cookie="a=PLANTED-COOKIE", Accept=accept).raw
        for path in (
            *("/", "/status.json", "/app.js", "/app.css", "/icon.svg"),
            *("/PLANTED-PATH?x=PLANTED-QUERY", "/?x=PLANTED-QUERY"),
            *("/processes.json", f"/p/{os.getpid()}", "/p/1/?x=PLANTED-QUERY"),
            *(f"/p/{os.getpid()}/{name}" for name in ("", "status.json", "app.js")),
            *("POST /PLANTED-PATH", "/p/PLANTED-PATH/", "/p/1/events"),
        )
        for accept in ("text/html", "application/json")
    ]
    answers.append(page.get("/", Host="PLANTED-HOST").raw)
    of_all = page.events("/processes/events")
    while "stalled for" not in of_all.next()["alarms"]:
        pass
    answers += [of_all.raw, *asyncio.run(told_to_others())]
    of_all.close()
    gate.open.set()
    while "stalled for" in events.next().get("alarms", "stalled for"):
        pass
    answers += [page.get("/").raw, page.get("/status.json").raw, events.raw]
    events.close()
    told = b"".join(answers).decode()
    assert "Secretive.get" in told
    assert "Secretive.post" in told
    assert "test_web.py" in told
    assert [secret for secret in SECRETS if secret in told] == []


def test_markup_is_escaped(serve_status):
    """A name that looks like markup is text; in the events, too."""

    def body():
        pass

    body.__qualname__ = body.__name__ = "<script>alert(1)</script>"
    page = serve_status()

    async def run():
        await run_in_executor(body)

    asyncio.run(run())
    events = page.events()
    rows = events.next()["endpoints-rows"]
    events.close()
    assert "&lt;script&gt;" in rows
    assert "<script>" not in rows
    assert b"<script>alert" not in page.get("/").body


# -- who is told ---------------------------------------------------------------------


OWN = f"/p/{os.getpid()}"
PATHS = [
    *("/", "/status.json", "/events", "/app.js", "/processes.json"),
    *("/processes/events", OWN, f"{OWN}/", f"{OWN}/status.json", f"{OWN}/events"),
    *(f"{OWN}/app.css", "/p/1/", "/p/1/status.json", "/p/1/events"),
]


def by_path(path: str) -> str:
    """Name a test the same in every process that runs tests."""
    return path.replace(OWN, "/p/own")


@pytest.mark.parametrize(
    "path", [*PATHS, "/none", "/p/x/", "/p/12345678901/"], ids=by_path
)
def test_headers(serve_status, path):
    """Every answer forbids to keep it, to frame it, and to run what is not its own."""
    client = serve_status().open(path)
    head = client.recv(65536).decode().partition("\r\n\r\n")[0]
    client.close()
    headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    assert headers["Cache-Control"] == "no-store"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Frame-Options"] == "DENY"
    assert "Server" not in headers
    assert "Etag" not in headers


def test_nothing_is_inline(serve_status):
    """The page keeps to its own policy: no script, style or handler in the markup."""
    html = serve_status().get("/").body.decode()
    assert not re.search(r"<style| style=| on\w+=|<script(?! src=)|javascript:", html)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_read_only(serve_status, method):
    """There is nothing but GET."""
    assert serve_status().get(f"{method} /").status == 405


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("localhost", 200),
        ("LOCALHOST:8889", 200),
        ("127.0.0.1:8889", 200),
        ("[::1]:8889", 200),
        ("10.1.2.3", 200),
        ("ops.internal:8889", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example:8889", 403),
        ("", 403),
    ],
)
def test_host(serve_status, host, code):
    """A name that is not known may be anybody's, and leads nowhere."""
    page = serve_status(hosts=["Ops.internal"])
    assert page.get("/", Host=host).status == code
    assert page.get("/processes.json", Host=host).status == code
    assert page.get(f"{OWN}/status.json", Host=host).status == code
    assert page.get("/none", Host=host).status == (404 if code == 200 else 403)


@pytest.mark.parametrize(
    ("site", "mode", "code"),
    [
        ("cross-site", "no-cors", 403),
        ("same-site", "cors", 403),
        ("same-origin", "cors", 200),
        ("cross-site", "navigate", 200),
        ("none", "navigate", 200),
    ],
)
def test_other_sites(serve_status, site, mode, code):
    """A script of another site is refused; a link is followed."""
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
    assert serve_status().get("/status.json", **headers).status == code


def test_mounted(mount):
    """In an application it is below its prefix, and knows the routes."""
    page = mount()
    moved = page.get("")
    assert (moved.status, moved.headers["Location"]) == (302, "_unblock/")
    html = page.get("/").body.decode()
    assert 'src="app.js"' in html
    assert "/_unblock/" in html
    assert page.json()["routes"]
    assert mount(hosts=["known.example"]).get("/", Host="x.example").status == 403
    assert page.get("/", Host="x.example").status == 200


@pytest.mark.parametrize("path", ["", *PATHS], ids=by_path)
@pytest.mark.parametrize("answer", [False, None, 1, "yes"])
def test_authorize_refuses(mount, path, answer):
    """Nothing but True lets anybody in, to nothing."""
    page = mount(authorize=lambda handler: answer)
    response = page.get(path)
    assert (response.status, response.body) == (403, b"403\n")


def test_authorize_as_coroutine_or_with_an_answer_of_its_own(mount):
    """It may be a coroutine function, raise an HTTPError, or answer by itself."""

    async def slowly(handler):
        await asyncio.sleep(0)
        return handler.get_cookie("key") == "7"

    page = mount(authorize=slowly)
    assert page.get("/").status == 403
    assert page.get("/", Cookie="key=7").status == 200

    def refuse(handler):
        raise HTTPError(401)

    assert mount(authorize=refuse).get("/").status == 401

    def log_in(handler):
        handler.redirect("/login")

    response = mount(authorize=log_in).get("/")
    assert (response.status, response.headers["Location"]) == (302, "/login")


@pytest.mark.parametrize("prefix", ["", "/", "x", "/x/", "/a b", None, "/(.*)"])
def test_bad_prefix(prefix):
    """A prefix that makes no path is refused, with what one looks like."""
    with pytest.raises(ConfigurationError, match="prefix must be a path"):
        status.handlers(prefix, authorize=everybody)


def test_authorize_is_insisted_on():
    """Who mounts the page has to say who may see it."""
    with pytest.raises(ConfigurationError, match="needs authorize="):
        status.handlers("/_unblock", authorize=None)
    with pytest.raises(TypeError):
        status.handlers("/_unblock")


# -- how it is told ------------------------------------------------------------------


def test_json_at_the_same_address(serve_status):
    """A program that asks for JSON gets what a person sees."""
    page = serve_status()
    asked = json.loads(page.get("/", Accept="application/json").body)
    assert asked.keys() == page.json().keys()
    browser = page.get("/", Accept="text/html,application/json;q=0.9")
    assert browser.headers["Content-Type"].startswith("text/html")


def test_events_tell_what_has_changed(serve_status, monkeypatch):
    """After the first event only what is new is sent."""
    monkeypatch.setattr(web, "EVERY", 0.01)
    events = serve_status().events()
    first = events.next()
    assert {"at", "alarms", "loops-rows", "bodies-summary"} <= first.keys()
    assert "endpoints-rows" not in events.next()
    events.close()


def test_events_end_in_time(serve_status, monkeypatch):
    """Who watches for long has to ask again, and may be refused by then."""
    monkeypatch.setattr(web, "EVERY", 0.01)
    monkeypatch.setattr(web, "LONGEST", 0.05)
    events = serve_status().events()
    assert events.next()
    assert events.rest().endswith(b"0\r\n\r\n")
    events.close()


def test_watchers_are_limited(serve_status, monkeypatch):
    """No more than so many watch at once; who leaves makes room."""
    monkeypatch.setattr(web, "MOST_WATCHERS", 1)
    monkeypatch.setattr(web, "EVERY", 0.01)
    page = serve_status()
    events = page.events()
    events.next()
    assert page.get("/events").status == 503
    events.close()
    client = page.open("/events")
    while b" 503 " in client.recv(64):
        client.close()
        client = page.open("/events")
    client.close()


def test_who_has_gone_meanwhile(serve_status, monkeypatch):
    """A stream that is closed as an event is sent ends, and makes room."""

    def flush(handler, *args, **kwargs):
        handler.request.connection.stream.close()
        return RequestHandler.flush(handler, *args, **kwargs)

    monkeypatch.setattr(web._Events, "flush", flush)
    monkeypatch.setattr(web, "MOST_WATCHERS", 1)
    page = serve_status()
    assert page.get("/events").raw == b""
    monkeypatch.undo()
    assert page.get("/").status == 200
    events = page.events()
    assert events.next()
    events.close()


def test_events_end_with_the_application(make_server, monkeypatch):
    """A shutdown does not wait for who watches."""
    from tornado_unblock import shutdown

    monkeypatch.setattr(web, "EVERY", 0.01)
    server = make_server(*status.handlers("/_unblock", authorize=everybody))
    events = Events(Client(server.port, "/_unblock").open("/events"))
    events.next()
    server.call(shutdown)
    assert events.rest().endswith(b"0\r\n\r\n")
    events.close()


# -- several processes ---------------------------------------------------------------


def test_alone(serve_status):
    """One process is shown by itself, also below its number; others are not there."""
    page = serve_status()
    assert list(page.processes()) == [os.getpid()]
    assert b"All processes" not in page.get("/").body
    assert b"All processes" in page.get(f"{OWN}/").body
    assert json.loads(page.get(f"{OWN}/status.json").body).keys() == page.json().keys()
    moved = page.get(OWN)
    assert (moved.status, moved.headers["Location"]) == (302, f"{os.getpid()}/")
    gone = page.get("/p/1/")
    assert gone.status == 404
    assert b"This process is gone" in gone.body
    assert page.get("/p/1/status.json").status == 404
    assert page.get("/p/1/events").status == 404


def until(condition):
    while not condition():
        pass


@pytest.mark.allow_log("tornado_unblock.stalls", "Event loop stalled")
def test_two(serve_status, neighbour):
    """Whoever answers tells of both, and passes on what is asked of the other."""
    page = serve_status()
    other = neighbour(page)
    here, there = os.getpid(), other.process
    assert page.processes().keys() == {here, there}
    both = page.get("/").body.decode()
    assert "Status <span>of 2 processes" in both
    assert f'href="p/{here}/"' in both
    assert f'href="p/{there}/"' in both
    assert json.loads(page.get("/", Accept="application/json").body)["processes"]
    for process in (here, there):
        html = page.get(f"/p/{process}/").body.decode()
        assert f"Status <span>of process {process}" in html
        assert 'href="../../"' in html
        told = json.loads(page.get(f"/p/{process}/status.json").body)
        assert told["process"] == process
        events = page.events(f"/p/{process}/events")
        assert "executors-rows" in events.next()
        events.close()
    other.hold()
    of_all = page.events("/processes/events")
    until(
        lambda: f"Process {there}: MainThread has been" in of_all.next().get("alarms")
    )
    of_all.close()
    assert b"hold_the_neighbour" in page.get(f"/p/{there}/").body
    other.go_on()
    other.wait()
    assert list(page.processes()) == [here]


def test_one_that_is_stopped_and_one_that_is_killed(
    serve_status, neighbour, monkeypatch
):
    """The one does not answer, which is said; the other is gone."""
    monkeypatch.setattr(group, "ANSWER", 0.2)
    monkeypatch.setattr(web, "EVERY", 0.05)
    page = serve_status()
    other = neighbour(page)
    path = f"/p/{other.process}/"
    watched = page.events(f"{path}events")
    watched.next()
    other.stop()
    until(lambda: page.processes()[other.process]["silent"])
    refused = page.get(path)
    assert refused.status == 504
    assert f"Process {other.process} has not answered" in refused.body.decode()
    assert page.get(f"{path}status.json").status == 504
    silent = page.events(f"{path}events")
    assert "has not answered" in silent.next()["alarms"]
    other.kill()
    until(lambda: "is gone" in silent.next().get("alarms", ""))
    assert silent.rest().endswith(b"0\r\n\r\n")
    silent.close()
    watched.close()
    other.wait()
    assert list(page.processes()) == [os.getpid()]
    assert page.get(path).status == 404


def test_the_page_in_an_application_shows_all(mount, serve_status, neighbour):
    """Where the processes serve a page of all, the mounted one is that too."""
    other = neighbour(serve_status())
    page = mount()
    assert page.processes().keys() == {os.getpid(), other.process}
    html = page.get(f"/p/{other.process}/").body.decode()
    assert f"of process {other.process}" in html
    assert page.get(f"/p/{other.process}").headers["Location"] == f"{other.process}/"
