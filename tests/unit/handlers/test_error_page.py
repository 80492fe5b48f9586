"""A copy of the handler renders an error page while a worker holds the handler."""

from __future__ import annotations

from typing import Any

import pytest
from tornado.web import OutputTransform, RequestHandler, UIModule

from tests.unit.handlers.conftest import TIMEOUT, slow_handler
from tornado_unblock import RunTimeoutError, unblock
from tornado_unblock._handlers.hooks import Hook, install_hook


def test_timeout_is_rendered_by_the_handlers_own_write_error(
    make_server, gate, timeout_logs, tmp_path
):
    """With a template and UI modules, on a copy the worker does not hold."""
    (tmp_path / "error.html").write_text("{{ status }} {% module Sign(user) %}")

    class Sign(UIModule):
        def render(self, user: str) -> str:
            selves.append(self.handler)
            return f"for {user}"

    def prepare(self: Any) -> None:
        selves.append(self)
        self.user = "ann"

    def write_error(self: Any, status: int, **kwargs: Any) -> None:
        selves.append(self)
        assert isinstance(kwargs["exc_info"][1], RunTimeoutError)
        self.render("error.html", status=status, user=self.user)

    selves: list[Any] = []
    server = make_server(
        ("/", slow_handler(gate, prepare=prepare, write_error=write_error)),
        template_path=str(tmp_path),
        ui_modules={"Sign": Sign},
    )
    assert server.get("/").body == b"504 for ann"
    original, shown, module_handler = selves
    assert shown is module_handler
    assert shown is not original
    gate.open.set()
    assert gate.done.wait(10)
    selves.clear()


def test_the_copy_has_no_hooks(make_server, gate, timeout_logs):
    """What stands before a method of the handler is not called for its copy."""
    called: list[str] = []

    def prepare(self: Any) -> None:
        install_hook(self, "log_exception", Hook(called.append))

    server = make_server(("/", slow_handler(gate, prepare=prepare)))
    assert server.get("/").status == 504
    assert called == []


def test_transforms_that_the_body_is_at_work_with(make_server, gate, allow_log):
    """The page has transforms of its own, and cookies: the body goes on with its."""
    allow_log("tornado", "still running|504 GET")

    class Once(OutputTransform):
        used = False

        def transform_first_chunk(self, *args: Any) -> Any:
            assert not self.used
            self.used = True
            status, headers, chunk, _ = args
            if status == 200:
                gate.hold()
            return status, headers, chunk

    class Handler(RequestHandler):
        @unblock(timeout=TIMEOUT)
        def get(self) -> None:
            self.set_cookie("of", "body")
            try:
                self.flush()
            finally:
                gate.notes.append(list(self._new_cookie))
                gate.done.set()

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.set_cookie("of-page", "page")
            self.finish("page")

    answer = make_server(("/", Handler), transforms=[Once]).get("/")
    assert (answer.status, answer.body) == (504, b"page")
    assert answer.raw.count(b"Set-Cookie: ") == 2
    gate.open.set()
    assert gate.done.wait(10)
    assert gate.notes == [["of"]]


@pytest.mark.parametrize(("sent", "own"), [(0, 0), (1, 0), (1, 1)])
def test_transform_that_raises(make_server, gate, allow_log, sent, own):
    """Before the head is sent the page is plain; after it the connection is closed."""
    allow_log("tornado", "")

    class Raises(OutputTransform):
        def transform_first_chunk(self, *args: Any) -> Any:
            if not sent:
                raise LookupError
            return args[:3]

        def transform_chunk(self, *args: Any) -> Any:
            raise LookupError

    class Handler(RequestHandler):
        @unblock(timeout=TIMEOUT)
        def get(self) -> None:
            if sent:
                self.flush()
            gate.hold()
            gate.done.set()

        def send_error(self, *args: Any, **kwargs: Any) -> None:
            if own:
                raise KeyError
            super().send_error(*args, **kwargs)

    answer = make_server(("/", Handler), transforms=[Raises]).get("/")
    assert answer.status == (200 if sent else 500)
    assert answer.body == b""
    gate.open.set()
    assert gate.done.wait(10)
