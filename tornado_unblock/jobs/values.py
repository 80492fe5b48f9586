"""Arguments and results as JSON: what is kept is data, and nothing that runs.

# Threads: any; nothing is kept.
# Guarantees:
# - what cannot be kept is named, where the job is asked for and not in a worker;
# - what comes out is what went in, but for tuples, which come out as lists;
# - with a secret, data that was not written with it is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, Optional, Union

from tornado_unblock._errors import JobArgumentError

#: What JSON knows, and gives back as it was; floats and large ints are looked at.
PLAIN = frozenset((str, bool, type(None)))
# One for all: json.dumps makes one for each value. `check` has looked for circles.
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
# Nested deeper than this, JSON itself gives up.
_DEPTH = 200
#: Python writes a smaller int whatever `sys.set_int_max_str_digits` has been told.
LARGE = 2**2000


def check(value: object, where: str, depth: int = 0) -> None:
    """Raise unless ``value`` comes back from JSON as it is.

    Raises:
        JobArgumentError: It does not; the message begins with ``where``.
    """
    kind = type(value)
    if kind in PLAIN:
        return
    if kind is int:
        if not -LARGE < value < LARGE:  # type: ignore[operator]
            _check_digits(value, where)
        return
    if kind is float:
        if value != value or value in (float("inf"), float("-inf")):
            raise JobArgumentError(f"{where} is {value!r}, which JSON does not know")
        return
    if depth > _DEPTH:
        raise JobArgumentError(f"{where} is nested too deep, or contains itself")
    if kind in (list, tuple):
        for number, item in enumerate(value):  # type: ignore[arg-type, var-annotated]
            check(item, f"{where}[{number}]", depth + 1)
    elif kind is dict:
        for key, item in value.items():  # type: ignore[attr-defined]
            if type(key) is not str:
                raise JobArgumentError(
                    f"{where} has a key of type {type(key).__qualname__}; JSON has "
                    "only str for keys"
                )
            check(item, f"{where}[{key!r}]", depth + 1)
    else:
        raise JobArgumentError(
            f"{where} is of type {kind.__qualname__}, which JSON does not know: pass "
            "plain data, such as the id under which the job finds it again"
        )


def _check_digits(value: object, where: str) -> None:
    try:
        str(value)
    except ValueError as error:
        raise JobArgumentError(
            f"{where} is a number that cannot be written as text ({error}): pass "
            "hex(number), say"
        ) from None


def plain_text(text: str) -> str:
    """Return a text as every database takes it: no NUL, and no half of a character."""
    text = text.replace("\0", "\\x00")
    return text.encode("utf-8", "backslashreplace").decode()


def dumps(value: object) -> str:
    """Return ``value``, which `check` has let pass, as JSON."""
    return _encode(value)


class Sealer:
    """Writes JSON, signed if there is a secret, and reads it back.

    Args:
        secret: Without one nothing is signed.
    """

    def __init__(self, secret: Optional[Union[str, bytes]] = None) -> None:
        key = secret.encode() if isinstance(secret, str) else secret
        self._key = key or None

    def seal(self, value: object, result_of: str = "") -> str:
        """Return ``value`` as text.

        Args:
            value: What is to be kept.
            result_of: The job whose result it is: nobody is to pass it off for a
                message, or for another job's.
        """
        text = dumps(value)
        if self._key is None:
            return text
        return f"{self._sign(text, result_of)}:{text}"

    def open(self, text: str, result_of: str = "") -> Any:
        """Return the value that was sealed.

        Raises:
            ValueError: It was not signed with this secret, or as something else, or is
                no JSON.
        """
        if self._key is not None:
            signature, _, text = text.partition(":")
            own = self._sign(text, result_of)
            if not hmac.compare_digest(signature.encode(), own.encode()):
                raise ValueError(
                    "it was not signed with this secret: some process was configured "
                    "with another one, or somebody else wrote it"
                )
        return json.loads(text)

    def _sign(self, text: str, result_of: str) -> str:
        assert self._key is not None
        # No message begins so: each is a JSON object.
        signed = f"result of {result_of}\n{text}" if result_of else text
        return hmac.new(self._key, signed.encode(), hashlib.sha256).hexdigest()
