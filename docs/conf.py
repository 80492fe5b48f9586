"""How the site is built: ``make docs``, or ``sphinx-build -W -n docs build/docs``.

Nothing is fetched: no intersphinx, no fonts, no scripts from elsewhere.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import pydoc
import re
from typing import Any

import tornado_unblock

project = "tornado-unblock"
author = "The tornado-unblock authors"
copyright = author
version = release = tornado_unblock.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
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
html_show_sphinx = False

# Types are for checkers; the text says what an argument is.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

# Where names that docstrings mention without a module come from.
ELSEWHERE = [
    *("asyncio", "builtins", "concurrent.futures", "contextlib", "contextvars"),
    *("logging", "prometheus_client.multiprocess", "redis", "requests", "smtplib"),
    *("sqlalchemy", "sqlalchemy.orm"),
    *("sqlalchemy.ext.asyncio", "subprocess", "tornado.concurrent", "tornado.gen"),
    *("tornado.httpclient", "tornado.httpserver", "tornado.ioloop", "tornado.web"),
]

SHIM = "tornado_unblock.shim"


def setup(app: Any) -> None:
    """Register what this project does to its own sources."""
    app.connect("autodoc-process-docstring", mark_examples, priority=400)
    app.connect("autodoc-skip-member", skip_others)
    app.connect("missing-reference", find)
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

    What neither this nor another library has stays a warning. Nothing is linked to
    other sites: there is no inventory of theirs offline.
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
    known = any(pydoc.locate(place + target) is not None for place in places)
    return contnode if known else None


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
