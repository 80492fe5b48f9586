"""The tables, and the session that each thread has."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import random
import secrets
from typing import Any, Optional

from sqlalchemy import ForeignKey, String, create_engine, insert
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    mapped_column,
    relationship,
    scoped_session,
    sessionmaker,
)

#: What the names of this process's tables begin with: nobody else's are touched.
PREFIX = f"legacy_app_{secrets.token_hex(4)}_"
DIALECTS = {
    "sqlite": "sqlite",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "postgresql": "postgresql+psycopg2",
    "postgres": "postgresql+psycopg2",
}
ADVICE = (
    "Use sqlite:///path/to/file, mysql://user:password@host:port/database "
    "or postgresql://user:password@host:port/database."
)
USERS = {"alice": "wonderland", "bob": "builder", "carol": "christmas"}
CUSTOMERS = ("Abbot", "Baker", "Cook", "Dyer", "Fisher", "Mason", "Smith", "Weaver")
FIRST_YEAR, YEARS = 2012, 4
SALES = 6000

Session = scoped_session(sessionmaker())


class Base(DeclarativeBase):
    __table_args__ = {"mysql_charset": "utf8mb4", "mysql_engine": "InnoDB"}  # noqa: RUF012


class User(Base):
    __tablename__ = PREFIX + "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    salt: Mapped[str] = mapped_column(String(32))
    password: Mapped[str] = mapped_column(String(64))
    last_login: Mapped[Optional[datetime.datetime]]

    def set_password(self, password: str) -> None:
        self.salt = secrets.token_hex(16)
        self.password = digest(password, self.salt)

    def check_password(self, password: str) -> bool:
        return hmac.compare_digest(self.password, digest(password, self.salt))


class Document(Base):
    __tablename__ = PREFIX + "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey(User.id))
    name: Mapped[str] = mapped_column(String(200))
    size: Mapped[int]
    owner: Mapped[User] = relationship()


class Message(Base):
    __tablename__ = PREFIX + "messages"

    id: Mapped[int] = mapped_column(primary_key=True)
    author: Mapped[str] = mapped_column(String(40))
    text: Mapped[str] = mapped_column(String(500))
    sent_at: Mapped[datetime.datetime]


class Sale(Base):
    __tablename__ = PREFIX + "sales"

    id: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[datetime.date]  # the index it lacks is why the report is slow
    customer: Mapped[str] = mapped_column(String(40))
    cents: Mapped[int]


def digest(password: str, salt: str) -> str:
    """Return a hash that takes a while to compute."""
    return hashlib.pbkdf2_hmac(
        "sha256", password.encode(), bytes.fromhex(salt), 100_000
    ).hex()


def connect(text: str) -> Engine:
    """Have all sessions use the database at a URL.

    Raises:
        ValueError: It names no known database, or lacks a part.
    """
    # Messages do not repeat the URL: it may hold a password.
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(f"That is no database URL. {ADVICE}") from None
    dialect = DIALECTS.get(url.drivername)
    if dialect is None or not url.database:
        raise ValueError(f"No database is known by that URL. {ADVICE}")
    arguments: dict[str, Any] = {"connect_timeout": 10}
    if dialect == "sqlite":
        url = url.set(database=f"/{url.database}")
        arguments = {"timeout": 30}
    url = url.set(drivername=dialect)
    engine = create_engine(url, connect_args=arguments, pool_recycle=3600)
    Session.configure(bind=engine)
    return engine


def create(engine: Engine, sales: int = SALES) -> None:
    """Create the tables and fill in users and sales."""
    Base.metadata.create_all(engine)
    for name, password in USERS.items():
        user = User(name=name)
        user.set_password(password)
        Session.add(user)
    if sales:
        Session.execute(insert(Sale), made_up_sales(sales))
    Session.commit()
    Session.remove()


def drop(engine: Engine) -> None:
    """Drop the tables and disconnect."""
    Session.remove()
    Base.metadata.drop_all(engine)
    engine.dispose()


def made_up_sales(count: int) -> list[dict[str, Any]]:
    """Make up rows: the same ones every time."""
    chance = random.Random(FIRST_YEAR)
    first_day = datetime.date(FIRST_YEAR, 1, 1)
    return [
        {
            "day": first_day + datetime.timedelta(days=chance.randrange(365 * YEARS)),
            "customer": chance.choice(CUSTOMERS),
            "cents": chance.randint(100, 99999),
        }
        for _ in range(count)
    ]
