"""Asking for a job once a session of SQLAlchemy has committed."""

from __future__ import annotations

from typing import Any, Callable

from tornado_unblock._errors import ConfigurationError


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
    _Once(event, session, put)


class _Once:
    """The end of one transaction, whichever it is."""

    def __init__(self, event: Any, session: Any, put: Callable[[], object]) -> None:
        self._event, self._session, self._put = event, session, put
        event.listen(session, "after_commit", self.committed)
        event.listen(session, "after_rollback", self.rolled_back)

    def committed(self, session: Any) -> None:
        """It has committed; called by SQLAlchemy."""
        if self._remove():
            self._put()

    def rolled_back(self, session: Any) -> None:
        """It has not; called by SQLAlchemy."""
        self._remove()

    def _remove(self) -> bool:
        event, session = self._event, self._session
        if not event.contains(session, "after_commit", self.committed):
            return False
        event.remove(session, "after_commit", self.committed)
        event.remove(session, "after_rollback", self.rolled_back)
        return True
