"""Rules: how they are written, and which one holds."""

from __future__ import annotations

import pytest

from tornado_unblock._scan.rules import RULES
from tornado_unblock._scan.table import (
    SEVERITY,
    Table,
    default_table,
    parse_rules,
    steps,
)

TABLE = Table(
    parse_rules(
        """
        a.call              network      # a comment
        a.Client().*        database
        a.Client().close    -
        a.Client().p*       file
        a.deep.**           mail
        a.deep.but.this     -
        a.make()            = a.Client()
        a.open              file -> a.Client()
        a.all().*           = a.Client().*
        a.any().*()         = a.any()
        a.any().go          wait
        a.plain
        """
    )
)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a.call", "network"),
        ("a.call.more", ""),
        ("a", ""),
        ("b.call", ""),
        ("a.Client().get", "database"),
        ("a.Client().close", ""),
        ("a.Client().put", "file"),
        ("a.Client()[]", ""),
        ("a.deep.x().y", "mail"),
        ("a.deep.but.this", ""),
        ("a.deep.but.that", "mail"),
        ("a.plain", "other"),
    ],
)
def test_blocks(path: str, kind: str) -> None:
    """The most exact rule holds."""
    assert TABLE.blocks(path) == kind


@pytest.mark.parametrize(
    ("path", "step", "longer"),
    [
        ("a", ".call", "a.call"),
        ("a.make", "()", "a.Client()"),
        ("a.open", "()", "a.Client()"),
        ("a.all()", ".get", "a.Client().get"),
        ("a.any().x", "()", "a.any()"),
        ("a.any().go", "()", "a.any().go()"),
        ("b.c", "[]", "b.c[]"),
        (".".join("b" * 12), ".b", "b.?"),
    ],
)
def test_step(path: str, step: str, longer: str) -> None:
    """A path is made short where a rule says what it is the same as."""
    assert TABLE.step(path, step) == longer
    assert TABLE.step(path, step) == longer  # from the cache


def test_steps() -> None:
    """A path is taken apart at its dots, calls and items."""
    assert steps("a.b().c[].?") == ("a", "b", "()", "c", "[]", "?")


def test_knows() -> None:
    """Packages of the table, the standard library, and some quiet ones are known."""
    assert TABLE.knows("a.something")
    assert TABLE.knows("json.loads")
    assert TABLE.knows("tornado.web")
    assert not TABLE.knows("corp.thing")


def test_no_kind() -> None:
    """A rule that makes no sense is refused, with what it may say."""
    with pytest.raises(ValueError, match=r"here: 'a.b  slow': 'slow' is no kind .*cpu"):
        parse_rules("a.b  slow", "here")


def test_user_rules_hold() -> None:
    """A user's rule for the same path replaces the library's."""
    table = default_table(parse_rules("requests.get  -\nacme.call  dns"))
    assert table.blocks("requests.get") == ""
    assert table.blocks("requests.post") == "network"
    assert table.blocks("acme.call") == "dns"


def test_rules_are_sound() -> None:
    """Each kind has a severity; what a path is the same as leads somewhere."""
    rules = parse_rules(RULES)
    assert len(rules) > 600
    assert {rule.kind for rule in rules} - {""} <= set(SEVERITY)
    table = Table(rules)
    for rule in rules:
        same = rule.same.removesuffix(".*")
        if same and not same.startswith(("open", "elasticsearch_dsl")):
            assert steps(same)[0] in table.roots, rule


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("pymysql.connect().cursor().execute", "database"),
        (
            "psycopg2.pool.SomePool().getconn().cursor().fetchall",
            "database",
        ),
        ("redis.StrictRedis().pipeline().get().set().execute", "network"),
        ("redis.StrictRedis().pipeline().get", ""),
        ("pymongo.MongoClient()[].users.find().limit().count", "database"),
        ("pymongo.MongoClient().app.users.find", ""),
        ("sqlalchemy.orm.scoped_session().query().filter().first", "database"),
        ("sqlalchemy.orm.scoped_session().query().filter", ""),
        ("sqlalchemy.orm.sessionmaker()().commit", "database"),
        ("boto3.client().put_object", "network"),
        ("boto3.client().generate_presigned_url", ""),
        ("concurrent.futures.ThreadPoolExecutor().submit().result", "wait"),
        ("concurrent.futures.ThreadPoolExecutor().submit", ""),
        ("subprocess.Popen", ""),
        ("subprocess.Popen().communicate", "process"),
        ("requests.exceptions.Timeout", ""),
        ("smtplib.SMTP().sendmail", "mail"),
        ("socket.socket().recv_into", "network"),
        ("queue.Queue().get", "wait"),
        ("threading.Lock().__enter__", "lock"),
    ],
)
def test_default_table(path: str, kind: str) -> None:
    """Chains of calls end where they wait, and not before."""
    table = default_table()
    short = ""
    for step in steps(path):
        if not short:
            short = step
        else:
            short = table.step(short, step if step in ("()", "[]") else f".{step}")
    assert table.blocks(short) == kind
