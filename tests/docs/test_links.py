"""Links lead somewhere, and commands exist. Nothing here asks the network."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.pages import DOCS, ROOT, TEXTS, anchors, blocks, prose

#: Hosts that texts may link to.
HOSTS = {
    "docs.python.org",
    "docs.sqlalchemy.org",
    "github.com",
    "keepachangelog.com",
    "semver.org",
    "www.sqlite.org",
    "www.tornadoweb.org",
}
#: Where the pages of docs/ are read; README.md, shown elsewhere too, links there.
SITE = "https://tornado-unblock.readthedocs.io/en/latest/"
#: What `make` is asked to do that is no target.
VARIABLE = re.compile(r"[A-Z_]+=")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def links(path: Path) -> Iterator[str]:
    """Yield the targets of a text's links and pictures."""
    text = prose(path)
    yield from re.findall(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)", text)
    yield from re.findall(r"<(https?://[^>\s]+)>", text)
    yield from re.findall(r"^\[[^\]]+\]: +(\S+)", text, flags=re.MULTILINE)


def complaint(path: Path, link: str) -> str:
    """Return what is wrong with a link; nothing, mostly."""
    if link.startswith(SITE):
        page, _, heading = link[len(SITE) :].partition("#")
        path = DOCS / "index.md"
        link = re.sub(r"\.html$", ".md", page) + (heading and f"#{heading}")
    parts = urlsplit(link)
    if parts.scheme:
        well_formed = parts.scheme == "https" and parts.netloc in HOSTS
        return "" if well_formed else f"{link}: no https link to one of HOSTS"
    target = (path.parent / parts.path).resolve() if parts.path else path
    if not target.exists():
        return f"{link}: no such file"
    if parts.fragment and parts.fragment not in anchors(target):
        return f"{link}: no such heading"
    return ""


@pytest.mark.parametrize("path", TEXTS, ids=relative)
def test_links(path: Path) -> None:
    """Files and headings exist; other sites are known ones, by https."""
    found = (complaint(path, link) for link in links(path))
    assert [text for text in found if text] == []


def test_the_search_for_links(tmp_path: Path) -> None:
    """What is broken is found: a file, a heading, a host, a scheme."""
    page = tmp_path / "page.md"
    page.write_text(
        "# A `title`, twice\n# A title twice\n"
        "[a](#a-title-twice) [b](#a-title-twice-1) [c](page.md#other) [d](gone.md)\n"
        f"[e]({SITE}limits.html#shutdown) [f]({SITE}gone/page.html)\n"
        "<https://docs.python.org/3/> [e](https://example.com/) `[f](gone.md)`\n"
        "```\n[g](gone.md)\n# comment\n```\n![h](http://docs.python.org/x.png)\n"
    )
    found = [complaint(page, link) for link in links(page)]
    assert [text.partition(":")[0] for text in found if text] == [
        "page.md#other",
        "gone.md",
        "gone/page.md",
        "https",
        "http",
    ]


def commands(path: Path) -> Iterator[list[str]]:
    """Yield the words of each command of a text's console blocks."""
    for block in blocks(path):
        if block.language not in ("console", "sh", "bash", ""):
            continue
        prompt = "$ " if block.language == "console" else ""
        text = block.text.replace("\\\n", " ")
        for line in text.splitlines():
            if line.startswith(prompt):
                with_variables = shlex_words(line[len(prompt) :])
                while with_variables and VARIABLE.match(with_variables[0]):
                    with_variables.pop(0)
                yield with_variables


def shlex_words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return []


def missing(words: list[str], targets: set[str]) -> list[str]:
    """Return what a command names that does not exist."""
    if words[:1] == ["make"]:
        wanted = [w for w in words[1:] if not VARIABLE.match(w) and w[0] != "-"]
        return [word for word in wanted if word not in targets]
    if words[:2] == ["python", "-m"]:
        return [] if importlib.util.find_spec(words[2]) else [words[2]]
    if words[:1] == ["python"] and len(words) > 1 and words[1][0] != "-":
        return [] if (ROOT / words[1]).is_file() else [words[1]]
    return []


#: Programs that a page lets its reader write.
WRITTEN = {"app.py"}


@pytest.mark.parametrize("path", TEXTS, ids=relative)
def test_commands(path: Path) -> None:
    """What console blocks run with make and Python exists."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    gone = [name for words in commands(path) for name in missing(words, targets)]
    assert [name for name in gone if name not in WRITTEN] == []
