"""`install`: Tornado itself with the old names, for code that cannot be edited.

# Threads: `install` and `uninstall` are called while nothing is served.
# Guarantees: `uninstall` leaves each place as `install` found it.
"""

from __future__ import annotations

import functools
import sys
import types
import warnings
from typing import Any, Callable, NamedTuple

import tornado
from tornado import (
    autoreload,
    concurrent,
    gen,
    httpclient,
    httpserver,
    httputil,
    ioloop,
    iostream,
    netutil,
    process,
    tcpclient,
    tcpserver,
    util,
    web,
    websocket,
    wsgi,
)

from tornado_unblock.shim.legacy import (
    _asynchronous,
    _callbacks,
    _classes,
    _concurrent,
    _contexts,
    _gen,
)


class LegacyWarning(UserWarning):
    """Tornado is patched by `install`."""


class _Patch(NamedTuple):
    owner: Any
    name: str
    value: Any


_NOTHING = object()
# What is to be put back, last first; empty when nothing is installed.
_saved: list[_Patch] = []


def install() -> Callable[[], None]:
    """Give Tornado back what version 6 took away, for code that cannot be edited.

    Call it once, before that code is imported, while nothing is served.

    Returns:
        `uninstall`.

    Warns:
        LegacyWarning: When it was not installed.
    """
    if not _saved:
        warnings.warn(
            "tornado_unblock.shim.legacy.install() patches Tornado for old code; "
            "docs/legacy.md says what to write instead",
            LegacyWarning,
            stacklevel=2,
        )
        for owner, name, value in _patches():
            _saved.append(_Patch(owner, name, vars(owner).get(name, _NOTHING)))
            setattr(owner, name, value)
        sys.modules["tornado.stack_context"] = _stack_context
    return uninstall


def uninstall() -> None:
    """Leave Tornado as `install` found it; does nothing when that was not called."""
    while _saved:
        owner, name, value = _saved.pop()
        if value is _NOTHING:
            delattr(owner, name)
        else:
            setattr(owner, name, value)
    if sys.modules.get("tornado.stack_context") is _stack_context:
        del sys.modules["tornado.stack_context"]


def _patches() -> list[_Patch]:
    found = [
        *_named(concurrent, _concurrent, "return_future", "run_on_executor"),
        *_named(gen, _gen, *_GEN_NAMES),
        *_named(gen, _classes, "with_timeout"),
        *_named(websocket, _classes, "websocket_connect"),
        *_named(web, _asynchronous, "asynchronous"),
        _Patch(concurrent, "TracebackFuture", concurrent.Future),
        _Patch(tornado, "stack_context", _stack_context),
        _Patch(web.RequestHandler, "async_callback", _async_callback),
        _Patch(ioloop.IOLoop, "instance", staticmethod(_classes.instance)),
        _Patch(ioloop.IOLoop, "initialized", staticmethod(_classes.initialized)),
        _Patch(httpclient.AsyncHTTPClient, "__new__", staticmethod(_new_client)),
    ]
    found += [_Patch(owner, name, _refusing(name, by)) for owner, name, by in _GONE]
    found += [_Patch(*taken) for taken in _callbacks.TAKEN]
    found += [_Patch(owner, name, _dropping(owner, name)) for owner, name in _LOOP]
    return found


_GEN_NAMES = (
    "Arguments",
    "Callback",
    "Task",
    "Wait",
    "WaitAll",
    "YieldPoint",
    "coroutine",
    "engine",
)

# What took io_loop=.
_LOOP: list[tuple[Any, str]] = [
    (autoreload, "start"),
    (httpserver.HTTPServer, "initialize"),
    (ioloop.PeriodicCallback, "__init__"),
    (iostream.BaseIOStream, "__init__"),
    (netutil, "add_accept_handler"),
    (process.Subprocess, "__init__"),
    (tcpclient.TCPClient, "__init__"),
    (tcpserver.TCPServer, "__init__"),
    (util.Configurable, "__new__"),
]


# What is not carried, and what to write instead.
_GONE: list[tuple[Any, str, str]] = [
    (gen, "YieldFuture", "the Future itself"),
    (httputil.HTTPServerRequest, "finish", "the handler's finish"),
    (httputil.HTTPServerRequest, "write", "the handler's write"),
    (wsgi, "WSGIAdapter", "HTTPServer(application)"),
    (wsgi, "WSGIApplication", "tornado.web.Application"),
]


def _refusing(name: str, instead: str) -> Callable[..., Any]:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            f"{name} is gone from Tornado and not carried by "
            f"tornado_unblock.shim.legacy; write {instead} instead"
        )

    return refuse


def _named(owner: Any, source: types.ModuleType, *names: str) -> list[_Patch]:
    return [_Patch(owner, name, getattr(source, name)) for name in names]


def _dropping(owner: Any, name: str) -> Any:
    own = getattr(owner, name)

    @functools.wraps(own)
    def call(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = _classes.without_io_loop(args, kwargs)
        return own(*args, **kwargs)

    return staticmethod(call) if name == "__new__" else call


def _make_stack_context() -> types.ModuleType:
    module = types.ModuleType(
        "tornado.stack_context", "Tornado's module of old, by tornado_unblock."
    )
    for name in (
        "ExceptionStackContext",
        "NullContext",
        "StackContext",
        "StackContextInconsistentError",
        "run_with_stack_context",
        "wrap",
    ):
        setattr(module, name, getattr(_contexts, name))
    return module


_stack_context = _make_stack_context()
_own_new_client = httpclient.AsyncHTTPClient.__new__


def _new_client(cls: Any, *args: Any, **kwargs: Any) -> Any:
    make = functools.partial(_own_new_client, cls)
    return _classes.make_client(make, *args, **kwargs)


def _async_callback(
    self: web.RequestHandler, callback: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    """`RequestHandler.async_callback` of Tornado 2 and 3."""
    if callback is None:
        return None
    return _contexts.wrap(functools.partial(callback, *args, **kwargs))
