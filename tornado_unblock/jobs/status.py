"""How a job is, for browsers: JSON, or server-sent events while it goes on."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler

from tornado_unblock._errors import ConfigurationError
from tornado_unblock._loop.portal import current_portal
from tornado_unblock._shutdown.drain import is_draining
from tornado_unblock.jobs.records import State

if TYPE_CHECKING:
    from tornado_unblock.jobs.app import Jobs

# How often the store is asked while a browser listens, in seconds, and after how many
# times without news something is sent, so that proxies keep the connection.
_POLL = 0.5
_QUIET = 30

_is_id = re.compile("[0-9a-f-]{36}").fullmatch

Authorize = Callable[[RequestHandler, str], Union[bool, Awaitable[bool]]]


class Status(RequestHandler):
    """Answers how a job is; a handler for ``/jobs/(.*)``.

        URLSpec(r"/jobs/(.*)", jobs.Status, {"authorize": may_see}, name="job")

    With ``Accept: text/event-stream`` it sends an event with each change, until the job
    has ended. What a job raised stays here: neither error nor traceback is sent.

    ``authorize`` is called with the handler and the job's id, on the loop thread, and
    may be a coroutine function. Unless it returns True, the answer is 403. Another
    argument of the route, ``app``, says whose jobs; those of `tornado_unblock.jobs` by
    default.
    """

    def initialize(
        self, authorize: Optional[Authorize] = None, app: Optional[Jobs] = None
    ) -> None:
        """Take the arguments of the route.

        Raises:
            ConfigurationError: ``authorize`` is missing.
        """
        if not callable(authorize):
            raise ConfigurationError(
                "jobs.Status needs authorize=: a function of the handler and the job's "
                "id that says who may see it; (lambda handler, id: True) for all"
            )
        self._authorize = authorize
        # Not above: the package imports this module.
        from tornado_unblock.jobs import default

        self._app: Jobs = default if app is None else app

    async def get(self, job_id: str) -> None:
        """Answer how the job is.

        Raises:
            HTTPError: 403 if that is not for this client to know, 404 if there is no
                such job.
        """
        allowed = self._authorize(self, job_id)
        if inspect.isawaitable(allowed):
            allowed = await allowed
        if allowed is not True:
            raise HTTPError(403)
        self.set_header("Cache-Control", "no-store")
        # What a client has made up does not reach the database.
        state = await self._state(job_id) if _is_id(job_id) else None
        if state is None:
            raise HTTPError(404)
        if "text/event-stream" in self.request.headers.get("Accept", ""):
            await self._send_events(state)
        else:
            self.write(_as_dict(state))

    async def _state(self, job_id: str) -> Optional[State]:
        return await self._app.state.aio(job_id)

    async def _send_events(self, state: State) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("X-Accel-Buffering", "no")  # nginx
        portal = current_portal()
        sent: Optional[State] = None
        quiet = 0
        try:
            while True:
                quiet += 1
                if state != sent:
                    self.write(f"data: {json.dumps(_as_dict(state))}\n\n")
                    sent, quiet = state, 0
                elif quiet % _QUIET == 0:
                    self.write(": still there\n\n")
                await self.flush()
                if state.ended or is_draining(portal):
                    return
                await asyncio.sleep(_POLL)
                now = await self._state(state.id)
                if now is None:
                    return  # expired
                state = now
        except StreamClosedError:
            pass  # nobody listens any more


def _as_dict(state: State) -> dict[str, Any]:
    return {
        "id": state.id,
        "name": state.name,
        "state": state.state,
        "attempts": state.attempts,
        "enqueued_at": state.enqueued_at,
        "run_at": state.run_at,
        "started_at": state.started_at,
        "ended_at": state.ended_at,
        "progress": None
        if state.done is None
        else {"done": state.done, "of": state.of},
        "result": state.result,
    }
