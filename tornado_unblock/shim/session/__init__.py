"""Sessions and connections that many threads can stand behind.

from tornado_unblock.shim.session import scoped_session   # was: sqlalchemy.orm

Session = scoped_session(sessionmaker(engine))            # one for each request

db = per_thread(lambda: pymysql.connect(...))             # one for each thread
db = guard(pymysql.connect(...))                          # warns if shared
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tornado_unblock.shim.session._guard import guard
from tornado_unblock.shim.session._per_thread import per_thread

if TYPE_CHECKING:
    from tornado_unblock.shim.session._scoped import scoped_session

__all__ = ["guard", "per_thread", "scoped_session"]


def __getattr__(name: str) -> Any:
    # On demand: the others need no SQLAlchemy.
    if name == "scoped_session":
        from tornado_unblock.shim.session._scoped import scoped_session

        return scoped_session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
