"""Arguments and results as JSON."""

from __future__ import annotations

import enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornado_unblock._errors import JobArgumentError
from tornado_unblock.jobs.values import Sealer, check, plain_text

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class Colour(enum.IntEnum):
    RED = 1


def circle():
    made = []
    made.append(made)
    return made


@given(PLAIN)
def test_plain_data_comes_back(value):
    """What check lets pass is the same when it is read, signed or not."""
    check(value, "x")
    for sealer in (Sealer(), Sealer("s"), Sealer(b"s")):
        assert sealer.open(sealer.seal(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (object(), "x is of type object"),
        ({"a": [1, {2}]}, "x['a'][1] is of type set"),
        ({1: 2}, "x has a key of type int"),
        ((1, b"y"), "x[1] is of type bytes"),
        (float("nan"), "x is nan"),
        ([float("-inf")], "x[0] is -inf"),
        (Colour.RED, "x is of type Colour"),
        (circle(), "contains itself"),
    ],
)
def test_what_json_does_not_know_is_named(value, text):
    """The message says where in the argument it is."""
    with pytest.raises(JobArgumentError) as caught:
        check(value, "x")
    assert text in str(caught.value)


@pytest.mark.parametrize("text", ["[1]", "0" * 64 + ":[1]", ":", "é:[1]"])
def test_only_what_was_signed_is_read(text):
    """With a secret, nothing that was written without it is taken."""
    with pytest.raises(ValueError, match="not signed with this secret"):
        Sealer("secret").open(text)


def test_a_result_is_nothing_else():
    """What a job returns is no message, and not the result of another one."""
    sealer = Sealer("secret")
    message = {"id": "a", "name": "f", "args": [[], {}]}
    text = sealer.seal(message, result_of="a")
    assert sealer.open(text, result_of="a") == message
    for other in ("", "b"):
        with pytest.raises(ValueError, match="not signed with this secret"):
            sealer.open(text, result_of=other)


def test_a_secret_is_not_another():
    """What one secret has signed, another does not open."""
    with pytest.raises(ValueError, match="another one"):
        Sealer("b").open(Sealer("a").seal([1]))


@given(st.text(st.characters()))
def test_plain_text(text):
    """Every database takes it; what was so already is left as it is."""
    made = plain_text(text + "\0\ud800")
    assert made.encode()
    assert "\0" not in made
    assert plain_text(made) == made
