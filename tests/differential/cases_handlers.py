"""Handlers as they grow over the years: overrides, inheritance, attributes."""

from __future__ import annotations

import copy
from typing import Any

from tornado.web import ErrorHandler, RequestHandler, url

from tests.differential.table import Site, Table, request

table = Table("handlers")


# --- inheritance ----------------------------------------------------------------------


@table.case()
def super_get() -> Site:
    class Base(RequestHandler):
        def get(self) -> None:
            self.write("base ")

    class Handler(Base):
        def get(self) -> None:
            super().get()
            self.write("derived ")
            Base.get(self)

    return Handler


@table.case()
def super_get_that_finishes() -> Site:
    class Base(RequestHandler):
        def get(self) -> Any:
            return self.finish("base")

    class Handler(Base):
        def get(self) -> Any:
            self.set_header("X-Derived", "1")
            return super().get()

    return Handler


@table.case()
def verb_of_a_mixin() -> Site:
    class Mixin:
        def get(self) -> None:
            self.write(self.greeting())  # type: ignore[attr-defined]

    class Handler(Mixin, RequestHandler):
        def greeting(self) -> str:
            return "mixed in"

    return Handler


@table.case(request(method="POST", body=b""))
def verbs_that_share_a_function() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write(str(self.request.method))

        post = put = get

    return Handler


@table.case(request(method="POST", body=b"q=1"))
def one_verb_calls_another() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write(f"get for {self.request.method}")

        def post(self) -> None:
            self.get()

    return Handler


@table.case(request("/7/x"))
def path_arguments() -> Site:
    class Handler(RequestHandler):
        def get(self, number: str, *, name: str = "none") -> None:
            self.write(f"{number} {name} {self.path_args}")

    return [(r"/(\d+)/x", Handler)]


@table.case(request("/7/x"))
def named_path_arguments_and_options() -> Site:
    class Handler(RequestHandler):
        def initialize(self, option: str) -> None:
            self.option = option

        def get(self, number: str, name: str) -> None:
            self.write(f"{number} {name} {self.option}")

    return [(r"/(?P<number>\d+)/(?P<name>.)", Handler, {"option": "given"})]


@table.case(request("/"))
def wrong_signature() -> Site:
    class Handler(RequestHandler):
        def get(self, number: str) -> None:
            self.write(number)

    # The path gives it nothing.
    return Handler


# --- attributes and identity ----------------------------------------------------------


@table.case()
def getattr_defined() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write(self.anything + self.else_)

        def __getattr__(self, name: str) -> str:
            if name.startswith("_") or name in ("data_received",):
                raise AttributeError(name)
            return f"<{name}>"

    return Handler


@table.case()
def setattr_defined() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.own = 1
            self.write(f"{'own' in self.seen} {'_finished' in self.seen}")

        def __setattr__(self, name: str, value: Any) -> None:
            vars(self).setdefault("seen", set()).add(name)
            super().__setattr__(name, value)

    return Handler


@table.case(request(close=False) + request())
def attribute_of_the_class() -> Site:
    class Handler(RequestHandler):
        hits = 0

        def get(self) -> None:
            type(self).hits += 1
            self.write(f"{self.hits} {Handler.hits} {self.__class__.__name__}")

    return Handler


@table.case()
def self_is_self() -> Site:
    class Handler(RequestHandler):
        def prepare(self) -> None:
            self.application.last = self  # type: ignore[attr-defined]

        def get(self) -> None:
            same = self.application.last is self  # type: ignore[attr-defined]
            ui = self.ui["modules"].handler is self
            self.write(f"{same} {ui} {isinstance(self, Handler)}")
            del self.application.last  # type: ignore[attr-defined]

    return Handler


@table.case()
def self_copied() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            twin = copy.copy(self)
            twin.extra = "extra"
            self.write(f"{hasattr(self, 'extra')} {twin.request is self.request}")
            twin.write("; through the copy")

    return Handler


@table.case()
def methods_taken_apart() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            write, finish = self.write, self.finish
            for part in map(str, range(3)):
                write(part)
            getattr(self, "set_header")("X-Apart", "1")  # noqa: B009
            finish()

    return Handler


# --- application ----------------------------------------------------------------------


@table.case(
    request("/named/7"),
    settings={"answer": 42, "static_path": __file__.rpartition("/")[0]},
)
def settings_and_urls() -> Site:
    class Handler(RequestHandler):
        def get(self, number: str) -> None:
            self.write({"answer": self.settings["answer"], "number": number})
            self.set_header("X-Url", self.reverse_url("named", "8"))
            self.set_header("X-Static", self.static_url("page.html", include_host=True))
            self.set_header("X-Login", self.settings.get("login_url", "none"))

    return [url(r"/named/(\d+)", Handler, name="named")]


@table.case(request("/missing"))
def default_handler() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.set_status(404)
            self.write(f"no {self.request.path}, {self.why}")

        def initialize(self, why: str) -> None:
            self.why = why

    return [("/", ErrorHandler, {"status_code": 500})], {
        "default_handler_class": Handler,
        "default_handler_args": {"why": "because"},
    }
