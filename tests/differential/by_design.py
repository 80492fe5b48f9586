"""The cases in which an unblocked body cannot do as an inline one does, and why."""

from __future__ import annotations

BY_DESIGN: dict[str, str] = {}
