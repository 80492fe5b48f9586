"""A body's right to reach the loop: one thread's, once, and for as long as it runs."""

from __future__ import annotations

from tornado.web import RequestHandler

from tornado_unblock import unblock
from tornado_unblock._loop.lease import current_lease


def test_right_to_finish_taken_by_the_body_itself(make_server):
    """Finishing goes on: it was not taken from it."""

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            lease = current_lease()
            assert lease is not None
            assert lease.take_right_to_finish()
            self.finish("mine")

    assert make_server(("/", Handler)).get("/").body == b"mine"
