"""The same handlers in more processes, as HTTPServer.start() forks them."""

from examples.sql_review.variants.inline import ROUTES

PROCESSES = 8

__all__ = ["PROCESSES", "ROUTES"]
