"""A copy of the handler renders an error page while a worker holds the handler."""

from __future__ import annotations

from typing import Any

from tornado.web import UIModule

from tests.unit.handlers.conftest import slow_handler
from tornado_unblock import RunTimeoutError
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
    gate.open.set()
    assert gate.done.wait(10)
