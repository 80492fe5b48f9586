"""Names taken out of an import: its layout and its comments stay."""

from __future__ import annotations

import pytest

from tornado_unblock._scan.fixes import RULES, Facts

SHIM = "from tornado_unblock.shim.legacy import "
#: What stands between the parentheses of an import, with the module in front.
IMPORTS = {
    "web import (\n    # c\n    HTTPError,  # a\n    asynchronous,  # b\n    url,\n)": (
        "from tornado.web import (\n    # c\n    HTTPError,  # a\n    url,\n)\n"
        + SHIM
        + "asynchronous  # b\n"
    ),
    "web import (asynchronous, url,  # a\n    RequestHandler)  # c": (
        "from tornado.web import (url,  # a\n    RequestHandler)  # c\n"
        + SHIM
        + "asynchronous\n"
    ),
    "web import (url,  # a\n    RequestHandler, asynchronous)": (
        "from tornado.web import (url,  # a\n    RequestHandler, )\n"
        + SHIM
        + "asynchronous\n"
    ),
    "web import (url, asynchronous,  # a\n    RequestHandler)": (
        "from tornado.web import (url,  # a\n    RequestHandler)\n"
        + SHIM
        + "asynchronous\n"
    ),
    "web import (  # a\n    asynchronous\n    ,\n)": (
        SHIM + "(  # a\n    asynchronous\n    ,\n)\n"
    ),
    "web import url, \\\n    asynchronous": (
        "from tornado.web import url\n" + SHIM + "asynchronous\n"
    ),
    "gen import (  # a\n    Task as T,  # b\n    # c\n    engine,  # d\n)": (
        SHIM + "(  # a\n    Task as T,  # b\n    # c\n)\n"
    ),
}


@pytest.mark.parametrize("written", IMPORTS)
def test_imports(written: str) -> None:
    """Comments and layout of an import stay with the names that stay."""
    use = "x = asynchronous\n" if written.startswith("web") else "x = T\n"
    fixed = RULES["legacy"](f"from tornado.{written}\n{use}", Facts())
    assert fixed.text == f"{IMPORTS[written]}{use}"
