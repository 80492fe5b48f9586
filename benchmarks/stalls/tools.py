"""The tools that are compared: each is begun, and gives what it says of a stall."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import tornado_unblock
from tornado_unblock import Stall

THRESHOLD = 0.1

Said = list[str]


class Collect(logging.Handler):
    """Keeps what is logged, with tracebacks."""

    def __init__(self, said: Said) -> None:
        super().__init__()
        self._said = said
        self.stalls: list[Stall] = []
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self._said.append(self.format(record))
        stall = getattr(record, "stall", None)
        if stall is not None:
            self.stalls.append(stall)


def _tornado_unblock(said: Said) -> Collect:
    collect = Collect(said)
    logger = logging.getLogger("tornado_unblock.stalls")
    logger.propagate = False
    logger.addHandler(collect)
    tornado_unblock.watch(THRESHOLD, log_every=0)
    return collect


def _asyncio_debug(said: Said) -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = THRESHOLD
    logging.getLogger("asyncio").addHandler(Collect(said))


def _aiodebug(said: Said) -> None:
    from aiodebug import log_slow_callbacks

    def note(name: str, seconds: float) -> None:
        said.append(f"{name} {seconds:.3f}")

    log_slow_callbacks.enable(THRESHOLD, note)


def _blockbuster(said: Said) -> None:
    from blockbuster import BlockBuster

    # It raises where something blocks; Tornado logs that.
    logging.getLogger("tornado.application").addHandler(Collect(said))
    BlockBuster().activate()


def _aiocop(said: Said) -> None:
    import aiocop

    def note(event: aiocop.SlowTaskEvent) -> None:
        if event.exceeded_threshold:
            said.append(f"{event.blocking_events} {event.cpu_stack_samples}")

    aiocop.patch_audit_functions()
    aiocop.start_blocking_io_detection(trace_depth=20)
    aiocop.detect_slow_tasks(threshold_ms=THRESHOLD * 1000, on_slow_task=note)
    aiocop.activate()


TOOLS: dict[str, Callable[[Said], Collect | None]] = {
    "tornado_unblock.watch": _tornado_unblock,
    "asyncio debug": _asyncio_debug,
    "aiodebug": _aiodebug,
    "blockbuster": _blockbuster,
    "aiocop": _aiocop,
}
