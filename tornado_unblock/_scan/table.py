"""What blocks: a table of paths, and how they are looked up.

A path says how something is reached, from the name that is imported: ``requests.get``,
``redis.Redis().get``, ``pymongo.MongoClient()[].users.find``. ``()`` is the result of
a call, ``[]`` an item. ``*`` in a rule stands for one step, ``**`` at its end for any
number of them. The most exact rule holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple, Optional

from tornado_unblock._scan.rules import QUIET, RULES

#: How bad each kind is: 3 waits for others, 2 for this machine, 1 mostly briefly.
SEVERITY = {
    "network": 3,
    "database": 3,
    "sleep": 3,
    "process": 3,
    "mail": 3,
    "wait": 3,
    "dns": 3,
    "cpu": 2,
    "file": 2,
    "lock": 2,
    "other": 3,
}


class Rule(NamedTuple):
    """One line of the table."""

    path: str
    #: What kind of blocking a call is, "" if it does not block.
    kind: str
    #: What the path (`=`) or its call (`->`) is the same as; "" if nothing.
    same: str
    calls: bool


class What(NamedTuple):
    """What the table says of a path."""

    kind: str
    #: What its call is the same as, "" if nothing.
    result: str


_STEP = re.compile(r"\(\)|\[\]|[^.()\[\]]+")


@lru_cache(maxsize=100_000)
def steps(path: str) -> tuple[str, ...]:
    """Return the steps of a path: `a.b().c` has four."""
    return tuple(_STEP.findall(path))


def parse_rules(text: str, where: str = "the table") -> list[Rule]:
    """Read rules, one on each line.

    Raises:
        ValueError: A line is no rule.
    """
    return [
        _rule(line, where)
        for line in (line.partition("#")[0].strip() for line in text.splitlines())
        if line
    ]


def _rule(line: str, where: str) -> Rule:
    path, _, rest = line.partition(" ")
    rest = rest.strip()
    if rest.startswith("="):
        same = rest[1:].strip()
        return Rule(path, "", same, False)
    kind, _, same = (part.strip() for part in rest.partition("->"))
    kind = kind or "other"
    if kind != "-" and kind not in SEVERITY:
        raise ValueError(
            f"{where}: {line!r}: {kind!r} is no kind of blocking; write one of "
            f"{', '.join(sorted(SEVERITY))}, or - for what does not block"
        )
    return Rule(path, "" if kind == "-" else kind, same, True)


class _Node:
    __slots__ = ("exact", "patterns", "rest", "rule")

    def __init__(self) -> None:
        self.exact: dict[str, _Node] = {}
        self.patterns: list[tuple[re.Pattern[str], _Node]] = []
        self.rest: Optional[Rule] = None
        self.rule: Optional[Rule] = None


class Table:
    """Rules, looked up by path. Later rules replace earlier ones of the same path."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._root = _Node()
        self._texts: dict[str, _Node] = {}
        #: Top packages that the table knows.
        self.roots: set[str] = set()
        for rule in rules:
            self._add(rule)
        self._cache: dict[str, Optional[Rule]] = {}
        self._normal: dict[str, str] = {}

    def _add(self, rule: Rule) -> None:
        node = self._root
        parts = steps(rule.path)
        self.roots.add(parts[0])
        for part in parts:
            if part == "**":
                node.rest = rule
                return
            node = self._child(node, part)
        node.rule = rule

    @staticmethod
    def _child(node: _Node, part: str) -> _Node:
        if "*" not in part:
            return node.exact.setdefault(part, _Node())
        pattern = re.compile(re.escape(part).replace(r"\*", r"[^()\[\]]*"))
        for known, child in node.patterns:
            if known == pattern:
                return child
        child = _Node()
        node.patterns.append((pattern, child))
        # The longest is the most exact.
        node.patterns.sort(key=lambda pair: -len(pair[0].pattern))
        return child

    def _find(self, node: _Node, parts: tuple[str, ...], at: int) -> Optional[Rule]:
        if at == len(parts):
            return node.rule
        part = parts[at]
        child = node.exact.get(part)
        found = self._find(child, parts, at + 1) if child is not None else None
        if found is not None:
            return found
        if part not in ("()", "[]"):
            for pattern, child in node.patterns:
                if pattern.fullmatch(part):
                    found = self._find(child, parts, at + 1)
                    if found is not None:
                        return found
        return node.rest

    def rule(self, path: str) -> Optional[Rule]:
        """Return the rule of a path, None if there is none."""
        if path not in self._cache:
            self._cache[path] = self._find(self._root, steps(path), 0)
        return self._cache[path]

    def step(self, path: str, step: str) -> str:
        """Return the path one step further (`.name`, `()` or `[]`), made short."""
        longer = path + step
        known = self._normal.get(longer)
        if known is None:
            known = self._normal[longer] = self._shortened(path, step, longer)
        return known

    def _shortened(self, path: str, step: str, longer: str) -> str:
        if step == "()":
            own = self.rule(path)
            if own is not None and own.calls and own.same:
                return own.same
            if own is not None and own.kind and "*" not in own.path:
                return longer  # what it gives is not what it is a method of
        rule = self.rule(longer)
        if rule is not None and not rule.calls:
            same = rule.same
            if same.endswith(".*"):  # the last step of the path stays
                return self.step(same[:-2], step)
            return same
        return longer if len(steps(longer)) <= 12 else f"{steps(path)[0]}.?"

    def blocks(self, path: str) -> str:
        """Return what kind of blocking a call of the path is, "" if it is none."""
        rule = self.rule(path)
        return rule.kind if rule is not None else ""

    def knows(self, path: str) -> bool:
        """Tell whether the path's package is one whose blocking is known."""
        root = steps(path)[0]
        return root in self.roots or root in QUIET


def default_table(extra: Iterable[Rule] = ()) -> Table:
    """Return the library's table, and a user's rules above it."""
    return Table([*parse_rules(RULES), *extra])
