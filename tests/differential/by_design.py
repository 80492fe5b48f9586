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
}
