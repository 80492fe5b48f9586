"""Handlers that override what Tornado calls."""

from __future__ import annotations

from typing import Any

from tornado.log import app_log
from tornado.web import HTTPError, RequestHandler

from tests.differential.table import Site, Table, request

table = Table("overrides")


@table.case()
def write_overridden() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("a")
            self.finish("b")

        def write(self, chunk: Any) -> None:
            super().write(f"[{chunk}]")

    return Handler


@table.case()
def finish_overridden() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("auto-finished")

        def finish(self, chunk: Any = None) -> Any:
            self.set_header("X-Finished", type(self).__name__)
            return super().finish(chunk)

    return Handler


@table.case()
def render_overridden() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.render("page.html")

        def render(self, template_name: str, **kwargs: Any) -> Any:
            return super().render(template_name, title="t", items=[1], **kwargs)

    return Handler


@table.case(request("/", "Accept: x"))
def redirect_overridden() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.redirect("/a")

        def redirect(self, url: str, *args: Any, **kwargs: Any) -> None:
            self.set_header("X-To", url)
            super().redirect(url, permanent=True)

    return Handler


@table.case()
def default_headers() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.clear()
            raise HTTPError(400)

        def set_default_headers(self) -> None:
            self.set_header("Server", "ours")
            self.set_header("X-Default", "1")

    return Handler


@table.case()
def hooks_in_order() -> Site:
    class Handler(RequestHandler):
        def initialize(self) -> None:
            self.events = ["initialize"]

        def prepare(self) -> None:
            self.events.append("prepare")

        def get(self) -> None:
            self.events.append("get")
            self.write(" ".join(self.events))

        def on_finish(self) -> None:
            self.events.append("on_finish")
            app_log.info("%s", self.events)

    return Handler


@table.case(request(), moves=False)
def prepare_finishes() -> Site:
    class Handler(RequestHandler):
        def prepare(self) -> None:
            self.finish("enough")

        def get(self) -> None:
            self.write("not reached")

    return Handler


@table.case(moves=False)
def prepare_redirects() -> Site:
    class Handler(RequestHandler):
        def prepare(self) -> None:
            self.set_cookie("next", "here")
            self.redirect("/login")

        def get(self) -> None:
            self.write("not reached")

    return Handler


@table.case()
def prepare_is_a_coroutine() -> Site:
    class Handler(RequestHandler):
        async def prepare(self) -> None:
            self.set_header("X-Prepared", "1")

        def get(self) -> None:
            self.write("ok")

    return Handler


@table.case()
def log_overridden() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("ok")

        def _log(self) -> None:
            app_log.warning("own access log: %d", self.get_status())

    return Handler


@table.case(request("/%C5%BE/caf%E9/x"))
def arguments_decoded_otherwise() -> Site:
    class Handler(RequestHandler):
        def get(self, first: str, second: str) -> None:
            self.write({"first": first, "second": second, "kwargs": self.path_kwargs})

        def decode_argument(self, value: bytes, name: Any = None) -> str:
            return value.decode("utf-8" if len(value) == 2 else "latin1")

    return [(r"/([^/]*)/([^/]*)/x", Handler)]


@table.case()
def methods_of_its_own() -> Site:
    class Handler(RequestHandler):
        SUPPORTED_METHODS = (*RequestHandler.SUPPORTED_METHODS, "GIT")

        def get(self) -> None:
            self.write(",".join(self.SUPPORTED_METHODS))

    return Handler


@table.case()
def log_fails() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("ok")

        def _log(self) -> None:
            raise ValueError("in _log")

    return Handler


@table.case()
def finish_fails_once() -> Site:
    """Where Tornado finishes by itself, an error in `finish` still gets a page."""

    class Handler(RequestHandler):
        failed = False

        def get(self) -> None:
            self.write("auto-finished")

        def finish(self, chunk: Any = None) -> Any:
            if not self.failed:
                self.failed = True
                raise HTTPError(503, "in finish")
            return super().finish(chunk)

    return Handler


@table.case()
def finish_is_a_coroutine() -> Site:
    """Nobody awaits what `finish` returns to Tornado itself."""

    class Handler(RequestHandler):
        def get(self) -> Any:
            return self.finish("awaited")

        async def finish(self, chunk: Any = None) -> Any:  # type: ignore[override]
            self.set_header("X-Own", "1")
            await super().finish(chunk)

    return Handler


@table.case()
def tag_fails() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("x")

        def compute_etag(self) -> str:
            raise ValueError("in compute_etag")

    return Handler


@table.case()
def prepare_returns_a_coroutine() -> Site:
    class Handler(RequestHandler):
        def prepare(self) -> Any:
            return self.load()

        async def load(self) -> None:
            self.loaded = "loaded"

        def get(self) -> None:
            self.write(self.loaded)

    return Handler
