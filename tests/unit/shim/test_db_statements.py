"""shim.db: the %s style, for drivers that have another one."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornado_unblock.shim.db._statements import checked, translate, translate_many


@pytest.mark.parametrize(
    ("text", "params", "sqlite", "asyncpg", "values"),
    [
        ("SELECT %s, %s", (1, 2), "SELECT ?, ?", "SELECT $1, $2", (1, 2)),
        ("SELECT %(a)s + %(b)s + %(a)s", {"a": 1, "b": 2, "c": 3}, *(
            "SELECT ? + ? + ?", "SELECT $1 + $2 + $3", (1, 2, 1),
        )),
        ("a %% %s", (1,), "a % ?", "a % $1", (1,)),
        ("LIKE 'a%%' AND b = %s", (1,), "LIKE 'a%' AND b = ?", *(
            "LIKE 'a%' AND b = $1", (1,),
        )),
        ("'it''s' %s", (1,), "'it''s' ?", "'it''s' $1", (1,)),
        ('"it\'s" %s', (1,), '"it\'s" ?', '"it\'s" $1', (1,)),
        ("-- it's\n%s", (1,), "-- it's\n?", "-- it's\n$1", (1,)),
        ("/* it's\n */%s", (1,), "/* it's\n */?", "/* it's\n */$1", (1,)),
        ("-- 100%%", (), "-- 100%", "-- 100%", ()),
        ("SELECT 1", {}, "SELECT 1", "SELECT 1", ()),
    ],
)  # fmt: skip
def test_placeholders(text, params, sqlite, asyncpg, values):
    """Placeholders are numbered as the driver wants, and quotes are left alone."""
    assert translate(text, params, "qmark") == (sqlite, values)
    assert translate(text, params, "numeric_dollar") == (asyncpg, values)
    assert translate(text, params, "pyformat") == (text, params)


@pytest.mark.parametrize(
    ("text", "translated"),
    [
        (r"E'it\'s' || %s", r"E'it\'s' || $1"),
        ("$$ it's $$ || %s", "$$ it's $$ || $1"),
        ("$t$ $$ it's $t$ || %s", "$t$ $$ it's $t$ || $1"),
        ("/* a /* b */ it's */ a[%s]", "/* a /* b */ it's */ a[$1]"),
        ("a ? 'b' AND c = %s", "a ? 'b' AND c = $1"),
    ],
)
def test_quoting_of_postgresql(text, translated):
    """What PostgreSQL alone quotes is quoted for asyncpg."""
    assert translate(text, (1,), "numeric_dollar") == (translated, (1,))


def test_quoting_of_sqlite():
    """Backticks quote a name; a comment ends at the first end."""
    assert translate("`it's` %s", (1,), "qmark")[0] == "`it's` ?"
    assert translate("/* /* */ %s", (1,), "qmark")[0] == "/* /* */ ?"


def test_without_parameters():
    """A statement without parameters is taken as it is."""
    assert translate("LIKE 'a%'", None, "qmark") == ("LIKE 'a%'", None)


def test_many():
    """One text for many parameters."""
    rows = [(1,), {"a": 2}]
    assert translate_many("%s", rows, "format") == ("%s", rows)
    assert translate_many("%s", [(1,), [2]], "qmark") == ("?", [(1,), (2,)])


@pytest.mark.parametrize(
    ("text", "params", "message"),
    [
        ("'%s'", (1,), r"'%s' at position 1 .* without quotes"),
        ("-- %s", (1,), r"'%s' at position 3"),
        ("'%Y'", (1,), r"'%Y' at position 1 .* write %% for a percent sign"),
        ("'100%'", (1,), r"at position 4 .* write %%"),
        ("5 % 3", (1,), r"'%' at position 2 .* write %% for a percent sign"),
        ("%s %s", (1,), "2 placeholders, and 1 parameters"),
        ("%s", (), "1 placeholders, and 0 parameters"),
        ("%s", {"a": 1}, r"pass a tuple, or write %\(name\)s"),
        ("%(a)s", (1,), "pass a dict, or write %s"),
        ("%(b)s %(c)s", {"a": 1}, "no parameter is named b, c"),
    ],
)
def test_mistakes(text, params, message):
    """What the other drivers refuse or misunderstand is refused, and explained."""
    with pytest.raises(ValueError, match=message):
        translate(text, params, "qmark")


def test_unknown_style():
    """A driver of another kind is named; SQLAlchemy's own way is the way out."""
    with pytest.raises(NotImplementedError, match=r"'named'.*sqlalchemy\.text"):
        translate("%s", (1,), "named")


def test_forms_of_parameters():
    """Sequences become tuples, mappings dicts; one value alone is refused."""
    assert checked(None) is None
    assert checked([1]) == (1,)
    assert checked(range(2)) == (0, 1)
    assert checked({"a": 1}) == {"a": 1}
    for value in ("text", b"bytes", 5, {1, 2}):
        with pytest.raises(TypeError, match="a tuple, a list or a dict"):
            checked(value)


@given(st.lists(st.one_of(st.integers(0, 99), st.text("ab'%-/*$\"\\ ", max_size=5))))
def test_any_text_survives(parts):
    """Strings quoted into a statement, and values beside them, arrive unchanged."""
    columns, params = [], []
    for part in parts or [1]:
        if isinstance(part, int):
            columns.append("%s")
            params.append(part)
        else:
            columns.append("'" + part.replace("'", "''").replace("%", "%%") + "'")
    text, values = translate("SELECT " + ", ".join(columns), tuple(params), "qmark")
    connection = sqlite3.connect(":memory:")
    try:
        found = connection.execute(text, values).fetchone()
    finally:
        connection.close()
    assert list(found) == list(parts or [1])
