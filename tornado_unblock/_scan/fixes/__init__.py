"""Fixes: text in, text out, a rule in each file.

A rule finds what to change in the tree and edits the text at the places it found, so
that all else stays as it is written. It changes nothing that it does not understand,
and says so. What a rule has changed it leaves alone the next time.
"""

from __future__ import annotations

from typing import Callable

from tornado_unblock._scan.fixes import (
    application,
    dual_leaves,
    handler_class,
    legacy,
    shim_imports,
)
from tornado_unblock._scan.fixes.edits import Facts, Fixed, Left

Rule = Callable[[str, Facts], Fixed]

#: The rules, by name, in the order in which they are used.
RULES: dict[str, Rule] = {
    "legacy": legacy.fix,
    "application": application.fix,
    "class": handler_class.fix,
    "shim-imports": shim_imports.fix,
    "dual-leaves": dual_leaves.fix,
}

__all__ = ["RULES", "Facts", "Fixed", "Left", "Rule"]
