"""What gunicorn's gevent worker needs beside its own patches: psycopg2's."""

from typing import Any

from psycogreen.gevent import patch_psycopg  # type: ignore[import-untyped]


def post_fork(server: Any, worker: Any) -> None:
    """Have psycopg2 switch to other greenlets while it waits."""
    patch_psycopg()
