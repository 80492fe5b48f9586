"""What all handlers inherit: the session, the user, the error page, JSON."""

from __future__ import annotations

import asyncio
import functools
from typing import Any, Callable, Optional, Union

import tornado.escape
import tornado.web

from examples.legacy_app.models import Message, Session, User


class BaseHandler(tornado.web.RequestHandler):
    """Opens the thread's session in `prepare` and removes it in `on_finish`."""

    db = Session

    def prepare(self) -> None:
        Session()

    def on_finish(self) -> None:
        Session.remove()

    def get_current_user(self) -> Optional[User]:
        number = self.get_secure_cookie("user")
        return self.db.get(User, int(number)) if number else None

    def get_template_namespace(self) -> dict[str, Any]:
        namespace = super().get_template_namespace()
        namespace["site_name"] = "The Corner Office"
        namespace["message_count"] = self.db.query(Message).count()
        return namespace

    def finish(
        self, chunk: Optional[Union[str, bytes, dict[str, Any]]] = None
    ) -> asyncio.Future[None]:
        self.set_header("X-Request-Time", f"{self.request.request_time():.3f}")
        return super().finish(chunk)

    def write_json(self, value: Any) -> None:
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.finish(tornado.escape.json_encode(value))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.db.rollback()
        self.render("error.html", status=status_code, reason=self._reason)


class NotFoundHandler(BaseHandler):
    """Answers where no route matches."""

    def prepare(self) -> None:
        super().prepare()
        raise tornado.web.HTTPError(404)


def session_per_event(method: Callable[..., None]) -> Callable[..., None]:
    """Remove the session after what a WebSocket does: `on_finish` is long past."""

    @functools.wraps(method)
    def wrapper(self: BaseHandler, *args: Any) -> None:
        try:
            method(self, *args)
        finally:
            Session.remove()

    return wrapper
