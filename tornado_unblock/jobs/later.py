"""A function as a job: called, it runs here; asked for with `later`, a worker runs it.

# Threads: any, as each method says.
# Guarantees:
# - the loop thread is never blocked: `later` says so there, `later.aio` does not block;
# - what a worker could not run is refused here: wrong arguments, no JSON, no name.
"""

from __future__ import annotations

import functools
import inspect
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Generic, Optional, TypeVar

from tornado_unblock._errors import ConfigurationError
from tornado_unblock._executors.functions import (
    check_function,
    describe,
    is_generator,
)
from tornado_unblock._loop.lease import running_loop
from tornado_unblock._offload.run_in_executor import run_in_executor
from tornado_unblock.jobs.options import JobOptions, LaterOptions
from tornado_unblock.jobs.records import NewJob, Ticket
from tornado_unblock.jobs.values import LARGE, PLAIN, check
from tornado_unblock.shim._crossing.wait import check_may_block

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    from tornado_unblock.jobs.app import Jobs

    _P = ParamSpec("_P")
else:
    # typing has ParamSpec from Python 3.10 on; nothing looks at it when run.
    _P = TypeVar("_P")

_R = TypeVar("_R")

ENQUEUE = "jobs-enqueue"
"""The executor on which `later.aio` writes: its threads wait for the disk."""


class Job(Generic[_P, _R]):
    """A function that a worker can run; see `job`.

    Attributes:
        fn: The function.
        name: Under which workers find it.
        module: Where the function is.
        options: What `job` was given.
        later: Asks for it: ``f.later(x)``, ``await f.later.aio(x)``.
    """

    def __init__(
        self,
        app: Jobs,
        fn: Callable[_P, _R],
        name: Optional[str],
        options: JobOptions,
    ) -> None:
        check_function(fn)
        if is_generator(fn):
            raise TypeError(
                f"{describe(fn)} is a generator: to call it runs nothing of it, and a "
                "worker does no more; return a list, or use up the values in the job"
            )
        self.app, self.fn, self.options = app, fn, options
        self.name = _name_of(fn) if name is None else _checked_name(name)
        self.module = str(getattr(fn, "__module__", None) or "")
        self._signature = _signature_of(fn)
        # The names, if one value for each is all there is to bind.
        self._plain = _plain_names(self._signature)
        own: Any = self
        functools.update_wrapper(own, fn)
        self.later: Later[_P] = Later(self, LaterOptions())

    def __call__(self, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Call the function itself, here and now."""
        return self.fn(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<job {self.name}>"

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise unless the function can be called with these, and JSON knows them.

        Raises:
            TypeError: It takes others.
            JobArgumentError: The message names what JSON does not know.
        """
        plain = self._plain
        if kwargs or plain is None or len(args) != len(plain):
            try:
                bound = self._signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{self.name}: {error}") from None
            given = bound.arguments
        else:  # nearly always, and much quicker
            given = dict(zip(plain, args))
        for name, value in given.items():
            kind = type(value)
            if kind not in PLAIN and (kind is not int or not -LARGE < value < LARGE):
                check(value, f"{self.name}: argument {name!r}")


class Later(Generic[_P]):
    """The way to ask for a job: ``f.later``."""

    def __init__(self, job: Job[_P, Any], options: LaterOptions) -> None:
        self._job, self._options = job, options

    def __call__(self, /, *args: _P.args, **kwargs: _P.kwargs) -> Ticket:
        """Ask for the job; any thread that runs no loop.

        It is on the disk, or with the broker, when this returns.

        Returns:
            A ticket with the job's id.

        Raises:
            LoopThreadError: An event loop runs in this thread.
            JobArgumentError: An argument cannot be kept as JSON.
            TypeError: The function takes other arguments.
            JobStoreError: The job could not be written.
            ConfigurationError: `configure` was not called.
        """
        if running_loop() is not None:  # the words take as long as the rest
            name = describe(self._job.fn)
            check_may_block(
                f"{name}.later(...)", f"write `await {name}.later.aio(...)` there"
            )
        return self._put(args, kwargs)

    async def aio(self, /, *args: _P.args, **kwargs: _P.kwargs) -> Ticket:
        """Ask for the job from a coroutine; the loop thread is not blocked.

        Returns:
            A ticket with the job's id.

        Raises:
            JobArgumentError: An argument cannot be kept as JSON.
            TypeError: The function takes other arguments.
            JobStoreError: The job could not be written.
            ConfigurationError: `configure` was not called, or ``within`` or
                ``on_commit`` was given: they belong to a thread.
            RejectedError: More than a thousand others are being written.
        """
        for name in ("within", "on_commit"):
            if getattr(self._options, name) is not None:
                raise ConfigurationError(
                    f"{name}= is for later(), in the thread that has the transaction; "
                    "later.aio() writes in another one"
                )
        put = functools.partial(self._put, args, kwargs)
        return await run_in_executor(put, executor=ENQUEUE)

    def options(self, **options: Any) -> Later[_P]:
        """Return the same with options, which are no arguments of the function.

            report.later.options(delay=60, key="order-7")(7)

        Args:
            **options: ``delay``: seconds to wait. ``at``: a datetime with a time zone,
                not to begin before. ``key``: of the jobs with the same key one runs at
                a time. ``once``: where one with the same key waits already, do not add
                another. ``priority``: higher ones first, 0 by default. ``within``: a
                connection of your own to the very database of the jobs; the job is
                there when you commit. ``on_commit``: a session of SQLAlchemy; the job
                is asked for when it has committed.

        Raises:
            ConfigurationError: There is no such option, or it makes no sense.
        """
        known = LaterOptions.__dataclass_fields__
        for name in options:
            if name not in known:
                raise ConfigurationError(
                    f"later.options() has no option {name!r}; it has {', '.join(known)}"
                )
        before = {name: getattr(self._options, name) for name in known}
        return Later(self._job, LaterOptions(**{**before, **options}))

    def _put(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Ticket:
        job, options = self._job, self._options
        job.arguments(args, kwargs)
        id = str(uuid.uuid4())
        priority = options.priority
        new = NewJob(
            id=id,
            name=job.name,
            data=job.app.engine.message(job.name, id, args, kwargs),
            max_attempts=job.options.attempts,
            run_at=options.run_at,
            priority=float(job.options.priority if priority is None else priority),
            key=options.key,
            once=options.once,
        )
        return job.app.enqueue(new, options)


def _signature_of(fn: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(fn)
    except ValueError as error:
        raise ConfigurationError(
            f"{error}: a job is asked for with arguments that are checked; put a "
            "function of your own around it"
        ) from None


def _plain_names(signature: inspect.Signature) -> Optional[tuple[str, ...]]:
    parameters = signature.parameters.values()
    plain = all(each.kind is each.POSITIONAL_OR_KEYWORD for each in parameters)
    return tuple(each.name for each in parameters) if plain else None


def _name_of(fn: Callable[..., Any]) -> str:
    name = getattr(fn, "__qualname__", "")
    if not name or "<" in name:
        raise ConfigurationError(
            f"{fn!r} has no name under which a worker finds it: define the job at the "
            "top of a module, or give it one with name="
        )
    return f"{_module_of(fn)}.{name}"


def _module_of(fn: Callable[..., Any]) -> str:
    """Return the module's name; that of a script is its own, in each process."""
    module = fn.__module__
    if module not in ("__main__", "__mp_main__"):
        return module
    # multiprocessing runs the script in its processes under the other name.
    main: Any = sys.modules[module]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name)
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else "__main__"


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"name must be a text, not {name!r}")
    return name
