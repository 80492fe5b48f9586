"""Flask on gevent: what waits is switched away from, if it is patched Python."""

from __future__ import annotations

import socket

from gevent import monkey, pywsgi  # type: ignore[import-untyped]

from benchmarks.contenders.flask_app import application


def serve(listening: socket.socket, workers: int) -> None:
    """Serve until killed; a greenlet for each request, whatever `workers` says."""
    monkey.patch_all()
    own = socket.socket(fileno=listening.detach())  # now one of gevent's
    pywsgi.WSGIServer(own, application(), log=None).serve_forever()
