"""What is known of response headers before the connection sees them."""

from __future__ import annotations

import re

from tornado.httputil import HTTPHeaders

# Text that HTTP1Connection takes without complaint in every supported Tornado:
# Latin-1 without control characters.
_harmless = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch


def harmless(reason: str, headers: HTTPHeaders) -> bool:
    """Whether no Tornado refuses any of this."""
    # What `get_all` yields, one by one.
    lists = headers._as_list
    parts = [reason, *lists]
    for values in lists.values():
        parts += values
    try:
        # One look at all of it is cheaper than one at each.
        text = "".join(parts)
    except TypeError:  # old Tornado lets bytes in
        return False
    # Nearly always it is plain ASCII, and that is cheaper still to see.
    return (text.isascii() and text.isprintable()) or _harmless(text) is not None


def snapshot(headers: HTTPHeaders) -> HTTPHeaders:
    """Return a copy of ``headers``, cheaper than `HTTPHeaders.copy` by far.

    That one parses and checks each line again; these have been checked.
    """
    copy = HTTPHeaders.__new__(HTTPHeaders)
    own = vars(copy)
    for name, value in vars(headers).items():
        own[name] = value.copy() if type(value) is dict else value
    own["_as_list"] = {name: values[:] for name, values in headers._as_list.items()}
    return copy
