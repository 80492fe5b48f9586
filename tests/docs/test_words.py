"""Words that mean something of their own here are explained where they first stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, README, ROOT, TRANSLATIONS, prose

#: Each is in the glossary.
PRIVATE = ("hop", "lane", "portal", "token", "leaf", "dual")
WORDS = re.compile(rf"\b({'|'.join(PRIVATE)})s?\b")
#: Those are for who knows them: the list itself, and what is quoted or generated.
APART = {DOCS / "glossary.md", DOCS / "changelog.md", DOCS / "contributing.md"}
READ = [
    path for path in (README, *PAGES) if path not in APART and path not in TRANSLATIONS
]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def unexplained(path: Path) -> str:
    """Return the first private word before which there is no way to the glossary."""
    text = prose(path)
    for paragraph in re.split(r"\n\s*\n", text):
        if "glossary" in paragraph:
            return ""
        found = WORDS.search(paragraph)
        if found is not None:
            return f"{found[0]}: {paragraph}"
    return ""


@pytest.mark.parametrize("path", READ, ids=relative)
def test_private_words(path: Path) -> None:
    """The paragraph of the first of them, or one above it, links to the glossary."""
    assert unexplained(path) == ""


def test_the_glossary_has_them() -> None:
    """What a page sends its readers to look for is there."""
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    assert [word for word in PRIVATE if f"\n{word}\n: " not in text] == []


def test_the_search_for_words(tmp_path: Path) -> None:
    """Code, and words that only look alike, are no private words."""
    page = tmp_path / "page.md"
    for text, found in (
        ("a hop", "hop: a hop"),
        ("see the [glossary](glossary.md)\n\na hop", ""),
        ("`hop` and what he hoped, who leaves\n\n```\ntoken\n```\n", ""),
    ):
        page.write_text(text)
        assert unexplained(page) == found
