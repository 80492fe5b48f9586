"""Where a generator's steps run: one thread or one task, and always one context.

A generator is entered many times: to begin, for each item, to end. What it binds to
its thread, its task or its context at one step must be there at the next, and a
`contextvars.Token` can be reset only in the context that made it.

# Threads: `ThreadHome` is used on the loop thread and works in another; `TaskHome`
# is used in a waiting thread and works on the loop.
# Guarantees:
# - each step sees the context variables that the code around it has set meanwhile;
# - what a step sets is set in the code that asked for it;
# - a step that nobody waits for any more is cancelled, and has ended before the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
from collections.abc import Coroutine
from typing import Callable, NamedTuple, Optional, TypeVar, cast

from tornado_unblock.shim._crossing.lane import HIDDEN, Lane, current_lane
from tornado_unblock.shim._crossing.wait import Crossing, call_on

_T = TypeVar("_T")


class _Inflow:
    """Sets in one context what was changed in another one, and unsets it."""

    def __init__(self) -> None:
        self._tokens: dict[
            contextvars.ContextVar[object], contextvars.Token[object]
        ] = {}

    def bring(self, before: contextvars.Context, after: contextvars.Context) -> None:
        """Do in the current context what led from ``before`` to ``after``."""
        for variable, value in after.items():
            if before.get(variable, before) is not value and variable not in HIDDEN:
                self._tokens.setdefault(variable, variable.set(value))
        for variable in before:
            if variable not in after and variable in self._tokens:
                # Where it is not the context that was entered, there is nothing
                # to unset.
                with contextlib.suppress(ValueError):
                    variable.reset(self._tokens.pop(variable))


class ThreadHome:
    """Runs sync steps in the thread behind a lane.

    Args:
        lane: The lane.
        name: What errors and statistics call the steps.
    """

    def __init__(self, lane: Lane, name: str) -> None:
        self._lane, self._name = lane, name
        self._own = contextvars.copy_context()
        self._inside = self._outside = self._own.copy()
        self._inflow, self._outflow = _Inflow(), _Inflow()

    async def run(self, step: Callable[[], _T]) -> _T:
        """Run one step, and return its result; loop thread."""
        outside = contextvars.copy_context()
        job = functools.partial(self._own.run, self._run, step, self._outside, outside)
        before = self._inside
        try:
            return await call_on(self._lane, job, self._name)
        finally:
            self._outflow.bring(before, self._inside)
            self._outside = contextvars.copy_context()

    def _run(
        self,
        step: Callable[[], _T],
        before: contextvars.Context,
        after: contextvars.Context,
    ) -> _T:
        self._inflow.bring(before, after)
        try:
            return step()
        finally:
            self._inside = contextvars.copy_context()


_Run = Callable[[], Coroutine[object, None, _T]]
_Outcome = tuple[Optional[object], Optional[BaseException]]


class _Step(NamedTuple):
    run: _Run[object]
    # None: the one who asked has gone.
    lane: Optional[Lane]
    context: contextvars.Context
    reply: asyncio.Future[_Outcome]


class TaskHome:
    """Runs async steps in one task of the loop on which the caller waits."""

    def __init__(self) -> None:
        # Loop thread only.
        self._task: Optional[asyncio.Task[None]] = None
        self._next: asyncio.Future[Optional[_Step]]
        self._inside = self._outside = contextvars.copy_context()
        self._inflow, self._outflow = _Inflow(), _Inflow()

    # --- the waiting thread ----------------------------------------------

    def run(self, step: _Run[_T]) -> _T:
        """Run one step, and return its result.

        Raises:
            AbandonedError: Nobody waits for this body any more; see `shim.wait`.
        """
        crossing = Crossing(self._ask(step, contextvars.copy_context()))
        crossing.raise_if_abandoned()
        return self._wait(crossing)

    def run_last(self, step: _Run[_T]) -> _T:
        """Run the last step, also in an abandoned body: what is open is closed."""
        return self._wait(Crossing(self._ask_last(step, contextvars.copy_context())))

    def _wait(self, crossing: Crossing[_T]) -> _T:
        before = self._inside
        try:
            return crossing.wait()
        finally:
            self._outflow.bring(before, self._inside)
            self._outside = contextvars.copy_context()

    # --- loop thread -----------------------------------------------------

    async def _ask(self, run: _Run[_T], context: contextvars.Context) -> _T:
        loop = asyncio.get_running_loop()
        if self._task is None:
            self._next = loop.create_future()
            self._task = loop.create_task(self._serve())
        task, reply = self._task, loop.create_future()
        if not task.done():
            self._next.set_result(_Step(run, current_lane(), context, reply))
        try:
            await _either(task, reply)
        except asyncio.CancelledError:
            task.cancel()
            await _either(task, reply)
            raise
        if not reply.done():
            raise asyncio.CancelledError  # the loop has ended its tasks
        value, error = reply.result()
        if error is not None:
            raise error
        return cast(_T, value)

    async def _ask_last(self, run: _Run[_T], context: contextvars.Context) -> _T:
        try:
            return await self._ask(run, context)
        finally:
            if self._task is not None and not self._task.done():
                self._next.set_result(None)
                await asyncio.wait((self._task,))

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            step = await self._next
            if step is None:
                return
            self._next = loop.create_future()
            self._inflow.bring(self._outside, step.context)
            if step.lane is not None:  # pragma: no branch - open while its thread waits
                step.lane.make_current()
            value, error = None, None
            try:
                value = await step.run()
            except BaseException as raised:
                # Carried, not raised: it might end the loop.
                error = raised
            self._inside = contextvars.copy_context()
            step.reply.set_result((value, error))
            del step, value, error  # error -> traceback -> this frame: no cycle


async def _either(task: asyncio.Future[None], reply: asyncio.Future[_Outcome]) -> None:
    await asyncio.wait((task, reply), return_when=asyncio.FIRST_COMPLETED)
