"""Bodies that render: templates, UI modules, namespaces, locales."""

from __future__ import annotations

import itertools
from typing import Any

from tornado import locale
from tornado.template import DictLoader
from tornado.web import RequestHandler, UIModule

from tests.differential.table import Site, Table, request

table = Table("templates")


_numbers = itertools.count()


def pages(**sources: str) -> dict[str, Any]:
    """Return settings with a loader of these templates."""
    return {
        "template_loader": DictLoader({f"{n}.html": s for n, s in sources.items()}),
        # Tornado keeps loaders by path, for all applications.
        "template_path": f"pages/{next(_numbers)}",
    }


# --- pages ----------------------------------------------------------------------------


@table.body()
def page_beside_the_module(self: RequestHandler) -> None:
    """Tornado looks for it next to the file of the function that renders."""
    self.render("page.html", title="a < b", items=["&", "ž"])


@table.body()
def return_render(self: RequestHandler) -> Any:
    return self.render("page.html", title="returned", items=range(3))


@table.body()
def render_string(self: RequestHandler) -> None:
    self.write("<div>")
    self.write(self.render_string("page.html", title="t", items=[]))
    self.write("</div>")


@table.body(settings=pages(p="{{ request.path }} {{ handler.request.method }} {{ x }}"))
def namespace(self: RequestHandler) -> None:
    self.render("p.html", x=locale.get("en_US").code)


@table.body(settings=pages(p="{% raw a %}{{ escape(a) }}{{ url_escape(a) }}"))
def escaping(self: RequestHandler) -> None:
    self.render("p.html", a="<b> & c")


@table.body(settings={**pages(p="{{ a }}"), "autoescape": None})
def escaping_off(self: RequestHandler) -> None:
    self.render("p.html", a="<b>")


@table.body(
    settings=pages(
        base="[{% block b %}{% end %}]",
        p='{% extends "base.html" %}{% block b %}{% include "part.html" %}{% end %}',
        part="{{ n }}",
    )
)
def inheritance(self: RequestHandler) -> None:
    self.render("p.html", n=1)


@table.body(settings=pages(p="{{ missing }}"))
def name_missing(self: RequestHandler) -> None:
    self.render("p.html")


@table.body(settings=pages(p="{% if %}"))
def template_broken(self: RequestHandler) -> None:
    self.render("p.html")


@table.body()
def template_missing(self: RequestHandler) -> None:
    self.render("nowhere.html")


@table.body(settings=pages(p="{{ a }}"))
def render_then_more(self: RequestHandler) -> None:
    """The response ends with `render`; what follows is an error."""
    self.render("p.html", a=1)
    self.write("more")


@table.body(request(method="HEAD"), settings=pages(p="{{ a }}"))
def render_for_head(self: RequestHandler) -> None:
    self.set_status(202)
    self.render("p.html", a=1)


@table.body(
    settings={
        **pages(p="{% module xsrf_form_html() %}{{ static_url('a.js') }}"),
        "static_path": __file__.rpartition("/")[0],
        "xsrf_cookies": True,
    }
)
def helpers(self: RequestHandler) -> None:
    self.render("p.html")


@table.case(settings=pages(p="{{ own }} {{ given }} {{ handler.attribute }}"))
def namespace_overridden() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.attribute = "attribute"
            self.render("p.html", given="given")

        def get_template_namespace(self) -> dict[str, Any]:
            return {**super().get_template_namespace(), "own": "own"}

    return Handler


@table.case()
def template_path_overridden() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.render("page.html", title="found", items=[])

        def get_template_path(self) -> str:
            return __file__.rpartition("/")[0]

    return Handler


@table.case(
    request("/", "Accept-Language: cs;q=0.5, en"),
    settings=pages(p="{{ _('yes') }} {{ locale.code }}"),
)
def locale_of_the_browser() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.render("p.html")

    return Handler


@table.case(settings=pages(p="{{ locale.code }} {{ current_user }}"))
def locale_of_the_user() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.render("p.html")

        def get_current_user(self) -> str:
            return "zoë"

        def get_user_locale(self) -> locale.Locale:
            assert self.current_user
            return locale.get("en_US")

    return Handler


# --- UI modules -----------------------------------------------------------------------


class Widget(UIModule):
    def render(self, name: str) -> str:  # type: ignore[override]
        return f"<i>{name} by {type(self.handler).__name__}</i>"

    def embedded_javascript(self) -> str:
        return "widget();"

    def embedded_css(self) -> str:
        return "i { color: red }"

    def javascript_files(self) -> list[str]:
        return ["widget.js", "/absolute.js", "https://cdn/x.js"]

    def css_files(self) -> str:
        return "widget.css"

    def html_head(self) -> str:
        return "<meta name=widget>"

    def html_body(self) -> str:
        return "<!-- widget -->"


class Plain(UIModule):
    def render(self) -> Any:  # type: ignore[override]
        return self.render_string("part.html", user=self.current_user)


class Failing(UIModule):
    def render(self) -> str:  # type: ignore[override]
        raise ValueError("in a module")


PAGE = (
    "<html><head></head><body>"
    "{% module Widget('a') %}{% module Plain() %}"
    "</body></html>"
)
MODULES: dict[str, Any] = {
    **pages(
        p=PAGE,
        failing="{% module Failing() %}",
        unknown="{% module Unknown() %}",
        part="({{ user }})",
        nested="<head></head><body>{% module Template('inner.html', n=1) %}</body>",
        inner="{{ set_resources(embedded_css='n', javascript_files='n.js') }}{{ n }}",
        method="{{ shout('a') }}",
    ),
    "ui_modules": {"Widget": Widget, "Plain": Plain, "Failing": Failing},
    "ui_methods": {"shout": lambda handler, text: f"{text}! {handler.request.path}"},
    "static_path": "/nowhere",
    "static_hash_cache": True,
}


def rendering(name: str) -> Any:
    def body(self: RequestHandler) -> None:
        self.render(f"{name}.html")

    body.__name__ = f"modules_{name}"
    return body


for _name in ("p", "failing", "unknown", "nested", "method"):
    table.body(settings=MODULES)(rendering(_name))


@table.case(settings=MODULES)
def module_output_overridden() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.render("p.html")

        def render_linked_js(self, js_files: Any) -> str:
            return f"<!-- {sorted(js_files)} -->"

        def render_embed_css(self, css_embed: Any) -> bytes:
            return b"<!-- css -->"

    return Handler


@table.case(settings=MODULES)
def module_counts() -> Site:
    """A module's active instances last as long as the request."""

    class Handler(RequestHandler):
        def get(self) -> None:
            for _ in range(2):
                self.write(self.ui["modules"]["Widget"]("b"))
            self.write(str(len(self._active_modules)))

        def get_current_user(self) -> str:
            return "user"

    return Handler
