"""Which classes are handlers, and which of their methods Tornado calls."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tornado_unblock._scan.frames import Frame
from tornado_unblock._scan.interpret import Interpreter, decorator_names
from tornado_unblock._scan.project import Class, Module

VERBS = ("get", "post", "put", "delete", "patch", "head", "options")
SOCKET = ("open", "on_message", "on_close", "on_ping", "on_pong")
HOOKS = (
    "__init__", "initialize", "prepare", "get_current_user", "get_user_locale",
    "get_browser_locale", "set_default_headers", "check_xsrf_cookie", "data_received",
    "get_template_namespace", "get_template_path", "get_login_url", "compute_etag",
    "write_error", "log_exception", "on_finish", "on_connection_close", "check_origin",
    "select_subprotocol", "get_compression_options", "check_etag_header",
    "get_absolute_path", "get_content", "validate_absolute_path", "set_extra_headers",
    "decode_argument",
)  # fmt: skip
ENTRIES = (*VERBS, *SOCKET, *HOOKS)
#: Tornado calls them on the loop thread, whatever is unblocked.
ON_LOOP = {
    "initialize", "set_default_headers", "check_xsrf_cookie", "on_connection_close",
    "get_compression_options", "__init__", "decode_argument",
}  # fmt: skip
BEFORE_VERB = {"prepare", "get_current_user", "get_login_url"}
#: A WebSocket's worker answers them, if it has one that early.
ASKED_AHEAD = {"check_origin", "select_subprotocol"}

_BASES = re.compile(
    r"tornado\.web\.(RequestHandler|\w*Handler)|tornado\.websocket\.WebSocketHandler"
    r"|sockjs\.tornado\.(\w+\.)?SockJSConnection"
    r"|(jupyter_server|notebook|jupyterhub|nbclassic|bokeh|distributed|cyclone)\..*Handler"
    r"|tornado_json\..*Handler|tornado_swagger\..*Handler"
)
_INNER_CLASS = re.compile(r"^[ \t]+class[ \t]", re.MULTILINE)
#: They are called handlers and have nothing to do with Tornado.
_FOREIGN = re.compile(
    r"(logging|http|BaseHTTPServer|SimpleHTTPServer|socketserver|SocketServer|xml|urllib"
    r"|urllib2|asyncore|asynchat|webapp2|google|django|flask|sentry|raven|watchdog|aws"
    r"|pyinotify|wsgiref|requests|ldap3|kombu|celery|click|tqdm|ipykernel)\b.*"
)


class Handlers:
    """Finds handler classes; a class is asked about once."""

    def __init__(self, interpreter: Interpreter, bases: Iterable[str] = ()) -> None:
        self.interpreter = interpreter
        self._bases = set(bases)
        self._known: dict[Class, bool] = {}

    def is_handler(self, cls: Class) -> bool:
        """Tell whether a class is a handler by its bases."""
        if cls not in self._known:
            mro = self.interpreter.mro(cls)
            self._known[cls] = any(self._is_base(base, mro) for base in mro)
        return self._known[cls]

    def _is_base(self, base: Any, mro: list[Any]) -> bool:
        if isinstance(base, Class):
            return base.name in self._bases or (
                f"{base.module.name}.{base.name}" in self._bases
            )
        name = base.lstrip("?")
        if _BASES.fullmatch(name) or name in self._bases:
            return True
        last = name.rpartition(".")[2]
        if last in self._bases:
            return True
        # A base that is not installed, or not readable: by its name.
        looks = last.endswith(
            ("Handler", "RequestHandler", "HandlerBase", "HandlerMixin")
        )
        if not looks or _FOREIGN.match(name):
            return False
        classes = [c for c in mro if isinstance(c, Class)]
        return any(self.has_verbs(c) for c in classes)

    @staticmethod
    def has_verbs(cls: Class) -> bool:
        """Tell whether a class itself has verbs or a socket's methods."""
        names = [n for n in (*VERBS, "on_message") if n in cls.methods]
        return any(cls.methods[n].args.args for n in names)

    def classes(self, module: Module) -> Iterator[Class]:
        """Yield the classes of a module, those of its functions too."""
        frame = module.frame
        for node in frame.scope.classes:
            yield from self._with_inner(self.interpreter.class_of(node, frame))
        if _INNER_CLASS.search(module.source.text) is None:
            return
        for function in frame.scope.functions:
            if any(isinstance(part, ast.ClassDef) for part in ast.walk(function)):
                yield from self._in_function(function, frame)

    def _with_inner(self, cls: Class) -> Iterator[Class]:
        yield cls
        for node in cls.frame.scope.classes:
            yield self.interpreter.class_of(node, cls.frame)

    def _in_function(self, function: Any, frame: Frame) -> Iterator[Class]:
        func = self.interpreter.plain_function(function, frame)
        made = self.interpreter.frame_for(func, self.interpreter.no_args)
        for node in made.scope.classes:
            yield self.interpreter.class_of(node, made)


def is_async(node: Any) -> bool:
    """Tell whether a method is a coroutine, of today or of old."""
    if isinstance(node, ast.AsyncFunctionDef):
        return True
    return bool(decorator_names(node) & {"coroutine", "engine"})
