"""Settings: from setup.cfg, from pyproject.toml, and what makes no sense there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tornado_unblock._scan.settings import (
    Settings,
    SettingsError,
    read_settings,
    with_bases,
)

needs_toml = pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib")


def test_none(tmp_path: Path) -> None:
    """Without a file, or without a section, the defaults hold."""
    (tmp_path / "setup.cfg").write_text("[metadata]\nname = x\n")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert read_settings(tmp_path) == Settings()


def test_setup_cfg(tmp_path: Path) -> None:
    """The section is found above the folder that is scanned."""
    (tmp_path / "setup.cfg").write_text(
        "[tornado_unblock:scan]\nhandler_bases = acme.Page, Other\n"
        "blocks =\n    acme.call  network\n    acme.Client().*\n"
    )
    (tmp_path / "app").mkdir()
    settings = read_settings(tmp_path / "app")
    assert settings.handler_bases == ("acme.Page", "Other")
    assert [(r.path, r.kind) for r in settings.rules] == [
        ("acme.call", "network"),
        ("acme.Client().*", "other"),
    ]
    assert with_bases(settings, ["X"]).handler_bases == ("acme.Page", "Other", "X")


@needs_toml
def test_pyproject(tmp_path: Path) -> None:
    """The table of pyproject.toml has the same keys."""
    (tmp_path / "pyproject.toml").write_text(
        "[tool.tornado_unblock.scan]\nblocks = ['a.b  dns']\nhandler_bases = ['C']\n"
    )
    settings = read_settings(tmp_path)
    assert settings.handler_bases == ("C",)
    assert settings.rules[0].kind == "dns"


@needs_toml
def test_pyproject_without_the_table(tmp_path: Path) -> None:
    """Other tables of the library's are no settings of the scan."""
    (tmp_path / "pyproject.toml").write_text("[tool.tornado_unblock.other]\nx = 1\n")
    assert read_settings(tmp_path) == Settings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tornado_unblock:scan]\nblock = x\n", "'block' is no option"),
        ("[tornado_unblock:scan]\nblocks = a.b  slowly\n", "'slowly' is no kind"),
        ("[tornado_unblock:scan\n", "cannot be read"),
    ],
)
def test_wrong_cfg(tmp_path: Path, text: str, message: str) -> None:
    """What makes no sense in setup.cfg is refused, with its place."""
    file = tmp_path / "setup.cfg"
    file.write_text(text)
    with pytest.raises(SettingsError, match=message) as caught:
        read_settings(tmp_path)
    assert str(file) in str(caught.value)


@needs_toml
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.tornado_unblock]\nscan = 1\n", "must be a table"),
        ("[tool.tornado_unblock.scan]\nblocks = 'x'\n", "must be a list of strings"),
        ("[tool.tornado_unblock.scan]\nblocks = [1]\n", "must be a list of strings"),
        ("[tool.tornado_unblock\n", "cannot be read"),
    ],
)
def test_wrong_toml(tmp_path: Path, text: str, message: str) -> None:
    """So it is in pyproject.toml."""
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_settings(tmp_path)
