"""The site builds without a warning, and leaves nothing public out.

Skipped where Sphinx is missing; ``make docs`` and continuous integration say with
TORNADO_UNBLOCK_DOCS=required that it must be there.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

import tornado_unblock
from tests.docs.pages import DOCS

REQUIRED = os.environ.get("TORNADO_UNBLOCK_DOCS") == "required"
pytestmark = pytest.mark.timeout(300)
WANTED = ("sphinx", "myst_parser", "furo", "sphinx_copybutton")
SHIM = "tornado_unblock.shim"
JOBS = "tornado_unblock.jobs"
PROMETHEUS = {"tornado_unblock.prometheus.register"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the site, built with warnings as errors."""
    missing = [name for name in WANTED if importlib.util.find_spec(name) is None]
    if missing:
        reason = f"No {', '.join(missing)}: pip install 'tornado-unblock[docs]'"
        if REQUIRED:
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-E"]
    command += ["-b", "html", "-d", str(folder / "doctrees")]
    built = subprocess.run(
        [*command, str(DOCS), str(folder / "html")],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return folder / "html"


def public_modules() -> Iterator[ModuleType]:
    """Yield every public module; those whose extra is not installed are left out."""
    yield tornado_unblock
    found = pkgutil.walk_packages(tornado_unblock.__path__, "tornado_unblock.")
    for module in found:
        if not any(part.startswith("_") for part in module.name.split(".")):
            try:
                yield importlib.import_module(module.name)
            except ImportError:
                continue


#: Written there, and imported from a module beside `status`, under which it is listed.
WRITTEN_IN = (
    "tornado_unblock.status.prometheus",
    "tornado_unblock.status.opentelemetry",
)


def public_names() -> set[str]:
    return {
        f"{module.__name__}.{name}"
        for module in public_modules()
        for name in getattr(module, "__all__", ())
        if module.__name__ not in WRITTEN_IN and _is_ours(module, name)
    }


def _is_ours(module: ModuleType, name: str) -> bool:
    """Whether it is written here: a facade also passes on what others wrote."""
    try:
        thing = getattr(module, name)
    except ImportError:  # made on demand, of what is not installed
        return False
    origin = getattr(thing, "__module__", None) or ""
    return isinstance(origin, str) and origin.startswith("tornado_unblock")


def test_every_public_name_has_an_entry(site: Path) -> None:
    """The reference knows all that `__all__` promises."""
    from sphinx.util.inventory import InventoryFile

    with (site / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, path: path)
    # A newer Sphinx has an object for it, an older one a mapping.
    data = getattr(inventory, "data", inventory)
    known = {
        name for kind, names in data.items() if kind[:3] == "py:" for name in names
    }
    assert public_names() - known == set()


def test_the_reference_lists_the_names_of_the_core() -> None:
    """The same from the text, where there is no Sphinx; and nothing that is gone."""
    text = (DOCS / "api" / "index.md").read_text(encoding="utf-8")
    listed, module = set(), ""
    for kind, name in re.findall(
        r"^\.\. (?:py:|auto)(\w+):: (\S+)", text, re.MULTILINE
    ):
        if kind == "module":
            module = name
        else:
            listed.add(f"{module}.{name}")
    core = {name for name in public_names() if not name.startswith((SHIM, JOBS))}
    absent = set() if importlib.util.find_spec("prometheus_client") else PROMETHEUS
    assert listed - absent == core


class Links(HTMLParser):
    """The addresses that a page loads or links to."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "link" and found.get("rel") not in ("stylesheet", "icon"):
            return
        wanted = {"script": "src", "img": "src", "link": "href", "iframe": "src"}
        address = found.get(wanted.get(tag, ""))
        if address:
            self.loaded.append(address)


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    """It can be read offline, and tells nobody who reads it."""
    elsewhere = set()
    for page in site.rglob("*.html"):
        links = Links()
        links.feed(page.read_text(encoding="utf-8"))
        elsewhere |= {a for a in links.loaded if re.match(r"(https?:)?//", a)}
    assert elsewhere == set()


def test_every_page_can_be_reached(site: Path) -> None:
    """Each page of the sources is a page of the site, and in its navigation."""
    navigation = (site / "index.html").read_text(encoding="utf-8")
    pages = [p.relative_to(DOCS) for p in DOCS.rglob("*.md") if "_build" not in p.parts]
    unlisted = [
        page.as_posix()
        for page in pages
        if not (site / page.with_suffix(".html")).is_file()
        or (page.as_posix() != "index.md" and f'"{_address(page)}"' not in navigation)
    ]
    assert unlisted == []


def _address(page: Path) -> str:
    return page.with_suffix(".html").as_posix()


def test_what_readers_expect_of_a_site(site: Path) -> None:
    """Links to the source and to edit a page, and buttons that copy a block."""
    reference = (site / "api" / "index.html").read_text(encoding="utf-8")
    functions = len(re.findall(r'<dl class="py function">', reference))
    assert reference.count("viewcode-link") >= functions > 10
    start = (site / "start.html").read_text(encoding="utf-8")
    assert "edit/main/docs/start.md" in start
    assert "copybutton.js" in start


def test_languages_are_named(site: Path) -> None:
    """A browser chooses fonts by this."""
    for page, language in (("start.html", "en"), ("zh/start.html", "zh-CN")):
        assert f'lang="{language}"' in (site / page).read_text(encoding="utf-8")


def test_hidden_code_stays_hidden(site: Path) -> None:
    """What pages run but do not show is not in the site's pages either."""
    pages = site.rglob("*.html")
    assert [p.name for p in pages if "<!-- snippet" in p.read_text("utf-8")] == []
