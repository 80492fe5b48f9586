"""What happens in a forked child: one list, in a written order.

Of the parent's threads only the one that forks lives on in the child. No loop runs
there, the workers are gone, a lock may be held by a thread that is no more, and the
connections are the parent's. Each module that keeps such things says here how to let go
of them.

# Threads: the one that forks; before anything else in the child can run.
# Guarantees:
# - the steps are taken in the order of `Step`, whatever was imported first;
# - each is taken, also when one before it has failed; the error is shown.
"""

from __future__ import annotations

import contextlib
import enum
import os
from typing import Callable, NamedTuple, Optional

_Act = Callable[[], object]


class Step(enum.IntEnum):
    """What is done in a child, first to last. What comes later may use what was before.

    Before the fork, what has to hold still is told in the reverse order.
    """

    LOOPS = 1
    """No portal is valid, and the thread runs no body: whatever is made anew from here
    on belongs to the child."""
    THREADS = 2
    """Each executor of threads is empty, with a lock of its own."""
    PROCESSES = 3
    """Each executor of processes is empty; the threads that fed them are gone."""
    EXECUTORS = 4
    """Executors can be looked up and made again. After both kinds of them are empty."""
    STATISTICS = 5
    """Counting begins anew: what the parent did is in the parent's figures."""
    BACKGROUND_LOOP = 6
    """The process's own loop is not there; it is made on first use."""
    LOGGING = 7
    """Records go to a queue and a thread of the child. Before what may log."""
    POOLS = 8
    """Connections are left to the parent, unread and unclosed: pools are empty."""
    CALLS = 9
    """Calls under way in the parent do not end here: nobody waits for them."""
    STALLS = 10
    """The watching thread is not there, and starts when a loop of the child turns;
    stalls are counted anew."""
    STATUS = 11
    """No status page is served: its sockets are left to the parent. One of the child's
    own is, once the child has a loop."""
    METRICS = 12
    """What is written for Prometheus is the child's own, once the child has a loop."""


class _Acts(NamedTuple):
    step: Step
    in_child: _Act
    before: Optional[_Act]
    in_parent: Optional[_Act]


_registered: list[_Acts] = []


def at_fork(
    step: Step,
    in_child: _Act,
    *,
    before: Optional[_Act] = None,
    in_parent: Optional[_Act] = None,
) -> None:
    """Have something done when this process forks; called as a module is imported.

    Args:
        step: When; those of one step do not depend on one another.
        in_child: What to do in the child.
        before: What to do in the parent before it forks.
        in_parent: What to do in the parent after it has forked.
    """
    _registered.append(_Acts(step, in_child, before, in_parent))
    _registered.sort(key=lambda acts: acts.step)


def _run(acts: list[Optional[_Act]]) -> None:
    with contextlib.ExitStack() as stack:  # what it is given last comes first
        for act in reversed(acts):
            if act is not None:
                stack.callback(act)


def _before() -> None:
    _run([acts.before for acts in reversed(_registered)])


def _in_parent() -> None:
    _run([acts.in_parent for acts in _registered])


def _in_child() -> None:
    _run([acts.in_child for acts in _registered])


if hasattr(os, "register_at_fork"):  # pragma: no branch - all but Windows
    os.register_at_fork(
        before=_before, after_in_parent=_in_parent, after_in_child=_in_child
    )
