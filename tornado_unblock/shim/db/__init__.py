"""A pooled database for sync and async code.

    from tornado_unblock.shim.db import Database

    database = Database("mysql://user:password@127.0.0.1/shop")

    rows = database.execute("SELECT * FROM orders WHERE id = %s", (7,))
    rows = await database.execute.aio("SELECT * FROM orders WHERE id = %s", (7,))

MySQL and MariaDB, PostgreSQL, SQLite; SQLAlchemy's pools and dialects underneath.
"""

try:
    import sqlalchemy

    if int(sqlalchemy.__version__.partition(".")[0]) < 2:
        raise ImportError(f"SQLAlchemy {sqlalchemy.__version__} is too old")
    import sqlalchemy.ext.asyncio  # which needs greenlet
except ImportError as _error:
    raise ImportError(
        "tornado_unblock.shim.db needs SQLAlchemy 2 with its asyncio extension: "
        "pip install 'tornado-unblock[db]'"
    ) from _error

from tornado_unblock.shim.db._database import Database
from tornado_unblock.shim.db._pools import PoolTimeoutError
from tornado_unblock.shim.db._rows import Affected, Row
from tornado_unblock.shim.db._streams import Stream
from tornado_unblock.shim.db._transactions import Transaction

__all__ = ["Affected", "Database", "PoolTimeoutError", "Row", "Stream", "Transaction"]
