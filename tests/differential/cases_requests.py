"""What a body asks of its request, and decorators around bodies."""

from __future__ import annotations

import functools
from typing import Any, Callable

from tornado import locale
from tornado.escape import json_decode
from tornado.web import (
    HTTPError,
    RequestHandler,
    addslash,
    authenticated,
    create_signed_value,
    removeslash,
)

from tests.differential.table import NOW, Decorator, Site, Table, request

table = Table("requests")
FORM = "Content-Type: application/x-www-form-urlencoded"
LOGIN = {"login_url": "/login"}
SECRET = {"cookie_secret": "s3cret"}
SIGNED = create_signed_value("s3cret", "user", "zoë", clock=lambda: NOW).decode()


# --- arguments, cookies, locale -----------------------------------------------------


@table.body(request("/?q=%C5%BE&q=2&empty=&sp=%20x%20"))
def query_arguments(self: RequestHandler) -> None:
    self.write(
        {
            "last": self.get_query_argument("q"),
            "all": self.get_arguments("q"),
            "default": self.get_argument("none", "default"),
            "empty": self.get_argument("empty"),
            "stripped": self.get_argument("sp"),
            "not": self.get_argument("sp", strip=False),
        }
    )


@table.body(request("/?a=query", FORM, method="POST", body=b"a=body&b=%C3%BC+x"))
def form_arguments(self: RequestHandler) -> None:
    self.write(
        {
            "both": self.get_arguments("a"),
            "body": self.get_body_arguments("a"),
            "query": self.get_query_arguments("a"),
            "b": self.get_body_argument("b"),
        }
    )


@table.body(request("/?a=%FF"))
def argument_that_is_no_utf8(self: RequestHandler) -> None:
    self.write(self.get_argument("a"))


@table.body(
    request("/", "Content-Type: application/json", method="POST", body=b'{"a": [1]}')
)
def json_body(self: RequestHandler) -> None:
    self.write({"got": json_decode(self.request.body)})


@table.body(request(method="POST", body=b"{"))
def json_body_broken(self: RequestHandler) -> None:
    json_decode(self.request.body)


@table.body(request("/a/b?c=d", "X-Two: 1", "x-two: 2", "Referer: /from"))
def request_attributes(self: RequestHandler) -> None:
    r = self.request
    self.write({"uri": r.uri, "host": r.host, "two": r.headers.get_list("X-Two")})
    self.set_header("X-Url", r.full_url())
    self.set_header("X-From", r.headers["Referer"])
    self.set_header("X-Took-Time", str(r.request_time() >= 0))


@table.body(request("/", f"Cookie: user={SIGNED}; x=1"), settings=SECRET)
def signed_cookie_read(self: RequestHandler) -> None:
    value = self.get_secure_cookie("user")
    assert value is not None
    self.write(value)
    self.write(repr(self.get_secure_cookie("x")))
    self.write(str(self.get_secure_cookie_key_version("user")))


@table.body(request("/", "Accept-Language: pt-br;q=0.3, en-us"))
def locale_of_the_browser(self: RequestHandler) -> None:
    self.write(f"{self.locale.code} {self.get_browser_locale().code}")
    assert isinstance(self.locale, locale.Locale)


# --- users ----------------------------------------------------------------------------


@table.case()
def current_user_is_asked_once() -> Site:
    class Handler(RequestHandler):
        asked = 0

        def get(self) -> None:
            self.write(f"{self.current_user} {self.current_user} {self.asked}")
            self.current_user = "other"
            self.write(f" {self.current_user}")

        def get_current_user(self) -> str:
            self.asked += 1
            return "user"

    return Handler


@table.case()
def current_user_fails() -> Site:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write(self.current_user)

        def get_current_user(self) -> str:
            raise HTTPError(401, "no %s", "user")

    return Handler


def user_handler(verb: Callable[..., Any], *, user: Any = None) -> type[RequestHandler]:
    class Handler(RequestHandler):
        get = post = verb

        def get_current_user(self) -> Any:
            return user

    return Handler


def greet(self: RequestHandler) -> None:
    self.write(f"hello {self.current_user}")


def place_around(decorate: Decorator, **options: Any) -> Callable[[Decorator], Site]:
    return lambda place: user_handler(place(decorate(greet)), **options)


def place_inside(decorate: Decorator, **options: Any) -> Callable[[Decorator], Site]:
    return lambda place: user_handler(decorate(place(greet)), **options)


def both_orders(
    name: str, decorate: Decorator, *steps: bytes, moves: bool = True, **options: Any
) -> None:
    """Add a case for each order of ``decorate`` and the one the mode places."""
    for order, build, moved in (
        ("outside", place_around, True),
        ("inside", place_inside, moves),
    ):
        site = build(decorate, **options)
        site.__name__ = f"{name}_{order}"
        table.case(*steps, settings=LOGIN, moves=moved)(site)


def wrapped(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def method(self: RequestHandler, *args: Any, **kwargs: Any) -> Any:
        self.set_header("X-Wrapped", fn.__name__)
        return fn(self, *args, **kwargs)

    return method


def bare(fn: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: RequestHandler, *args: Any, **kwargs: Any) -> Any:
        self.set_header("X-Bare", "1")
        return fn(self, *args, **kwargs)

    return method


def only_admins(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def method(self: RequestHandler, *args: Any, **kwargs: Any) -> Any:
        if self.current_user != "admin":
            self.set_status(403)
            return self.finish({"error": "admins only"})
        return fn(self, *args, **kwargs)

    return method


def awaits_coroutines_only(fn: Callable[..., Any]) -> Callable[..., Any]:
    """An old way to serve both kinds."""

    @functools.wraps(fn)
    async def method(self: RequestHandler, *args: Any, **kwargs: Any) -> Any:
        result = fn(self, *args, **kwargs)
        if hasattr(result, "__await__"):
            result = await result
        return result

    return method


both_orders("authenticated_passes", authenticated, user="zoë")
both_orders("authenticated_redirects", authenticated, request("/p?a=b"), moves=False)
both_orders(
    "authenticated_forbids",
    authenticated,
    request(method="POST", body=b""),
    moves=False,
)
both_orders("addslash_passes", addslash, request("/p/"))
both_orders("addslash_redirects", addslash, request("/p?a=b"), moves=False)
both_orders("removeslash_passes", removeslash, request("/p"))
both_orders("removeslash_redirects", removeslash, request("/p/?a=b"), moves=False)
both_orders(
    "removeslash_forbids",
    removeslash,
    request("/p/", method="POST", body=b""),
    moves=False,
)
both_orders("wrapped", wrapped)
both_orders("bare", bare)
both_orders("only_admins_passes", only_admins, user="admin")
both_orders("only_admins_refuses", only_admins, moves=False)
both_orders(
    "two_decorators", lambda fn: authenticated(addslash(fn)), request("/p/"), user="u"
)


@table.case(moves=False)
def coroutine_around(place: Decorator) -> Site:
    return user_handler(awaits_coroutines_only(place(greet)))
