"""What of a class runs where, decided once for each verb."""

from __future__ import annotations

from tornado.web import RequestHandler

from tornado_unblock._handlers.plan import decide


def test_plan_of_a_verb_that_does_not_exist():
    """A method that Tornado answers itself has nothing to move."""
    assert decide(RequestHandler, "brew").why == "Tornado answers 405 itself"
