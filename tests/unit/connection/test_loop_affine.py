"""What belongs to the loop thread, used from a worker."""

from __future__ import annotations

from tornado.web import RequestHandler

from tornado_unblock import unblock


def test_stream_of_a_detached_connection(make_server):
    """A body may take the socket over; its stream is safe to use from there."""

    class Handler(RequestHandler):
        @unblock
        def get(self) -> None:
            stream = self.detach()
            stream.write(b"raw bytes")
            stream.close()

    assert make_server(("/", Handler)).get("/").raw == b"raw bytes"
