"""Atoms: made once, compared by identity, weakened by a doubtful way."""

from __future__ import annotations

import pytest

from tornado_unblock._scan.values import (
    EMPTY,
    LIKELY,
    MAX_ATOMS,
    SEEN,
    UNKNOWN,
    Args,
    Atoms,
    Cls,
    Ext,
    Items,
    Map,
    Obj,
    Text,
    depth_of,
    union,
)


def test_made_once() -> None:
    """The same parts give the same atom."""
    atoms = Atoms()
    assert atoms.make(Ext, "a") is atoms.make(Ext, "a")
    assert atoms.make(Ext, "a") is not atoms.make(Ext, "a", LIKELY)
    assert atoms.make(Ext, "a") is not atoms.make(Text, "a")


def test_union() -> None:
    """Each atom is there once, in the order it was found in, and not too many."""
    atoms = Atoms()
    a, b = atoms.make(Text, "a"), atoms.make(Text, "b")
    assert union() == union(EMPTY) == EMPTY
    assert union((a, b), EMPTY, (b, a)) == (a, b)
    many = [(atoms.make(Text, str(n)),) for n in range(MAX_ATOMS + 5)]
    assert len(union(*many)) == MAX_ATOMS


def test_depth() -> None:
    """Containers and objects are as deep as what is in them, and one more."""
    atoms = Atoms()
    text = (atoms.make(Text, "a"),)
    items = (atoms.make(Items, (text,), True),)
    pairs = (atoms.make(Map, (("a", items),), EMPTY),)
    args = atoms.make(Args, (pairs,), (), EMPTY)
    made = (atoms.make(Obj, object(), args),)
    values = (EMPTY, text, items, pairs, made)
    assert [depth_of(value) for value in values] == [0, 0, 1, 2, 3]


@pytest.mark.parametrize("kind", [Ext, Cls, Obj])
def test_weakened(kind: type) -> None:
    """Nobody is surer of what stands at the end of a way than of the way."""
    atoms = Atoms()
    parts = (object(), None) if kind is Obj else (object(),)
    atom = atoms.make(kind, *parts)
    weak = atoms.weakened(atom, LIKELY)
    assert (atom.level, weak.level) == (SEEN, LIKELY)
    assert type(weak) is kind
    assert atoms.weakened(weak, SEEN) is weak
    assert atoms.weakened(weak, UNKNOWN).level == UNKNOWN


def test_not_weakened() -> None:
    """A text is what it is."""
    atoms = Atoms()
    text = atoms.make(Text, "a")
    assert atoms.weakened(text, LIKELY) is text
