"""How the site is built: ``make docs``, or ``sphinx-build -W -n docs build/docs``.

A reader's browser fetches nothing from elsewhere: no fonts, no scripts. Names of other
libraries are links where their inventories can be had: on Read the Docs these are
fetched, elsewhere $TORNADO_UNBLOCK_INVENTORIES is a folder with ``python.inv`` and the
like. Without either such names are plain text.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import pkgutil
import pydoc
import re
from pathlib import Path
from typing import Any, Optional

from sphinx.ext.intersphinx import resolve_reference_any_inventory

import tornado_unblock

project = "tornado-unblock"
author = "The tornado-unblock authors"
copyright = author
version = release = tornado_unblock.__version__

REPOSITORY = "https://github.com/tornado-unblock/tornado-unblock"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
nitpicky = True
default_role = "py:obj"
pygments_style = "tango"

myst_enable_extensions = ["attrs_block", "colon_fence", "deflist"]
# The same anchors as on the pages of a repository: `limits.md#shutdown`.
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"tornado-unblock {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_theme_options = {
    "source_repository": f"{REPOSITORY}/",
    "source_branch": "main",
    "source_directory": "docs/",
}
# What is copied is what one would type.
copybutton_prompt_text = "$ "
html_show_sphinx = False

autodoc_typehints = "signature"
maximum_signature_line_length = 72
# Variables of types, and types that only users of an extra ever see.
nitpick_ignore_regex = [(r"py:.*", r"_[A-Z]\w*(\.\w+)?|Watcher|JobOptions|OpenSSL\..*")]
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

# Where names that docstrings mention without a module come from.
ELSEWHERE = [
    *("asyncio", "builtins", "concurrent.futures", "contextlib", "contextvars"),
    *("logging", "prometheus_client.multiprocess", "prometheus_client.registry"),
    *("redis", "requests", "smtplib"),
    *("sqlalchemy", "sqlalchemy.orm"),
    *("sqlalchemy.ext.asyncio", "subprocess", "tornado.concurrent", "tornado.gen"),
    *("tornado.httpclient", "tornado.httpserver", "tornado.ioloop", "tornado.web"),
]

SITES = {
    "python": "https://docs.python.org/3/",
    "sqlalchemy": "https://docs.sqlalchemy.org/en/20/",
    "tornado": "https://www.tornadoweb.org/en/stable/",
}


def _inventories() -> dict[str, tuple[str, Optional[str]]]:
    if os.environ.get("READTHEDOCS") == "True":
        return {name: (site, None) for name, site in SITES.items()}
    folder = Path(os.environ.get("TORNADO_UNBLOCK_INVENTORIES", "no folder"))
    files = {name: folder / f"{name}.inv" for name in SITES}
    return {n: (SITES[n], str(f)) for n, f in files.items() if f.is_file()}


intersphinx_mapping = _inventories()

SHIM = "tornado_unblock.shim"


def setup(app: Any) -> None:
    """Register what this project does to its own sources."""
    app.connect("autodoc-process-docstring", mark_examples, priority=400)
    app.connect("autodoc-skip-member", skip_others)
    app.connect("missing-reference", find)
    app.connect("viewcode-follow-imported", find_source)
    app.connect("source-read", hide_snippets)
    app.connect("source-read", add_shim)
    app.connect("html-page-context", name_language)


def mark_examples(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Make indented code in a docstring, above its sections, a code block."""
    if what in ("attribute", "property") and lines:
        # Napoleon takes what is before a colon for a type.
        lines[0] = lines[0].replace(": ", " \N{EN DASH} ", 1)
    result: list[str] = []
    for line in lines:
        if re.match(r"[A-Z]\w+:$", line):
            break
        begins = line.startswith("    ") and result and not result[-1].strip()
        if begins and not (len(result) > 1 and _goes_on(result[-2])):
            result += [".. code-block:: python", ""]
        result.append(line)
    lines[:] = result + lines[_length_above_sections(lines) :]


def _goes_on(line: str) -> bool:
    """Whether the code below an empty line belongs to a block begun already."""
    return line.startswith("    ") or line.endswith("::")


def _length_above_sections(lines: list[str]) -> int:
    for number, line in enumerate(lines):
        if re.match(r"[A-Z]\w+:$", line):
            return number
    return len(lines)


def find(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Resolve a reference by its last name, or as something of another library.

    What neither this nor another library has stays a warning.
    """
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py":
        return None
    if not re.fullmatch(r"[\w.]+", target):
        return contnode  # code, not a name
    domain = env.domains["py"]
    ours = [name for name in domain.objects if name.endswith(f".{target}")]
    if ours:
        name = min(ours, key=lambda name: (name.count("."), name))
        page = node.get("refdoc", env.docname)
        return domain.resolve_xref(env, page, app.builder, "obj", name, node, contnode)
    places = ["", *(f"{module}." for module in ELSEWHERE)]
    names = [place + target for place in places]
    known = [name for name in names if pydoc.locate(name) is not None]
    if not known:
        return None
    return _elsewhere(env, node, contnode, known[0]) or contnode


def _elsewhere(env: Any, node: Any, contnode: Any, name: str) -> Any:
    """Return a link to what another library's site has under ``name``, if any."""
    # What is imported from elsewhere is documented where it is from, or here.
    origin = getattr(pydoc.locate(name), "__module__", None)
    for full in (name, f"{origin}.{name.rpartition('.')[2]}"):
        wanted = node.deepcopy()
        wanted["reftarget"], wanted["reftype"] = full.removeprefix("builtins."), "obj"
        found = resolve_reference_any_inventory(env, False, wanted, contnode)
        if found is not None:
            return found
    return None


def find_source(app: Any, module: str, name: str) -> Optional[str]:
    """Return the module that a public name is written in, which it does not say."""
    thing = pydoc.locate(f"{module}.{name}")
    if isinstance(thing, type) and issubclass(thing, tornado_unblock.UnblockError):
        return "tornado_unblock._errors" if module == "tornado_unblock" else None
    code = getattr(inspect.unwrap(thing) if callable(thing) else None, "__code__", None)
    found = inspect.getmodule(code) if code is not None else None
    return found.__name__ if found is not None else None


def skip_others(
    app: Any, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out what a module only passes on from another library."""
    if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number"):
        return True  # of a named tuple, whose signature says as much
    module = getattr(obj, "__module__", None) or ""
    return True if module and not module.startswith("tornado_unblock") else None


def hide_snippets(app: Any, docname: str, source: list[str]) -> None:
    """Take out the code that only the tests run; see tests/docs/pages.py."""
    comment = re.compile(r"<!-- snippet:.*?-->", re.DOTALL)
    source[0] = comment.sub(lambda found: "\n" * found[0].count("\n"), source[0])


def add_shim(app: Any, docname: str, source: list[str]) -> None:
    """Write a section for each public module of the shim that can be imported."""
    if docname == "api/shim":
        source[0] += "".join(_section(name) for name in shim_modules())


def name_language(
    app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Tell browsers which pages are in Chinese, so that they choose fonts for it."""
    if pagename.startswith("zh/"):
        context["language"] = "zh-CN"


def shim_modules() -> list[str]:
    """Return the shim's public modules; those that miss their extra are left out."""
    try:
        shim = importlib.import_module(SHIM)
    except ImportError:
        return []
    names = [SHIM]
    for module in pkgutil.iter_modules(shim.__path__):
        if not module.name.startswith("_"):
            try:
                importlib.import_module(f"{SHIM}.{module.name}")
            except ImportError:
                continue
            names.append(f"{SHIM}.{module.name}")
    return names


def _section(name: str) -> str:
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", ()):
        # Some are imported on demand: autodoc sees only what is there.
        with contextlib.suppress(ImportError):
            setattr(module, public, getattr(module, public))
    return (
        f"\n## `{name}`\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```\n"
    )
