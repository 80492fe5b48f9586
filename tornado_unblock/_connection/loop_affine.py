"""Objects that belong to the loop thread, usable from a worker.

# Threads: any. On the loop thread each use goes straight through.
# Guarantees: elsewhere, a method runs on the loop thread and is waited for, within the
# time limit of `Portal.call`; a method is refused once the right to it is lost.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Callable, TypeVar

import wrapt

from tornado_unblock._loop.futures import for_this_thread
from tornado_unblock._loop.lease import running_loop
from tornado_unblock._loop.portal import Portal

if TYPE_CHECKING:
    from tornado.iostream import IOStream

    _Proxy = wrapt.ObjectProxy[object]
else:
    _Proxy = wrapt.ObjectProxy

_T = TypeVar("_T")

Check = Callable[[], object]
"""Raises `AbandonedError` when the calling thread may not do it any more."""


class LoopAffine(_Proxy):
    """Any object whose methods must run on the loop thread.

    Called elsewhere, a method runs there and its result is waited for.

    Args:
        wrapped: The object.
        portal: The way to its loop.
        check: Asked before each call, and again before it is done.
    """

    def __init__(self, wrapped: object, portal: Portal, check: Check) -> None:
        super().__init__(wrapped)
        self._self_portal = portal
        self._self_check = check

    def __getattr__(self, name: str) -> Any:
        value: object = getattr(self.__wrapped__, name)
        if not callable(value):
            return value
        return functools.partial(self._self_call, value)

    def _self_on_loop(self) -> bool:
        return running_loop() is self._self_portal.loop

    def _self_call(
        self, method: Callable[..., object], *args: object, **kwargs: object
    ) -> object:
        self._self_check()
        if self._self_on_loop():
            return method(*args, **kwargs)
        call = functools.partial(method, *args, **kwargs)
        result = self._self_portal.call(self._self_checked, call)
        if issubclass(type(result), asyncio.Future):
            return for_this_thread(result, self._self_portal.call_soon)
        return result

    def _self_checked(self, call: Callable[[], _T]) -> _T:
        # Again: it may have been revoked while this was on its way.
        self._self_check()
        return call()


class LoopAffineStream(LoopAffine):
    """A stream reached from a worker."""

    __wrapped__: IOStream

    def closed(self) -> bool:
        """Whether the stream is closed; a look, so it does not wait."""
        return self.__wrapped__.closed()

    @property
    def socket(self) -> object:
        """The stream's socket; its methods run on the loop thread too."""
        socket = self.__wrapped__.socket
        if self._self_on_loop():
            return socket
        return LoopAffine(socket, self._self_portal, self._self_check)
