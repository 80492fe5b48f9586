"""How a job is, for browsers."""

from __future__ import annotations

import json

import pytest

from tests.unit.conftest import read
from tornado_unblock import ConfigurationError
from tornado_unblock.jobs import Jobs, Status, default, status


async def may(handler, job_id):
    return handler.get_argument("as", "") == "me"


@pytest.fixture
def job(app):
    return app.job(name="it")(lambda: {"a": 1})


@pytest.fixture
def server(make_server, app):
    return make_server((r"/jobs/(.*)", Status, {"authorize": may, "app": app}))


def events(response):
    """Return what was sent: the data of each event, and the comments as they are."""
    body = response.body
    parts = []
    while body:  # chunks
        size, _, body = body.partition(b"\r\n")
        parts.append(body[: int(size, 16)])
        body = body[int(size, 16) + 2 :]
    found = []
    for text in b"".join(parts).decode().split("\n\n")[:-1]:
        found.append(json.loads(text[6:]) if text.startswith("data: ") else text)
    return found


def test_json(app, job, server, expect_log):
    """How it is, without what is nobody's business outside."""
    ticket = job.later()
    response = server.get(f"/jobs/{ticket.id}?as=me")
    answer = json.loads(response.body)
    assert (response.status, answer["state"], answer["result"]) == (200, "queued", None)
    assert response.headers["Cache-Control"] == "no-store"
    app.engine.store.take()
    app.engine.store.set_progress(ticket.id, 1, 2)
    answer = json.loads(server.get(f"/jobs/{ticket.id}?as=me").body)
    assert answer["progress"] == {"done": 1, "of": 2}
    assert "error" not in answer
    assert "traceback" not in answer


def test_authorize(job, server, expect_log):
    """Who may not see it cannot tell whether it is there."""
    expect_log("tornado.access", "^403")
    ticket = job.later()
    answers = [server.get(path) for path in (f"/jobs/{ticket.id}", "/jobs/nowhere")]
    assert [answer.status for answer in answers] == [403, 403]


def test_unknown(server, expect_log):
    """404 for those who might see it."""
    expect_log("tornado.access", "^404")
    paths = ["nowhere", "%00", "0" * 36, "x/y"]
    answers = [server.get(f"/jobs/{path}?as=me").status for path in paths]
    assert answers == [404] * 4


def test_authorize_has_to_be_there():
    """Without it nothing is shown to anybody."""
    handler = Status.__new__(Status)
    with pytest.raises(ConfigurationError, match=r"needs authorize="):
        handler.initialize()
    with pytest.raises(ConfigurationError, match=r"needs authorize="):
        handler.initialize(authorize="everybody")


def test_default_application(make_server):
    """Without app= it is that of the module; only True is yes."""
    job = default.job(name="tests.it")(lambda: 7)
    server = make_server(
        (r"/jobs/(.*)", Status, {"authorize": lambda handler, job_id: True})
    )
    with default.testing() as box:
        ticket = job.later()
        box.run()
        assert json.loads(server.get(f"/jobs/{ticket.id}").body)["result"] == 7
    del default._jobs["tests.it"]


def listen(server, ticket):
    return server.send(
        f"/jobs/{ticket.id}?as=me", headers="Accept: text/event-stream\r\n"
    )


def rest(client):
    """Read what comes until the server closes."""
    with client.makefile("rb") as file:
        return file.read()


def test_events(app, job, server, monkeypatch):
    """An event for each change, until it has ended."""
    monkeypatch.setattr(status, "_POLL", 0.0)
    ticket = job.later()
    client = listen(server, ticket)
    head = client.recv(200)
    while b'"queued"' not in head:
        head += client.recv(200)
    app.engine.run_next()
    assert b"text/event-stream" in head
    assert b'"done"' in head + rest(client)


def test_ended_already(app, job, server):
    """Then there is one event."""
    ticket = job.later()
    app.engine.run_next()
    (event,) = events(read(listen(server, ticket)))
    assert event["result"] == {"a": 1}


def test_quiet_for_long(app, job, server, monkeypatch):
    """Something is sent, so that proxies keep the connection."""
    monkeypatch.setattr(status, "_POLL", 0.0)
    monkeypatch.setattr(status, "_QUIET", 1)
    ticket = job.later()
    client = listen(server, ticket)
    data = b""
    while data.count(b": still there") < 2:
        data += client.recv(1000)
    app.engine.run_next()
    rest(client)


def test_forgotten_meanwhile(app, job, server, monkeypatch):
    """What has expired has no more events."""
    monkeypatch.setattr(status, "_POLL", 0.0)
    ticket = job.later()
    client = listen(server, ticket)
    client.recv(1)
    app.cancel(ticket.id)
    app.discard(ticket.id)
    rest(client)


def test_expired_between_two_looks(app, job, server, monkeypatch):
    """The stream ends, without an error."""
    monkeypatch.setattr(status, "_POLL", 0.0)
    ticket = job.later()
    states = [app.state(ticket.id), app.state(ticket.id), None]

    class Once(Jobs):
        class state:
            @staticmethod
            async def aio(job_id):
                return states.pop(0)

    rules = server.server.request_callback.wildcard_router.rules
    rules[0].target_kwargs["app"] = Once("once")
    assert len(events(read(listen(server, ticket)))) == 1


def test_nobody_listens(app, job, server, monkeypatch):
    """When the browser is gone, nobody asks the store any more."""
    monkeypatch.setattr(status, "_POLL", 0.0)
    monkeypatch.setattr(status, "_QUIET", 1)
    ticket = job.later()
    client = listen(server, ticket)
    client.recv(1)
    client.close()
    server.until(lambda: not server.server._connections)


def test_a_drain_is_not_held_up(app, job, server, monkeypatch):
    """A stream ends when its server is to end."""
    monkeypatch.setattr(status, "is_draining", lambda portal: True)
    (event,) = events(read(listen(server, job.later())))
    assert event["state"] == "queued"
