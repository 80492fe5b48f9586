"""The page: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tornado.template

from benchmarks.harness.story import NOT_HELD
from benchmarks.harness.story_process import Outcome

TEMPLATE = Path(__file__).with_name("page.html")


def page(
    outcomes: Sequence[Outcome],
    machine: Mapping[str, str],
    command: str,
    made: datetime.datetime,
) -> str:
    """Return the page.

    Args:
        outcomes: The stories.
        machine: What they were measured on.
        command: What repeats all of it.
        made: When.
    """
    template = tornado.template.Template(
        TEMPLATE.read_text(encoding="utf-8"), autoescape="xhtml_escape"
    )
    text = template.generate(
        outcomes=outcomes,
        failed=[outcome.name for outcome in outcomes if not outcome.ok],
        machine=machine,
        versions=shared_versions(outcomes),
        command=command,
        made=f"{made:%Y-%m-%d %H:%M %Z}".strip(),
        picture=picture,
        not_held=NOT_HELD,
    )
    return text.decode()


def picture(svg: str) -> str:
    """Return an SVG image as a data URL.

    As an image it cannot run scripts, load anything, or lend its style to the page.
    """
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def shared_versions(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the versions of all stories together; what is not installed is left out.

    Where stories differ, both values are given.
    """
    found: dict[str, list[str]] = {}
    of_machine = ("python", "platform", "cpus")
    for outcome in outcomes:
        for name, version in (outcome.story.versions if outcome.story else {}).items():
            known = found.setdefault(name, [])
            if name not in of_machine and version and str(version) not in known:
                known.append(str(version))
    return {name: ", ".join(values) for name, values in found.items() if values}
