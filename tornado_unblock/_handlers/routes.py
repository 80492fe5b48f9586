"""The routes of an application, however deep: what it serves, and at which paths.

# Threads: any.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Optional

from tornado.routing import PathMatches, Router, Rule, RuleRouter
from tornado.web import Application

# What may stand for a group of a route's pattern: the first that fits.
_GUESSES = ("1", "x", "x.y", "x/y", "2000-01-01", "")

NO_ROUTE = "(no route)"
"""In place of a pattern, of what serves all other paths."""

_META = frozenset(".^$*+?{}[]|()")


class Route(NamedTuple):
    """One rule that leads to something which answers."""

    # The pattern as Tornado has it, or `NO_ROUTE`.
    pattern: str
    target: object
    kwargs: dict[str, object]
    matcher: Optional[PathMatches]

    def sample(self) -> str:
        """Return a path that leads here, or what comes close to one."""
        plain = re.sub(r"[\^$]", "", self.pattern)
        if self.matcher is None or self.matcher._path is None:
            return plain
        for guess in _GUESSES:
            path = self.matcher._path.replace("%s", guess)
            if self.matcher.regex.match(path):
                return path
        return plain


def routes_of(router: object, path: Optional[PathMatches] = None) -> Iterator[Route]:
    """Return the routes below ``router``, in the order in which they are asked."""
    if isinstance(router, Application):
        yield from routes_of(router.default_router, path)
        default = router.settings.get("default_handler_class")
        if default is not None:
            yield Route(NO_ROUTE, default, {}, None)
    elif isinstance(router, RuleRouter):
        for rule in router.rules:
            yield from _below(rule, path)


def _below(rule: Rule, path: Optional[PathMatches]) -> Iterator[Route]:
    # Each router matches the whole path anew.
    own = rule.matcher if isinstance(rule.matcher, PathMatches) else path
    if isinstance(rule.target, (Application, RuleRouter)):
        yield from routes_of(rule.target, own)
    else:
        pattern = ".*" if own is None else own.regex.pattern
        yield Route(pattern, rule.target, rule.target_kwargs or {}, own)


def is_known(router: Router) -> bool:
    """Whether `routes_of` finds all that ``router`` serves, and at which paths."""
    return isinstance(router, (Application, RuleRouter)) and not any(
        isinstance(route.target, Router)
        or (route.matcher is None and route.pattern != NO_ROUTE)
        for route in routes_of(router)
    )


def may_meet(one: str, other: str) -> bool:
    """Whether some path may match both patterns.

    Where one of them is a plain path, that is known. Else they may, if what they match
    begins alike.
    """
    for plain, pattern in ((one, other), (other, one)):
        text, whole = _beginning(plain)
        if whole:
            return re.fullmatch(pattern, text) is not None
    first, second = _beginning(one)[0], _beginning(other)[0]
    return first.startswith(second) or second.startswith(first)


def _beginning(pattern: str) -> tuple[str, bool]:
    """Return the text with which all that matches begins, and if that is all of it."""
    if "|" in pattern:
        return "", False
    text = ""
    position = 1 if pattern.startswith("^") else 0
    end = len(pattern)
    if pattern.endswith("$") and not pattern.endswith("\\$"):
        end -= 1
    while position < end:
        char = pattern[position]
        if char == "\\" and pattern[position + 1 : position + 2].isalnum():
            return text, False  # a class of characters, not one
        if char == "\\":
            position += 1
            char = pattern[position : position + 1]
        elif char in _META:
            # A quantifier belongs to the character before it.
            return (text[:-1] if char in "*?{" else text), False
        text += char
        position += 1
    return text, True
