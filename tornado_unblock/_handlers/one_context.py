"""One Context for a request of which `unblock` moves single methods.

What else such a request runs on the loop thread, before and after a body, takes turns
with it in one Context. That begins with the request, before anything is moved; so it is
done to Tornado's class, once a method is unblocked.

# Threads: `share_contexts` on any, all else on the loop thread.
"""

from __future__ import annotations

import enum
import functools
import os
import weakref
from types import CodeType
from typing import Any, Optional

from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler

from tornado_unblock._handlers.methods import VERBS
from tornado_unblock._handlers.plan import decorated_methods, verb_of
from tornado_unblock._loop.portal import current_portal
from tornado_unblock._loop.shared_context import in_one_context

_PREPARE = RequestHandler.prepare


_WEB = RequestHandler.finish.__code__.co_filename
_HERE = os.path.dirname(__file__)


def is_tornados(code: Optional[CodeType]) -> bool:
    """Whether it is Tornado's own code that awaits a body, or ours in place of it.

    A coroutine of the user's keeps its Context: when what it awaits is abandoned, it
    goes on, and leaves the blocks in which it has set variables.
    """
    return code is not None and (
        code.co_filename == _WEB or os.path.dirname(code.co_filename) == _HERE
    )


class _Parts(enum.Enum):
    """Whether a request runs in parts, some of them in workers."""

    NEVER = enum.auto()
    # All but `prepare` is one body.
    WITH_PREPARE = enum.auto()
    ALWAYS = enum.auto()


# Names of the module: an attribute of an enum takes four times as long.
NEVER, WITH_PREPARE, ALWAYS = _Parts

# By verb. Each request asks, unblocked or not: a reference is found in a third of the
# time that a WeakKeyDictionary takes.
_known: dict[weakref.ref[type], dict[Optional[str], _Parts]] = {}


@functools.cache
def share_contexts() -> None:
    """Have requests with unblocked methods run in one Context, from now on."""
    tornados: Any = RequestHandler
    own = tornados._execute

    # A coroutine function, as it was: others ask for that before they wrap it.
    @functools.wraps(own)
    async def _execute(
        self: RequestHandler, /, *args: object, **kwargs: object
    ) -> None:
        cls = self.__class__  # that of the handler, also of a view
        known = _known.get(weakref.ref(cls)) or _keep(cls)
        parts = known.get(self.request.method) or _learn(known, cls, self.request)
        running = own(self, *args, **kwargs)
        # Others may have put a `prepare` on the class meanwhile.
        if parts is ALWAYS or (parts is WITH_PREPARE and cls.prepare is not _PREPARE):
            portal = current_portal()
            if portal.shared_context is None:
                running = in_one_context(portal, running, is_tornados)
        await running

    tornados._execute = _execute


def _keep(cls: type) -> dict[Optional[str], _Parts]:
    return _known.setdefault(weakref.ref(cls, _known.pop), {})


def _learn(
    known: dict[Optional[str], _Parts],
    cls: type[RequestHandler],
    request: HTTPServerRequest,
) -> _Parts:
    names = decorated_methods(cls).keys()
    verb = verb_of(cls, request.method)
    parts = ALWAYS if names else NEVER
    if names <= VERBS and verb in names:
        parts = WITH_PREPARE
    # What the class does not know is nothing to keep something under.
    known[request.method if verb else None] = parts
    return parts
