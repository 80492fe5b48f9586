"""What is there in two languages has the same shape, and the same code.

The code runs once, in English: test_snippets.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import README, ROOT, TRANSLATIONS, blocks, prose

PAGES = {page: of for page, of in TRANSLATIONS.items() if page.name != "index.md"}
WANTED = {"README", "start", "tutorial", "limits", "migration", "faq"}
#: Above these there is a link to the other language.
SITE = "https://github.com/tornado-unblock/tornado-unblock/blob/main/"


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def shape(path: Path) -> list[str]:
    """Return the headings by level, the rows of tables and the items of lists."""
    found = []
    for line in prose(path).splitlines():
        match = re.match(r"(#{1,6}) |(\|)|\s*([*-]|\d+\.) ", line)
        if match is not None:
            row = f"| {line.count('|')}" if match[2] else ""
            found.append(match[1] or row or "item")
    return found


def code(path: Path) -> list[tuple[str, str]]:
    """Return the blocks that readers see; files are included from where a page is."""
    return [
        (block.language.replace("../../examples/", "../examples/"), block.text)
        for block in blocks(path)
        if block.kind != "run"
    ]


def test_what_there_is() -> None:
    """The pages for the first day, and for those who decide."""
    assert {page.name.partition(".")[0] for page in PAGES} == WANTED


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_the_same_shape(page: Path) -> None:
    """Headings, tables and lists are those of the page in English."""
    assert shape(page) == shape(PAGES[page])


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_the_same_code(page: Path) -> None:
    """Each block is a copy: whoever changes one changes both."""
    for ours, theirs in zip(code(page), code(PAGES[page])):
        assert ours == theirs, f"copy this block of {relative(PAGES[page])} as it is"
    assert len(code(page)) == len(code(PAGES[page]))


def inline_code(path: Path) -> set[str]:
    """Return the names of code in a text: the same in every language."""
    text = re.sub(r"<!--.*?-->|^```.*?^```", "", path.read_text(), flags=re.S | re.M)
    return set(re.findall(r"`([A-Za-z_]+(?:\(\))?)`", text))


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_the_same_names(page: Path) -> None:
    """No option or function is left out."""
    assert inline_code(PAGES[page]) - inline_code(page) == set()


@pytest.mark.parametrize("page", TRANSLATIONS, ids=relative)
def test_links_between_the_languages(page: Path) -> None:
    """Each page leads to the same one in the other language, below its title."""
    other = TRANSLATIONS[page]
    there, back = f"zh/{page.name}", f"../{other.name}"
    if other == README:
        there, back = f"{SITE}{page.name}", f"{SITE}{other.name}"
    second = [
        path.read_text(encoding="utf-8").splitlines()[2] for path in (other, page)
    ]
    assert second == [
        f"English | [简体中文]({there})",
        f"[English]({back}) | 简体中文",
    ]


def test_the_shape_of_a_page(tmp_path: Path) -> None:
    """Levels, columns and items count; what is in code does not."""
    page = tmp_path / "page.md"
    page.write_text("# a\n## b\n| 1 | 2 |\n* c\n1. d\n```\n# e\n```\ntext\n")
    assert shape(page) == ["#", "##", "| 3", "item", "item"]
