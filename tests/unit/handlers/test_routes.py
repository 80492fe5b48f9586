"""What an application serves, and whether a pattern can be meant for it."""

from __future__ import annotations

import re

import pytest
from tornado.routing import AnyMatches, PathMatches, Router, Rule, RuleRouter
from tornado.web import Application, ErrorHandler, RequestHandler

from tornado_unblock import ConfigurationError, unblock_application
from tornado_unblock._handlers.routes import is_known, may_meet, routes_of


class Handler(RequestHandler):
    def get(self, *args: str) -> None: ...


@pytest.mark.parametrize(
    ("one", "other", "may"),
    [
        ("/orders", "/orders$", True),
        ("/order", "/orders$", False),
        ("/order.*", "/orders/(.*)$", True),
        ("/reports", "/reports/(.*)$", False),
        ("/reports/7", r"/reports/(\d+)$", True),
        ("/reports/x", r"/reports/(\d+)$", False),
        (r"/price\$", r"/price\$$", True),
        ("/reprots/.*", "/reports/(.*)$", False),
        ("/orders?/x", "/order/(.*)", True),
        ("/o{2}", "/oo$", True),
        ("/o{2}", "/o[pq]$", True),  # a beginning is all that is known
        ("/o+x", "/oox", True),
        ("/o+x", "/oo", False),
        (r"/a\.b", "/a.b", True),
        (r"/a\.b", "/axb", False),
        (r"/\d+", "/7", True),
        ("^/orders", "/orders", True),
        ("/(a|b)", "/c", False),
        ("/(a|b)", "/c.*", True),  # not looked into
        (".*", "/anything", True),
    ],
)
def test_may_meet(one, other, may):
    """No pattern is refused that could match; what begins differently cannot."""
    assert may_meet(one, other) is may
    assert may_meet(other, one) is may


def test_samples():
    """A path that a pattern matches stands for its requests."""

    def sample(pattern: str) -> str:
        (route, *_) = routes_of(RuleRouter([(pattern, Handler)]))
        return route.sample()

    assert sample("/plain") == "/plain"
    assert sample(r"/orders/(\d+)/(\d+)") == "/orders/1/1"
    assert sample(r"/names/([a-z]+)") == "/names/x"
    assert sample(r"/days/(\d{4}-\d\d-\d\d)") == "/days/2000-01-01"
    # Nothing fits, or Tornado cannot make a path of it: the pattern itself.
    assert sample(r"/odd/(q{7})") == "/odd/(q{7})"
    assert sample(r"/odd/(a|(b))+") == "/odd/(a|(b))+"


def test_nested():
    """Each router matches the whole path; rules without one have that above them."""

    class Own(Router):
        """Nobody knows what it serves."""

    inner = RuleRouter([Rule(AnyMatches(), Handler), ("/in", Handler)])
    app = Application([("/out.*", inner)], default_handler_class=Handler)
    patterns = [route.pattern for route in routes_of(app)]
    assert patterns[:2] == ["/out.*$", "/in$"]
    assert patterns[-1] == "(no route)"
    assert is_known(app)
    assert not is_known(Own())
    assert not is_known(RuleRouter([Rule(PathMatches("/own"), Own())]))


def test_pattern_that_matches_nothing():
    """A slip is told at once, with what there is."""
    app = Application([("/reports/(.*)", Handler), ("/health", Handler)])
    with pytest.raises(ConfigurationError) as caught:
        unblock_application(app, routes={"/reprots/.*": {"executor": "reports"}})
    assert str(caught.value) == (
        "routes: '/reprots/.*' matches none of the application's routes, which are "
        "'/reports/(.*)$' (Handler), '/health$' (Handler); if its own is added later, "
        "call unblock_application after that"
    )
    unblock_application(app, routes={"/reports/[ab]/.*": None, Handler: None})


def test_class_that_serves_nothing():
    """So is a class of which no route is; Tornado's own error pages have none."""

    class Other(Handler):
        pass

    app = Application([("/health", Handler)])
    with pytest.raises(ConfigurationError, match=r"Other matches none .*\(Handler\)"):
        unblock_application(app, routes={Other: None})
    unblock_application(app, routes={ErrorHandler: None, RequestHandler: None})


def test_pattern_without_regard_to_case():
    """What Tornado was given compiled is not judged by its letters."""
    app = Application([(re.compile("/Health", re.IGNORECASE), Handler)])
    unblock_application(app, routes={"/health": None})


def test_nothing_to_compare_with():
    """Where routes come later, or are somebody's own, any pattern is taken."""

    class Own(Router):
        """Nobody knows what it serves."""

    unblock_application(Application(), routes={"/later": None})
    unblock_application(RuleRouter([("/own", Own())]), routes={"/other": None})
    anything = RuleRouter([("/own", Handler), Rule(AnyMatches(), Handler)])
    unblock_application(anything, routes={"/other": None})


def test_options_of_a_route():
    """A wrong name is told with the right ones, as the public function has them."""
    with pytest.raises(TypeError) as caught:
        unblock_application(Application(), routes={"/": {"executer": "x"}})
    assert str(caught.value) == (
        "unblock_application(routes={'/': ...}) has no option 'executer'; it takes "
        "executor, timeout, json_encoder"
    )
    with pytest.raises(TypeError, match=r"unblock_application\(\) got an unexpected"):
        unblock_application(Application(), executer="x")
