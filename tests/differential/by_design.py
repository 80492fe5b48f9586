"""The cases in which an unblocked body does not do as an inline one does, and why."""

from __future__ import annotations

BY_DESIGN: dict[str, str] = {
    "connections-type_of_the_connection": (
        "the connection stays with the loop, so a body holds a proxy of it; "
        "isinstance() and __class__ say what it stands for"
    ),
    "loop-returns_text": (
        "what a body returns is written; inline, Tornado tries to await it and fails"
    ),
    "loop-task_created": (
        "asyncio.create_task() asks for the loop that runs in the calling thread, and "
        "in a worker there is none; ensure_future() and spawn_callback() work"
    ),
}

_CALL_SOON = (
    "asyncio in debug mode refuses call_soon(), which completing a Future comes down "
    "to, in any thread but the loop's"
)
#: Under asyncio's debug mode only.
IN_DEBUG_MODE: dict[str, str] = {
    "loop-finished_by_call_soon": _CALL_SOON,
}
#: The same, but a task is left that can neither go on nor be cancelled: not run.
STUCK_IN_DEBUG_MODE: dict[str, str] = {
    "loop-future_completed_by_the_body": _CALL_SOON,
    "loop-condition_notified_by_the_body": _CALL_SOON,
    "loop-callback_on_what_is_sent": _CALL_SOON,
}
