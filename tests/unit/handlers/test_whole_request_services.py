"""Shapes of code that ten-year-old services are made of."""

from __future__ import annotations

import contextvars
import functools
import inspect
import threading
from typing import Any, Callable

import pytest
from tornado.web import Application, HTTPError, RequestHandler

from tests.patience import WAIT
from tornado_unblock import unblock, unblock_application


def serve(make_server: Any, cls: Any, mode: str, **settings: Any) -> Any:
    """Serve ``cls`` at ``/``, moved in this mode."""
    if mode == "class":
        cls = unblock(cls)
    server = make_server()
    app = Application([("/", cls)], **settings)
    if mode == "application":
        unblock_application(app)
    server.call(server.server.stop)
    server.serve(app)
    return server


MODES = pytest.mark.parametrize("mode", ["inline", "class", "application"])


def many(server: Any, count: int, path: str = "/") -> list[bytes]:
    """Send requests at once; return their bodies."""
    clients = [server.send(path.format(number)) for number in range(count)]
    bodies = []
    for client in clients:
        answer = b""
        while part := client.recv(65536):
            answer += part
        bodies.append(answer.partition(b"\r\n\r\n")[2])
    return bodies


@pytest.mark.filterwarnings("ignore:.*on the loop thread remains")
@pytest.mark.parametrize("names", [("get",), ("prepare", "get"), ("get", "on_finish")])
def test_sqlalchemy_session_of_a_context_around_methods(make_server, tmp_path, names):
    """What belongs to the context of a request is there wherever its parts run."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    orm = pytest.importorskip("sqlalchemy.orm")
    request: contextvars.ContextVar[object] = contextvars.ContextVar("request")
    engine = sqlalchemy.create_engine(
        f"sqlite:///{tmp_path}/db",
        poolclass=sqlalchemy.pool.NullPool,
        connect_args={"check_same_thread": False},
    )
    Session = orm.scoped_session(orm.sessionmaker(engine), request.get)

    class Handler(RequestHandler):
        def prepare(self) -> None:
            self.token = request.set(object())
            self.db = Session()

        def get(self) -> None:
            assert Session() is self.db
            self.write(f"{Session.execute(sqlalchemy.text('select 42')).scalar()}")

        def on_finish(self) -> None:
            assert Session() is self.db
            Session.remove()
            request.reset(self.token)
            finished.release()

    for name in names:
        setattr(Handler, name, unblock(getattr(Handler, name)))
    finished = threading.Semaphore(0)
    server = serve(make_server, Handler, "method")
    assert many(server, 20) == [b"42"] * 20
    for _ in range(20):
        assert finished.acquire(timeout=WAIT)
    assert not Session.registry.registry
    engine.dispose()


@MODES
@pytest.mark.parametrize("scope", ["thread", "context"])
def test_sqlalchemy_session_per_request(make_server, tmp_path, mode, scope):
    """Opened in prepare, removed in on_finish; none is left, none is shared."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    orm = pytest.importorskip("sqlalchemy.orm")
    request: contextvars.ContextVar[object] = contextvars.ContextVar("request")
    engine = sqlalchemy.create_engine(
        f"sqlite:///{tmp_path}/db", poolclass=sqlalchemy.pool.NullPool
    )
    scopes = {"thread": None, "context": request.get}
    Session = orm.scoped_session(orm.sessionmaker(engine), scopes[scope])
    sessions: list[int] = []

    class Base(RequestHandler):
        def prepare(self) -> None:
            request.set(object())
            self.db = Session()
            sessions.append(id(self.db))

        def get_current_user(self) -> Any:
            assert Session() is self.db
            return Session.execute(sqlalchemy.text("select 'ann'")).scalar()

        def on_finish(self) -> None:
            assert Session() is self.db
            Session.remove()
            finished.release()

    class Handler(Base):
        def get(self) -> None:
            number = Session.execute(sqlalchemy.text("select 40 + 2")).scalar()
            self.write(f"{number} for {self.current_user}")

    finished = threading.Semaphore(0)
    server = serve(make_server, Handler, mode)
    assert many(server, 20) == [b"42 for ann"] * 20
    for _ in range(20):
        assert finished.acquire(timeout=WAIT)
    assert len(sessions) == 20
    engine.dispose()


@MODES
def test_peewee_connection_per_request(make_server, tmp_path, mode):
    """``connect`` in prepare and ``close`` in on_finish are thread-bound in peewee."""
    peewee = pytest.importorskip("peewee")
    db = peewee.SqliteDatabase(str(tmp_path / "db"))

    class Order(peewee.Model):  # type: ignore[misc]
        number = peewee.IntegerField()

        class Meta:
            database = db

    with db:
        db.create_tables([Order])
        Order.create(number=7)

    class Handler(RequestHandler):
        def prepare(self) -> None:
            db.connect()

        def get(self) -> None:
            self.write({"orders": [order.number for order in Order.select()]})

        def on_finish(self) -> None:
            db.close()
            finished.release()

    finished = threading.Semaphore(0)
    server = serve(make_server, Handler, mode)
    assert many(server, 10) == [b'{"orders": [7]}'] * 10
    for _ in range(10):
        assert finished.acquire(timeout=WAIT)


def dispatched(cls: Any) -> Any:
    """Route every verb of a class through one dispatcher, as some bases do."""
    for verb in ("get", "post"):
        own = getattr(cls, verb)

        def dispatch(self: Any, *args: Any, _own: Any = own, **kwargs: Any) -> None:
            self.set_header("X-Dispatched", _own.__name__)
            try:
                self.write_json(_own(self, *args, **kwargs))
            except KeyError as error:
                raise HTTPError(400, "no %s", error) from error

        setattr(cls, verb, dispatch)
    return cls


@MODES
def test_class_decorator_that_dispatches(make_server, expect_log, mode):
    """With a ``write_json`` that finishes, and a ``finish`` that adds a header."""
    expect_log("tornado.general", "400 POST /.*no 'missing'")
    expect_log("tornado.access", "400 POST /")

    class Base(RequestHandler):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("service_"):
                return lambda: name
            raise AttributeError(name)

        def write_json(self, value: Any) -> None:
            self.finish({"result": value})

        def finish(self, chunk: Any = None) -> Any:
            self.set_header("X-Frame-Options", "DENY")
            return super().finish(chunk)

    @dispatched
    class Handler(Base):
        def get(self) -> Any:
            return self.service_orders()

        def post(self) -> Any:
            return {}["missing"]

    server = serve(make_server, Handler, mode)
    response = server.get("/")
    assert response.body == b'{"result": "service_orders"}'
    assert response.headers["X-Dispatched"] == "get"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert server.get("/", method="POST").status == 400


def authorised(method: Callable[..., Any]) -> Callable[..., Any]:
    """Check a token, then run the method; awaits only coroutines."""

    @functools.wraps(method)
    async def around(self: Any, *args: Any, **kwargs: Any) -> None:
        if self.get_argument("token", None) != "secret":
            raise HTTPError(401)
        if inspect.iscoroutinefunction(method):
            await method(self, *args, **kwargs)
        else:
            method(self, *args, **kwargs)

    return around


@MODES
def test_auth_decorator_that_awaits_only_coroutines(make_server, expect_log, mode):
    """It makes the verb a coroutine, so it stays on the loop thread."""
    expect_log("tornado.access", "401 GET /")

    class Handler(RequestHandler):
        @authorised
        def get(self) -> None:
            self.write("allowed")

    server = serve(make_server, Handler, mode)
    assert server.get("/?token=secret").body == b"allowed"
    assert server.get("/").status == 401


@MODES
def test_login_flow(make_server, expect_log, mode):
    """Signed cookie, xsrf and redirects."""
    expect_log("tornado.general", "403 POST /")
    expect_log("tornado.access", "403 POST /")

    class Handler(RequestHandler):
        def get_current_user(self) -> Any:
            user = self.get_secure_cookie("user")
            return user and user.decode()

        def get(self) -> None:
            if not self.current_user:
                self.write(self.xsrf_token)
                return
            self.write(f"hello {self.current_user}")

        def post(self) -> None:
            self.set_secure_cookie("user", self.get_argument("name"))
            self.redirect("/")

    server = serve(
        make_server, Handler, mode, cookie_secret="s" * 32, xsrf_cookies=True
    )
    page = server.get("/")
    xsrf = page.headers["Set-Cookie"].partition(";")[0]
    assert server.get("/?name=ann", method="POST").status == 403
    form = f"/?name=ann&_xsrf={page.body.decode()}"
    done = server.get(form, method="POST", headers=f"Cookie: {xsrf}\r\n")
    assert (done.status, done.headers["Location"]) == (302, "/")
    cookie = done.headers["Set-Cookie"].partition(";")[0]
    assert server.get("/", headers=f"Cookie: {cookie}\r\n").body == b"hello ann"
