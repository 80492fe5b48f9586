"""How a scan is to be done, and where a project says so.

# setup.cfg                            # pyproject.toml
[tornado_unblock:scan]                 [tool.tornado_unblock.scan]
handler_bases = acme.Page              handler_bases = ["acme.Page"]
blocks =                               blocks = ["acme.rpc.call  network"]
    acme.rpc.call  network
"""

from __future__ import annotations

import configparser
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from tornado_unblock._scan.table import Rule, parse_rules

_KEYS = ("blocks", "handler_bases")


class SettingsError(Exception):
    """What a project's file says makes no sense."""


@dataclass(frozen=True)
class Settings:
    """How a scan is to be done.

    Attributes:
        rules: What blocks, or does not, besides what the table says.
        handler_bases: Classes whose subclasses are handlers; with or without module.
        notes: Whether to look for what needs attention.
    """

    rules: tuple[Rule, ...] = ()
    handler_bases: tuple[str, ...] = ()
    notes: bool = True


def read_settings(folder: Path) -> Settings:
    """Read the settings of the project that a folder belongs to.

    Looked for in the folder and in those above it: the first `setup.cfg` or
    `pyproject.toml` that has the section.

    Raises:
        SettingsError: A value, or a file, makes no sense.
    """
    for place in (folder, *folder.absolute().parents):
        for name, read in (("pyproject.toml", _from_toml), ("setup.cfg", _from_cfg)):
            file = place / name
            if file.is_file():
                values = read(file)
                if values is not None:
                    return _settings(values, str(file))
    return Settings()


def _from_cfg(file: Path) -> Optional[dict[str, Any]]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
    except (configparser.Error, OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {error}") from error
    if not parser.has_section("tornado_unblock:scan"):
        return None
    values: dict[str, Any] = {}
    for name, text in parser["tornado_unblock:scan"].items():
        values[name] = [line.strip() for line in text.splitlines() if line.strip()]
    return values


def _from_toml(file: Path) -> Optional[dict[str, Any]]:
    text = file.read_text(encoding="utf-8")
    if "tornado_unblock" not in text:
        return None
    if sys.version_info < (3, 11):  # pragma: no cover - only older Pythons
        raise SettingsError(
            f"{file}: pyproject.toml can be read on Python 3.11 and later only; write "
            "[tornado_unblock:scan] into setup.cfg"
        )
    import tomllib  # type: ignore[import-not-found,unused-ignore]

    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} cannot be read: {error}") from error
    section = values.get("tool", {}).get("tornado_unblock", {}).get("scan")
    if section is not None and not isinstance(section, dict):
        raise SettingsError(f"{file}: tool.tornado_unblock.scan must be a table")
    return section


def _settings(values: dict[str, Any], where: str) -> Settings:
    for name, value in values.items():
        if name not in _KEYS:
            known = ", ".join(_KEYS)
            raise SettingsError(
                f"{where}: {name!r} is no option of scan; it has {known}"
            )
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise SettingsError(f"{where}: {name} must be a list of strings")
    try:
        rules = parse_rules("\n".join(values.get("blocks", ())), where)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    bases = (part for line in values.get("handler_bases", ()) for part in line.split())
    return Settings(tuple(rules), tuple(base.rstrip(",") for base in bases))


def with_bases(settings: Settings, bases: list[str]) -> Settings:
    """Return the settings with more handler bases."""
    return replace(settings, handler_bases=(*settings.handler_bases, *bases))
