"""What `scan` finds in the legacy application is what `watch` sees while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import event

import examples.legacy_app
from tests.examples.legacy_app.support import Office, Visitor
from tornado_unblock import watch
from tornado_unblock._scan.scan import scan
from tornado_unblock._stalls import watcher

THRESHOLD = 0.1
EXAMPLE = Path(examples.legacy_app.__file__).parent
# The process that serves is not scanned: there the one line may be.
SCANNED = [path for path in EXAMPLE.glob("*.py") if "cli" not in path.name]
# So often a statement is looked at before it ends: together longer than the threshold,
# and on a busy machine none is missed.
LOOKS = 6
# It takes that long in what belongs to the driver, and not to this test.
SLOW = compile(
    """
def slow(*_):
    for _ in range(looks):
        looked.clear()
        looked.wait(10)
""",
    str(sqlalchemy.__file__),
    "exec",
)


# What nothing in the source tells: rows that a session reads anew, after a commit or a
# rollback, when somebody looks at their attributes; and how a session lets go.
ONLY_SEEN = {
    'accounts.py: self.set_secure_cookie("user", str(user.id), httponly=True)',
    "in message.html",
    "in error.html",
    "base.py: Session.remove()",
}


class Places(logging.Handler):
    """The lines at which the loop stood, by file and source."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        stall = vars(record)["stall"]
        for place in [place for place, _ in stall.shares] + [stall.place]:
            if place is None:
                continue
            file = Path(place.file)
            if file.parent == EXAMPLE:
                self.seen.add(f"{file.name}: {place.source}")
            elif file.name.endswith("_html.generated.py"):
                # The line that has rendered it is the one to look for.
                template = file.name.replace("_html.generated.py", ".html")
                self.seen.add(f"in {template}")


@pytest.fixture
def places(expect_log) -> Iterator[Places]:
    logger, places = logging.getLogger("tornado_unblock.stalls"), Places()
    expect_log("tornado_unblock.stalls", "")
    logger.addHandler(places)
    watching = watch(THRESHOLD, log_every=0.001)
    yield places
    watching.stop()
    logger.removeHandler(places)


@pytest.mark.allow_log("tornado.access", "^404 GET /(nowhere|documents/99) ")
def test_scan_finds_what_watch_sees(
    tmp_path: Path, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Line by line; what is no database need not have taken long."""
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    office = Office(f"sqlite://{tmp_path}/office.sqlite", False, uploads)
    looked, look = threading.Event(), watcher._sample
    slowly: dict[str, Any] = {"looked": looked, "looks": LOOKS}
    exec(SLOW, slowly)

    def sample(*args: Any) -> Any:
        try:
            return look(*args)
        finally:
            looked.set()

    monkeypatch.setattr(watcher, "_sample", sample)
    with contextlib.closing(office):
        for name in ("before_cursor_execute", "commit", "rollback"):
            event.listen(office.engine, name, slowly["slow"])
        visit_all(office)
        slowly["looks"] = 0
    found: dict[str, set[str]] = {"database": set(), "cpu": set(), "file": set()}
    for finding in scan(SCANNED).findings:
        place = f"{Path(finding.path).name}: {finding.source}"
        at = "in documents.html" if '"documents.html"' in finding.source else place
        found[finding.kind].add(at)
    # A slow machine may take long for these as well.
    others = found["cpu"] | found["file"]
    assert places.seen - others == found["database"] | ONLY_SEEN


def visit_all(office: Office) -> None:
    """Ask for every page, as a user."""
    visitor = office.visitor("alice")
    visitor.submit("/documents", "/documents", {"document": ("notes.txt", b"notes")})
    asyncio.run(talk(visitor))
    pages = ("/", "/documents", "/documents/1", "/report", "/api/summary", "/chat")
    for path in (*pages, "/login"):
        assert visitor.get(path).status_code == 200
    for path in ("/nowhere", "/documents/99"):
        assert visitor.get(path).status_code == 404


async def talk(visitor: Visitor) -> None:
    """Enter the chat, be heard, and leave."""
    chatter = await visitor.enter_chat()
    chatter.say("Hello?")
    assert await chatter.hear() == ("alice", "Hello?")
    await chatter.leave()
