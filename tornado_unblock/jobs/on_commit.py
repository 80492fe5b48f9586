"""Asking for a job once a session of SQLAlchemy has committed.

# Threads: the session's own; what waits stands in the session's ``info``.
# Guarantees:
# - after a rollback nothing is asked for, after a commit everything is tried; where
#   that fails, ``session.commit()`` raises, though the transaction has committed.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

from tornado_unblock._errors import ConfigurationError, JobStoreError

_KEY = "tornado_unblock.jobs"


def after_commit(session: Any, put: Callable[[], object]) -> None:
    """Call ``put`` when the transaction of ``session`` has committed, else never.

    Raises:
        ConfigurationError: ``session`` is no session of SQLAlchemy.
    """
    try:
        from sqlalchemy import event
        from sqlalchemy.orm import Session
    except ImportError:
        raise ConfigurationError("on_commit= needs SQLAlchemy") from None
    if not isinstance(session, Session):
        raise ConfigurationError(
            f"on_commit takes a session of SQLAlchemy, not {session!r}"
        )
    waiting = session.info.get(_KEY)
    if waiting is None:
        waiting = session.info[_KEY] = []
        event.listen(session, "after_commit", _committed)
        event.listen(session, "after_rollback", _rolled_back)
    waiting.append(put)


def _committed(session: Any) -> None:
    waiting = session.info[_KEY]
    error: Optional[Exception] = None
    while waiting:
        try:
            waiting.pop(0)()
        except JobStoreError as failure:  # the others may go
            error = error or failure
    if error is not None:
        raise error


def _rolled_back(session: Any) -> None:
    session.info[_KEY].clear()
