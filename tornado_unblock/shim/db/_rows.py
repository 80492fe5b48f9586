"""What a statement gives back: rows, or how many rows it changed."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Optional

from sqlalchemy import CursorResult


class Row(tuple[Any, ...]):
    """One row: a tuple whose values also go by the names of their columns.

    ``row[0]``, ``row["name"]`` and ``row.name`` are the same value, `dict(row)` is
    the row as a dict. Iterating gives the values. Of two columns with one name, the
    first goes by it.
    """

    __slots__ = ()
    _fields: tuple[str, ...] = ()
    _index: Mapping[str, int] = MappingProxyType({})

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return tuple.__getitem__(self, self._index[key])
        return tuple.__getitem__(self, key)

    def __getattr__(self, name: str) -> Any:
        try:
            return tuple.__getitem__(self, self._index[name])
        except KeyError:
            raise AttributeError(
                f"no column is called {name!r}; there are {', '.join(self._fields)}"
            ) from None

    def keys(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return self._fields

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a column, or ``default`` if there is none."""
        return self[key] if key in self._index else default

    def items(self) -> Iterator[tuple[str, Any]]:
        """Return names with values."""
        return zip(self._fields, self)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.items())
        return f"Row({inside})"

    def __reduce__(self) -> Any:
        return _remake, (self._fields, tuple(self))


class Affected(int):
    """How many rows a statement changed, as the driver says; -1 if it does not.

    Attributes:
        lastrowid: The key that an INSERT got, where the driver tells (MySQL,
            SQLite); else None.
    """

    lastrowid: Optional[int]

    def __new__(cls, rows: int, lastrowid: Optional[int] = None) -> Affected:
        affected = super().__new__(cls, rows)
        affected.lastrowid = lastrowid
        return affected


@functools.lru_cache(maxsize=500)
def row_class(names: tuple[str, ...]) -> type[Row]:
    """Return the class of the rows that have these columns."""
    index = {name: place for place, name in reversed(list(enumerate(names)))}
    body: dict[str, Any] = {"__slots__": (), "_fields": names, "_index": index}
    for name, place in index.items():
        # Columns called like a method of tuple are theirs, others only faster.
        if not name.startswith("_") and name not in vars(Row):
            body[name] = property(itemgetter(place))
    return type("Row", (Row,), body)


def _remake(names: tuple[str, ...], values: tuple[Any, ...]) -> Row:
    return row_class(names)(values)


def rows_of(result: CursorResult[Any], rows: Any) -> list[Row]:
    """Return what ``result`` fetched as our rows."""
    return list(map(row_class(tuple(result.keys())), rows))


def outcome(result: CursorResult[Any], n: Optional[int]) -> Any:
    """Return what `Database.execute` returns for a result."""
    if not result.returns_rows:
        return affected(result)
    if n is None:
        return rows_of(result, result.fetchall())
    if n == 1:
        row = result.fetchone()
        result.close()
        return None if row is None else rows_of(result, [row])[0]
    rows = result.fetchmany(n) if n else []
    result.close()
    return rows_of(result, rows)


def affected(result: CursorResult[Any]) -> Affected:
    """Return how many rows a statement changed."""
    # Not result.lastrowid: not every driver's cursor has it.
    lastrowid = getattr(result.context.cursor, "lastrowid", None)
    return Affected(result.rowcount, lastrowid or None)
