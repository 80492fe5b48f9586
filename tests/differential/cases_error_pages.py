"""Error pages and logs, and the methods that make them."""

from __future__ import annotations

import sys
import traceback
from typing import Any

from tornado.log import app_log
from tornado.web import HTTPError, RequestHandler

from tests.differential.table import Site, Table, request

table = Table("error_pages")


@table.body()
def send_error(self: RequestHandler) -> None:
    self.write("dropped")
    self.send_error(503)


@table.body()
def send_error_with_reason(self: RequestHandler) -> Any:
    return self.send_error(503, reason="Tea Time")


@table.body()
def send_error_after_flush(self: RequestHandler) -> None:
    self.write("sent")
    self.flush()
    self.send_error(500)


@table.body()
def send_error_after_finish(self: RequestHandler) -> None:
    self.finish("sent")
    self.send_error(500)


@table.case()
def send_error_with_kwargs() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.send_error(422, detail="too odd", reason="Odd")

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.set_header("X-Detail", kwargs["detail"])
            self.finish({"status": status_code, "reason": self._reason})

    return Handler


@table.case()
def write_error_overridden() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            raise LookupError("nothing there")

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            kind, error, _ = kwargs["exc_info"]
            self.set_header("Content-Type", "text/plain")
            self.write(f"{status_code} {kind.__name__} {error}")

    return Handler


@table.case()
def write_error_fails() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            raise LookupError("nothing there")

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.write("half")
            raise ValueError("in write_error")

    return Handler


@table.case()
def write_error_redirects() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            raise HTTPError(403)

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.redirect(f"/error/{status_code}")

    return Handler


@table.case()
def log_exception_overridden() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            raise LookupError("nothing there")

        def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
            app_log.critical("own log: %s %r", typ.__name__, value, exc_info=value)

    return Handler


@table.case()
def log_exception_fails() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            raise LookupError("nothing there")

        def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
            raise ValueError("in log_exception")

    return Handler


@table.case()
def request_summary_overridden() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            raise HTTPError(400, "bad")

        def _request_summary(self) -> str:
            return "summary"

    return Handler


@table.case(
    settings={
        "log_function": lambda handler: app_log.info("logged %s", handler.get_status())
    }
)
def log_function_set() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            raise HTTPError(400)

    return Handler


@table.case()
def write_error_looks_at_the_error() -> Site:
    """The error is the very object that the body raised, being handled."""

    class Handler(RequestHandler):
        def get(self) -> None:
            self.error = LookupError("x")
            raise self.error

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            frames = traceback.extract_tb(kwargs["exc_info"][2])
            self.write(
                {
                    "same": kwargs["exc_info"][1] is self.error,
                    "handled": sys.exc_info()[1] is self.error,
                    "raised in": frames[-1].name,
                    "no context": self.error.__context__ is None,
                }
            )

    return Handler


@table.body()
def cookie_secret_missing(self: RequestHandler) -> None:
    self.set_secure_cookie("a", "b")


@table.body()
def error_handled_by_the_body(self: RequestHandler) -> None:
    try:
        raise KeyError("handled")
    except KeyError:
        self.send_error(409)


# --- in other methods than the verb ---------------------------------------------------


@table.case(moves=False)
def prepare_fails() -> Site:
    class Handler(RequestHandler):
        def prepare(self) -> None:
            raise HTTPError(401)

        def get(self) -> None:
            self.write("not reached")

    return Handler


@table.case()
def on_finish_fails() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("sent")

        def on_finish(self) -> None:
            raise ValueError("in on_finish")

    return Handler


@table.case()
def on_finish_fails_after_finish() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.finish("sent")
            app_log.info("not reached")

        def on_finish(self) -> None:
            raise ValueError("in on_finish")

    return Handler


@table.case(request(method="PATCH", body=b"x"), moves=False)
def method_not_implemented() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("not reached")

    return Handler


@table.case(request(method="BREW"), moves=False)
def method_unknown() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("not reached")

    return Handler
