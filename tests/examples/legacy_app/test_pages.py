"""The pages of the legacy application, the same inline and unblocked."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import sqlalchemy

from examples.legacy_app import cli, models
from tests.examples.legacy_app.support import Office
from tornado_unblock import report

EXAMPLE = Path(inspect.getfile(cli)).parent
STATIC = EXAMPLE / "static" / "app.css"


# -- logging in --------------------------------------------------------------------


@pytest.mark.allow_log("tornado.access", "^403 POST /login")
def test_wrong_password(office: Office) -> None:
    """The form comes back, says why, and nobody is logged in."""
    visitor = office.visitor()
    for name, password in (("alice", "builder"), ("nobody", "wonderland")):
        response = visitor.log_in(name, password)
        assert response.status_code == 403
        assert "Wrong name or password." in response.text
        assert "user" not in visitor.cookies
    assert visitor.get("/", allow_redirects=False).status_code == 302


def test_login_leads_to_the_page_that_was_asked_for(office: Office) -> None:
    """A page that needs a user sends to the login, which sends back."""
    visitor = office.visitor()
    response = visitor.get("/report?year=2013")
    assert response.url == f"{office.address}/login?next=%2Freport%3Fyear%3D2013"
    assert 'value="/report?year=2013"' in response.text
    response = visitor.log_in("alice", next="/report?year=2013")
    assert response.url == f"{office.address}/report?year=2013"
    assert '<span id="user">alice</span>' in response.text
    assert visitor.get("/login").url == f"{office.address}/"


@pytest.mark.parametrize("elsewhere", ["https://x.test/", "//x.test/", "/\\x.test/"])
def test_login_does_not_lead_elsewhere(office: Office, elsewhere: str) -> None:
    response = office.visitor().log_in("bob", next=elsewhere)
    assert response.url == f"{office.address}/"
    assert "Good day, bob" in response.text


def test_logout(office: Office) -> None:
    """The cookie is gone, and so is the user."""
    visitor = office.visitor("alice")
    response = visitor.submit("/logout", page="/")
    assert response.url == f"{office.address}/login"
    assert "user" not in visitor.cookies
    assert visitor.get("/").url.startswith(f"{office.address}/login")


@pytest.mark.allow_log("tornado.access", "^403 POST")
@pytest.mark.expect_log("tornado.general", "XSRF cookie does not match|'_xsrf'")
@pytest.mark.parametrize("path", ["/login", "/logout", "/documents"])
def test_forged_forms_are_refused(office: Office, path: str) -> None:
    """Before `prepare` has run; the error page queries all the same."""
    visitor = office.visitor("carol")
    fields = {"name": "bob", "password": "builder", "_xsrf": "forged"}
    response = visitor.post(path, data=fields)
    assert response.status_code == 403
    assert "403: Forbidden" in response.text
    assert '<span id="user">carol</span>' in response.text


# -- documents ---------------------------------------------------------------------


def test_upload(office: Office) -> None:
    """What is uploaded is on disk, listed, and comes back byte for byte."""
    visitor = office.visitor("bob")
    bodies = {
        "plan <b>.txt": b"first this, then that",
        "ś.bin": bytes(range(256)) * 999,
    }
    files = [("document", item) for item in bodies.items()]
    response = visitor.submit("/documents", page="/documents", files=files)
    assert response.url == f"{office.address}/documents"
    assert "plan &lt;b&gt;.txt" in response.text
    links = re.findall(r'<td><a href="(/documents/\d+)">', response.text)
    assert len(links) == 2
    assert [visitor.get(link).content for link in links] == list(bodies.values())
    disposition = visitor.get(links[1]).headers["Content-Disposition"]
    assert disposition == "attachment; filename*=UTF-8''%C5%9B.bin"
    stored = [path.read_bytes() for path in office.uploads.iterdir()]
    assert sorted(stored) == sorted(bodies.values())
    assert f'<td class="number">{999 * 256}</td>' in response.text
    for name, there in (("bob", True), ("alice", False)):
        assert ("ś.bin" in office.visitor(name).get("/").text) == there


@pytest.mark.allow_log("tornado", "^40[04] |400 No file|No file was chosen")
def test_upload_without_a_file(office: Office) -> None:
    """The error page gives the reason, and nothing is stored."""
    visitor = office.visitor("bob")
    response = visitor.submit("/documents", page="/documents")
    assert response.status_code == 400
    assert "400: No file was chosen" in response.text
    assert list(office.uploads.iterdir()) == []
    assert visitor.get("/documents/1").status_code == 404


# -- the report, JSON --------------------------------------------------------------


def test_report(office: Office) -> None:
    """Every day of the year with sales has a row; totals run on over the years."""
    sales = models.made_up_sales(400)
    text = office.visitor("alice").get("/report?year=2014").text
    days = {sale["day"] for sale in sales if sale["day"].year == 2014}
    assert re.findall(r"<tr><td>([\d-]+)</td>", text) == [
        day.isoformat() for day in sorted(days)
    ]
    cents = sum(sale["cents"] for sale in sales if sale["day"] <= max(days))
    assert re.findall(r"([\d,.]+) €</td></tr>", text)[-1] == f"{cents / 100:,.2f}"


def test_json(office: Office) -> None:
    """The base class finishes with JSON, and its own `finish` adds a header."""
    response = office.visitor("alice").get("/api/summary")
    assert response.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert re.fullmatch(r"\d+\.\d{3}", response.headers["X-Request-Time"])
    sales = models.made_up_sales(400)
    assert response.json() == [
        {
            "year": year,
            "sales": sum(sale["day"].year == year for sale in sales),
            "cents": sum(s["cents"] for s in sales if s["day"].year == year),
        }
        for year in (2012, 2013, 2014, 2015)
    ]


# -- errors, and what Tornado brings -----------------------------------------------


@pytest.mark.allow_log("tornado.access", "^404 GET")
def test_not_found(office: Office) -> None:
    """No route: the page of the default handler, for guests and for users."""
    for visitor in (office.visitor(), office.visitor("alice")):
        response = visitor.get("/no/such/page")
        assert response.status_code == 404
        assert "404: Not Found" in response.text
        assert ("alice" in response.text) == ("user" in visitor.cookies)
        assert "X-Request-Time" in response.headers


@pytest.mark.allow_log("tornado.access", "^500 GET")
@pytest.mark.expect_log("tornado.application", "Uncaught exception GET /report")
def test_error_page(office: Office) -> None:
    """What a handler does not expect ends in the template of `write_error`."""
    response = office.visitor("alice").get("/report?year=x")
    assert response.status_code == 500
    assert "<h1>500: Internal Server Error</h1>" in response.text
    assert '<span id="user">alice</span>' in response.text


def test_redirect_handler(office: Office) -> None:
    response = office.visitor().get("/home", allow_redirects=False)
    assert (response.status_code, response.headers["Location"]) == (301, "/")


def test_static_file(office: Office) -> None:
    """Whole, in part, not again; pages name its version."""
    visitor = office.visitor()
    found = re.search(r'href="(/static/app.css\?v=\w+)"', visitor.get("/login").text)
    assert found is not None
    whole = visitor.get(found[1])
    assert whole.content == STATIC.read_bytes()
    assert "max-age" in whole.headers["Cache-Control"]
    part = visitor.get("/static/app.css", headers={"Range": "bytes=2-11"})
    assert (part.status_code, part.content) == (206, whole.content[2:12])
    assert part.headers["Content-Range"] == f"bytes 2-11/{len(whole.content)}"
    unchanged = {"If-None-Match": whole.headers["Etag"]}
    again = visitor.get("/static/app.css", headers=unchanged)
    assert (again.status_code, again.content) == (304, b"")


# -- threads, sessions, tables -----------------------------------------------------


@pytest.mark.allow_log("tornado", "^404 GET|^500 GET|Uncaught exception GET /report")
def test_a_request_queries_on_one_thread(office: Office) -> None:
    """On the loop's inline, on one worker unblocked; then its session is gone."""
    visitor = office.visitor("alice")
    pages = ("/", "/documents", "/report", "/api/summary", "/chat")
    for path in (*pages, "/no/such/page", "/report?year=x"):
        office.settle()
        office.query_threads.clear()
        visitor.get(path)
        office.settle()
        assert len(office.query_threads) > 1
        (thread,) = set(office.query_threads)
        assert (thread is not office.loop_thread) == office.unblocked


def test_tables_are_dropped(office: Office) -> None:
    """Those of its own, which nobody else's are named like."""

    def tables() -> list[str]:
        names = sqlalchemy.inspect(office.engine).get_table_names()
        return [name for name in names if name.startswith(models.PREFIX)]

    assert len(tables()) == len(models.Base.metadata.tables) == 4
    office.settle()
    models.drop(office.engine)
    assert tables() == []
    office.engine.dispose()


def test_one_line_unblocks() -> None:
    """The library is named where the process starts, and nowhere else."""
    lines = [
        line.strip()
        for path in sorted(EXAMPLE.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"tornado_unblock|unblock_application", line)
    ]
    assert lines == [
        "from tornado_unblock import unblock_application",
        'UNBLOCK_HELP = "run its handlers on workers: unblock_application(app)"',
        "unblock_application(app)",
    ]


def test_every_handler_is_unblocked(office: Office) -> None:
    """All, and of the WebSocket its hooks."""
    where = {(row.handler, row.body) for row in report(office.app)}
    on_loop = {handler for handler, body in where if body == "loop"}
    if office.unblocked:
        assert on_loop == set()
    else:
        assert on_loop == {handler for handler, _ in where}
