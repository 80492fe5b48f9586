"""What an expression may be: atoms, and tuples of them.

An atom is made once for what it is made of (see `Atoms`), so it is compared and hashed
by identity. A value is a tuple of atoms, in the order in which they were found; the
empty one is "nobody knows".
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Optional, TypeVar, cast

if TYPE_CHECKING:
    from tornado_unblock._scan.frames import Frame
    from tornado_unblock._scan.project import Class, Module

#: How sure we are: of a way, and of what stands at its end.
SEEN, LIKELY, UNKNOWN = 0, 1, 2
CONFIDENCE = ("seen", "likely", "unknown")

#: Deeper atoms lose what they were made with.
MAX_DEPTH = 5
#: A value has at most as many atoms.
MAX_ATOMS = 12


class Atom:
    """One thing an expression may be."""

    __slots__ = ("depth", "level")
    level: int
    depth: int


Value = tuple[Atom, ...]
EMPTY: Value = ()


class Ext(Atom):
    """Something outside the code base, by how it is reached: `redis.Redis().get`."""

    __slots__ = ("path",)

    def __init__(self, path: str, level: int = SEEN) -> None:
        self.path, self.level, self.depth = path, level, 0


class Mod(Atom):
    """A module of the code base."""

    __slots__ = ("module",)

    def __init__(self, module: Module) -> None:
        self.module, self.level, self.depth = module, SEEN, 0


class Cls(Atom):
    """A class of the code base."""

    __slots__ = ("cls",)

    def __init__(self, cls: Class, level: int = SEEN) -> None:
        self.cls, self.level, self.depth = cls, level, 0


class Obj(Atom):
    """An instance of a class of the code base, and what it was made with."""

    __slots__ = ("args", "cls")

    def __init__(self, cls: Class, args: Optional[Args], level: int = SEEN) -> None:
        self.cls, self.args, self.level = cls, args, level
        self.depth = 1 + (args.depth if args is not None else 0)


class Func(Atom):
    """A function of the code base; `bound` is its first argument, if it has one."""

    __slots__ = ("bound", "cls", "env", "node")

    def __init__(
        self,
        node: Any,
        env: Frame,
        cls: Optional[Class],
        bound: Optional[Atom],
        level: int = SEEN,
    ) -> None:
        self.node, self.env, self.cls, self.bound, self.level = (
            node,
            env,
            cls,
            bound,
            level,
        )
        self.depth = max(env.depth, bound.depth if bound is not None else 0)


class Moved(Atom):
    """A function that runs elsewhere when it is called: on an executor."""

    __slots__ = ("func",)

    def __init__(self, func: Atom) -> None:
        self.func, self.level, self.depth = func, SEEN, func.depth


class Super(Atom):
    """What `super()` is in a method of `cls`, for `obj`."""

    __slots__ = ("cls", "obj")

    def __init__(self, cls: Class, obj: Atom) -> None:
        self.cls, self.obj, self.level, self.depth = cls, obj, SEEN, obj.depth


class Text(Atom):
    """A string."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text, self.level, self.depth = text, SEEN, 0


class Prefix(Atom):
    """A string of which only the beginning is known."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text, self.level, self.depth = text, SEEN, 0


class Items(Atom):
    """A list, tuple or set: each item, or all items together if there is one."""

    __slots__ = ("exact", "items")

    def __init__(self, items: tuple[Value, ...], exact: bool) -> None:
        self.items, self.exact, self.level = items, exact, SEEN
        self.depth = 1 + depth_of(*items)


class Map(Atom):
    """A dict: values by key, and what has a key that is not known."""

    __slots__ = ("others", "pairs")

    def __init__(self, pairs: tuple[tuple[str, Value], ...], others: Value) -> None:
        self.pairs, self.others, self.level = pairs, others, SEEN
        self.depth = 1 + depth_of(others, *(value for _, value in pairs))


class Args:
    """What a call passes. Made once, like an atom."""

    __slots__ = ("depth", "named", "placed", "rest")

    def __init__(
        self,
        placed: tuple[Value, ...],
        named: tuple[tuple[str, Value], ...],
        rest: Value,
    ) -> None:
        # rest: what may be in any further place
        self.placed, self.named, self.rest = placed, named, rest
        self.depth = depth_of(rest, *placed, *(value for _, value in named))


def depth_of(*values: Value) -> int:
    """Return the depth of the deepest atom."""
    return max((atom.depth for value in values for atom in value), default=0)


def union(*values: Value) -> Value:
    """Return all atoms, each once, and not too many."""
    found = [value for value in values if value]
    if not found:
        return EMPTY
    if len(found) == 1:
        return found[0]
    every = tuple(dict.fromkeys(atom for value in found for atom in value))
    return every[:MAX_ATOMS]


_T = TypeVar("_T")


class Atoms:
    """Makes each atom once."""

    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}

    def make(self, kind: type[_T], *parts: Any) -> _T:
        """Return the one of a kind that is made of these parts."""
        key = (kind, *parts)
        atom = self._made.get(key)
        if atom is None:
            atom = self._made[key] = kind(*parts)
        return cast(_T, atom)

    def weakened(self, atom: Atom, level: int) -> Atom:
        """Return the same atom, of which we are no surer than `level`."""
        if atom.level >= level:
            return atom
        if isinstance(atom, Ext):
            return self.make(Ext, atom.path, level)
        if isinstance(atom, Cls):
            return self.make(Cls, atom.cls, level)
        if isinstance(atom, Obj):
            return self.make(Obj, atom.cls, atom.args, level)
        if isinstance(atom, Func):
            return self.make(Func, atom.node, atom.env, atom.cls, atom.bound, level)
        return atom


FunctionNode = (ast.FunctionDef, ast.AsyncFunctionDef)
