"""A pytest plugin: tests that stall the event loop fail, and say where.

=============================  ====================================================
``pytest --no-stalls``         every test
``@pytest.mark.no_stalls``     this test; takes ``threshold=`` and ``allow=``
fixture ``no_stalls``          this test; gives what was found so far
``--stall-threshold SECONDS``  0.1 unless given; or ``stall_threshold`` in the ini file
``--allow-stalls PATTERN``     what is not mended yet; or ``allow_stalls``, line by line
``@pytest.mark.allow_stalls``  the same for this test; without a pattern it may stall
=============================  ====================================================

A module on its own: pytest imports it wherever the library is installed, and it imports
the library only for a test that is watched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Optional

import pytest

if TYPE_CHECKING:
    from tornado_unblock.testing import no_stalls as NoStalls

_MARKERS = (
    "no_stalls(threshold=None, allow=()): fail if the event loop stalls in this test",
    "allow_stalls(*patterns): frames that may stall the event loop in this test; "
    "all of them without a pattern",
)
_ATTRIBUTE = "_tornado_unblock_stalls"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Implements the hook of pytest."""
    group = parser.getgroup("tornado-unblock")
    group.addoption(
        "--no-stalls",
        action="store_true",
        help="fail tests that stall the event loop",
    )
    group.addoption(
        "--stall-threshold",
        type=float,
        metavar="SECONDS",
        help="how long it may not answer (default: 0.1)",
    )
    group.addoption(
        "--allow-stalls",
        action="append",
        default=[],
        metavar="PATTERN",
        help="a frame that may stall it: 'orders.py:load', 'models/*.py', 'Orders.get'",
    )
    parser.addini(
        "stall_threshold", "how long a loop may not answer, in seconds", default=""
    )
    parser.addini("allow_stalls", "frames that may stall the loop", type="linelist")


def pytest_configure(config: pytest.Config) -> None:
    """Implements the hook of pytest."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.fixture
def no_stalls(request: pytest.FixtureRequest) -> NoStalls:
    """Fail the test if the event loop stalls; gives what was found so far."""
    found = _checker(request.node)
    assert found is not None
    return found


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Implements the hook of pytest."""
    checker = _checker(item)
    if checker is None:
        yield
        return
    checker.__enter__()
    outcome: Any = yield
    # What is found is told by the message, with or without the test's own failure.
    checker.__exit__(AssertionError, AssertionError(), None)
    if not checker.stalls:
        return
    if outcome.excinfo is None:
        try:
            pytest.fail(checker.message(), pytrace=False)
        except pytest.fail.Exception as failure:
            outcome.force_exception(failure)
    else:
        item.add_report_section("call", "stalls", checker.message())


def _checker(item: pytest.Item) -> Optional[NoStalls]:
    """Return what watches the test; None if nothing does."""
    if hasattr(item, _ATTRIBUTE):
        found: NoStalls = getattr(item, _ATTRIBUTE)
        return found
    config, marker = item.config, item.get_closest_marker("no_stalls")
    asked = "no_stalls" in getattr(item, "fixturenames", ())
    allowed = list(item.iter_markers("allow_stalls"))
    if any(not allow.args for allow in allowed):
        return None
    if not (config.getoption("--no-stalls") or marker is not None or asked):
        return None
    from tornado_unblock.testing import no_stalls as NoStalls

    options: dict[str, Any] = dict(marker.kwargs) if marker is not None else {}
    patterns = [*config.getoption("--allow-stalls"), *config.getini("allow_stalls")]
    own, threshold = options.pop("allow", ()), options.pop("threshold", None)
    if not isinstance(own, (list, tuple, set, frozenset)):
        raise pytest.UsageError(f"no_stalls: allow is a list of patterns, not {own!r}")
    patterns += [*own, *(pattern for each in allowed for pattern in each.args)]
    if threshold is None:
        threshold = _threshold(config)
    if options or (marker is not None and marker.args):
        raise pytest.UsageError(f"no_stalls takes threshold= and allow=: {marker!r}")
    checker = NoStalls(threshold, allow=patterns)
    setattr(item, _ATTRIBUTE, checker)
    return checker


def _threshold(config: pytest.Config) -> float:
    given = config.getoption("--stall-threshold")
    if given is not None:
        return float(given)
    text = config.getini("stall_threshold") or "0.1"
    try:
        return float(text)
    except ValueError:
        raise pytest.UsageError(
            f"stall_threshold is a number of seconds, not {text!r}"
        ) from None
