"""The pages of the documentation, taken apart; no Markdown library needed.

How a page says what its Python blocks are. All blocks of a page run in order and
share one namespace, in which an ``await`` at the top level is fine. A comment on
the line above a block, or with code of its own, changes that:

    <!-- snippet: fragment -->      the next block only has to parse: it illustrates
                                    (few, and counted by the tests)
    <!-- snippet: fresh -->         the next block begins a namespace of its own
    <!-- snippet: run               code that runs here and is not shown, mostly to
    ...                             ask the handlers above for something and check it
    -->

`tests/docs/runner.py` lists what the code of every page finds defined.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

#: What belongs to the site, and README.md.
PAGES = sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)
README = ROOT / "README.md"
#: Pages in Chinese, and what each of them says in other words.
TRANSLATIONS = {
    ROOT / "README.zh-CN.md": README,
    **{page: DOCS / page.name for page in sorted((DOCS / "zh").glob("*.md"))},
}
#: Everything that is written for readers.
TEXTS = [
    README,
    ROOT / "README.zh-CN.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "examples").rglob("*.md")),
    *sorted((ROOT / "benchmarks").rglob("*.md")),
    *PAGES,
]

_FENCE = re.compile(r"^(?P<indent> *)(?P<marks>`{3,}|~{3,})(?P<info>[^`]*)$")
_COMMENT = re.compile(r"<!-- snippet: (?P<kind>\w+)(?P<rest>.*?)-->", re.DOTALL)


class Block(NamedTuple):
    """One fenced block, or one hidden piece of code."""

    path: Path
    line: int
    language: str
    text: str
    #: "", "fragment", "fresh" or "run".
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def blocks(path: Path) -> Iterator[Block]:
    """Yield the fenced blocks and the hidden code of a page, in order."""
    lines = path.read_text(encoding="utf-8").splitlines()
    number = 0
    mark = ""
    while number < len(lines):
        line = lines[number]
        if line.startswith("<!-- snippet:"):
            start = number
            while "-->" not in lines[number]:
                number += 1
            found = _COMMENT.match("\n".join(lines[start : number + 1]))
            assert found is not None, f"{path}:{start + 1}: not a snippet comment"
            if found["kind"] == "run":
                yield Block(path, start + 1, "python", found["rest"], "run")
            else:
                mark = found["kind"]
        fence = _FENCE.match(line)
        if fence is not None:
            block, number = _fenced(path, lines, number, fence)
            yield block._replace(kind=mark)
            mark = ""
        number += 1


def _fenced(
    path: Path, lines: list[str], number: int, fence: re.Match[str]
) -> tuple[Block, int]:
    start, indent = number, len(fence["indent"])
    number += 1
    while lines[number].strip() != fence["marks"]:
        number += 1
    text = "\n".join(line[indent:] for line in lines[start + 1 : number])
    # The code begins on the line after the fence.
    return Block(path, start + 1, fence["info"].strip(), text), number


def prose(path: Path) -> str:
    """Return a page without its fenced blocks, comments and code spans."""
    kept, fence = [], ""
    text = re.sub(r"<!--.*?-->", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for line in text.splitlines():
        found = _FENCE.match(line)
        if found is not None and not fence:
            fence = found["marks"]
        elif fence and line.strip() == fence:
            fence = ""
        elif not fence:
            kept.append(line)
    return re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", "\n".join(kept), flags=re.DOTALL)


def anchors(path: Path) -> set[str]:
    """Return what a link to a page may name after ``#``."""
    found: set[str] = set()
    in_fence = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        fence = _FENCE.match(line)
        if fence is not None:
            in_fence = "" if in_fence else fence["marks"]
        label = re.match(r"\(([\w.-]+)\)=$", line)
        if label and not in_fence:
            found.add(label[1])
        heading = re.match(r"#{1,6} +(.*?) *#*$", line)
        if heading and not in_fence:
            found.add(_slug(heading[1], found))
    return found


def _slug(title: str, taken: set[str]) -> str:
    """Return the anchor that GitHub gives a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
    slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
    number, unique = 0, slug
    while unique in taken:
        number += 1
        unique = f"{slug}-{number}"
    return unique
