"""The drivers' ``%s`` style, for the drivers that have another one.

``%s``, ``%(name)s`` and ``%%`` mean what they mean to the MySQL and PostgreSQL
drivers. SQLite and asyncpg number their placeholders: for them the text is taken
apart, so that what is quoted or commented out is left alone.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional, Union

Parameters = Union[None, Sequence[Any], Mapping[str, Any]]

#: Styles of the drivers that take ``%s`` themselves.
NATIVE = ("format", "pyformat")
_MARKS = {"qmark": "?", "numeric_dollar": "${}"}

# Quoted text and comments, each as a whole; then what a % begins.
_TOKENS = {
    "qmark": r"""
        (?P<quoted> '[^']*' | "[^"]*" | `[^`]*` | --[^\n]* | /\*.*?\*/ )
        """,
    # PostgreSQL has E'\'', $tag$ ... $tag$, and comments inside comments.
    "numeric_dollar": r"""
        (?P<quoted> \b[eE]'(?:[^'\\]|\\.)*' | '[^']*' | "[^"]*" | --[^\n]*
            | /\*(?:/\*.*?\*/|.)*?\*/ | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
        """,
}
_PERCENT = r"| (?P<escaped> %% ) | %(?:\((?P<name>[^)]*)\))?(?P<kind>s) | (?P<bare> % )"


class _Parsed(NamedTuple):
    text: str
    #: One for each placeholder: its name, or None for a positional one.
    names: tuple[Optional[str], ...]


def checked(params: object) -> Parameters:
    """Return parameters in the form that drivers take.

    Raises:
        TypeError: They are neither a sequence nor a mapping.
    """
    if params is None or isinstance(params, tuple):
        return params
    if isinstance(params, Mapping):
        return dict(params)
    if isinstance(params, Sequence) and not isinstance(params, (str, bytes, bytearray)):
        return tuple(params)
    raise TypeError(
        f"parameters are a tuple, a list or a dict, not {params!r}: for one value "
        "write (value,)"
    )


def translate(text: str, params: Parameters, style: str) -> tuple[str, Parameters]:
    """Return the statement and its parameters as a driver of ``style`` takes them.

    Args:
        text: A statement with ``%s`` or ``%(name)s``; taken as it is when there
            are no parameters.
        params: What `checked` returned.
        style: The driver's style, one of PEP 249 or SQLAlchemy.

    Raises:
        ValueError: A ``%`` stands where it has no meaning, or the parameters do
            not fit the placeholders.
        NotImplementedError: The style is none that this knows.
    """
    if params is None or style in NATIVE:
        return text, params
    parsed = _parse(text, style)
    return parsed.text, _arrange(parsed, params)


def translate_many(
    text: str, rows: Sequence[Parameters], style: str
) -> tuple[str, list[Any]]:
    """Return the same for many parameters, at least one; see `translate`."""
    if style in NATIVE:
        return text, list(rows)
    parsed = _parse(text, style)
    return parsed.text, [_arrange(parsed, row) for row in rows]


def _arrange(parsed: _Parsed, params: Parameters) -> tuple[Any, ...]:
    names = parsed.names
    if isinstance(params, Mapping):
        if None in names:
            raise ValueError("the statement has %s: pass a tuple, or write %(name)s")
        missing = sorted({str(name) for name in names} - set(params))
        if missing:
            raise ValueError(f"no parameter is named {', '.join(missing)}")
        return tuple(params[str(name)] for name in names)
    values = tuple(params or ())
    if any(names):
        raise ValueError("the statement has %(name)s: pass a dict, or write %s")
    if len(values) != len(names):
        raise ValueError(
            f"the statement has {len(names)} placeholders, and {len(values)} "
            "parameters came"
        )
    return values


@functools.lru_cache(maxsize=500)
def _parse(text: str, style: str) -> _Parsed:
    if style not in _MARKS:
        raise NotImplementedError(
            f"shim.db knows no way from %s to the style {style!r} of this driver: pass "
            "a sqlalchemy.text() with :name parameters"
        )
    names: list[Optional[str]] = []

    def replace(found: re.Match[str]) -> str:
        if found["quoted"] is not None:
            return _unescape(found, text)
        if found["escaped"] is not None:
            return "%"
        if found["bare"] is not None:
            raise _misplaced("%", "write %% for a percent sign", text, found.start())
        names.append(found["name"])
        return _MARKS[style].format(len(names))

    tokens = re.compile(_TOKENS[style] + _PERCENT, re.VERBOSE | re.DOTALL)
    return _Parsed(tokens.sub(replace, text), tuple(names))


def _unescape(found: re.Match[str], text: str) -> str:
    """Return quoted text or a comment with ``%`` for ``%%``, as the drivers do."""
    quoted = found["quoted"]
    for percent in re.finditer("%(.?)", quoted, re.DOTALL):
        if percent[1] != "%":
            raise _misplaced(
                percent[0],
                "write %% for a percent sign, and %s without quotes: the driver quotes",
                text,
                found.start() + percent.start(),
            )
    return str(quoted.replace("%%", "%"))


def _misplaced(what: str, instead: str, text: str, position: int) -> ValueError:
    return ValueError(
        f"{what!r} at position {position} of the statement is no placeholder there: "
        f"{instead}\n{text}"
    )
