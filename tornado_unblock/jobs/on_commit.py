"""Asking for a job once a session of SQLAlchemy has committed.

# Threads: the session's own; what waits stands in the session's ``info``.
# Guarantees:
# - a job waits with the transaction that it was asked for in: one of a savepoint goes
#   to the transaction around it, or is gone with the savepoint's rollback;
# - what does not commit, by a rollback, ``close()`` or ``reset()``, asks for nothing;
# - after a commit everything is tried; where that fails, ``session.commit()`` raises,
#   though the transaction has committed.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

from tornado_unblock._errors import ConfigurationError

_KEY = "tornado_unblock.jobs"


class _Waiting:
    """What waits, by transaction, and which of these have committed."""

    def __init__(self) -> None:
        self.puts: dict[Any, list[Callable[[], object]]] = {}
        self.committed: set[Any] = set()

    def add(self, transaction: Any, puts: list[Callable[[], object]]) -> None:
        self.puts.setdefault(transaction, []).extend(puts)


def after_commit(session: Any, put: Callable[[], object]) -> None:
    """Call ``put`` when the transaction of ``session`` has committed, else never.

    A session that has begun none does so now, as with any other use.

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
        waiting = session.info[_KEY] = _Waiting()
        event.listen(session, "after_commit", _committed)
        event.listen(session, "after_transaction_end", _ended)
    if not session.in_transaction():
        session.begin()
    waiting.add(_innermost(session), [put])


def _innermost(session: Any) -> Any:
    """Return the savepoint that a session is in, or its transaction."""
    return session.get_nested_transaction() or session.get_transaction()


def _committed(session: Any) -> None:
    """A savepoint was released, or the transaction has committed; it ends next."""
    session.info[_KEY].committed.add(_innermost(session))


def _ended(session: Any, transaction: Any) -> None:
    waiting = session.info[_KEY]
    puts = waiting.puts.pop(transaction, [])
    if transaction not in waiting.committed:
        return
    waiting.committed.remove(transaction)
    if not transaction.nested:
        _put_all(puts)
    elif puts:
        around = transaction.parent
        while around.parent is not None and not around.nested:
            around = around.parent  # what a flush has put between
        waiting.add(around, puts)


def _put_all(puts: list[Callable[[], object]]) -> None:
    error: Optional[Exception] = None
    for put in puts:
        try:
            put()
        except Exception as failure:  # the others may go
            error = error or failure
    if error is not None:
        raise error
