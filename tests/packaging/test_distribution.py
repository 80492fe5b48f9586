"""What is shipped, and that it is what the other tests test.

`make` builds the sdist and the wheel and says where they are; without it most of
these tests are skipped.
"""

from __future__ import annotations

import email.message
import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path, PurePosixPath

import pytest

import tornado_unblock

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def dist() -> Path:
    directory = os.environ.get("TORNADO_UNBLOCK_DIST")
    if directory is None:
        pytest.skip("TORNADO_UNBLOCK_DIST is not set: run the tests with make")
    return Path(directory)


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def wheel_metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("/METADATA"))
        return email.message_from_bytes(archive.read(name))


@pytest.fixture(scope="module")
def sdist_names(dist: Path) -> set[str]:
    """Return the sdist's files, relative to its one top directory."""
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        files = [member.name for member in archive if member.isfile()]
    return {str(PurePosixPath(*PurePosixPath(name).parts[1:])) for name in files}


def modules() -> set[str]:
    """Return the modules in the tree."""
    paths = (ROOT / "tornado_unblock").rglob("*.py")
    return {path.relative_to(ROOT).as_posix() for path in paths}


def shipped(name: str) -> set[str]:
    """Return the tree's files below a directory that are meant to be shipped."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_library_is_not_imported_from_the_tree(dist: Path) -> None:
    """What is tested is what was installed from the wheel."""
    assert dist.is_dir()
    installed = Path(sysconfig.get_path("purelib"), "tornado_unblock", "__init__.py")
    assert Path(tornado_unblock.__file__) == installed


def test_the_installed_library_is_the_wheel_in_dist(wheel: Path) -> None:
    """Every module installed has the content it has in the wheel."""
    site_packages = Path(sysconfig.get_path("purelib"))
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith("tornado_unblock/"):
                assert (site_packages / name).read_bytes() == archive.read(name), name


def test_wheel_files(wheel: Path) -> None:
    """The wheel holds the modules, the typing marker, metadata and the licence."""
    info = f"tornado_unblock-{tornado_unblock.__version__}.dist-info"
    expected = modules() | {"tornado_unblock/py.typed", "tornado_unblock_pytest.py"}
    assets = ROOT / "tornado_unblock" / "status" / "assets"
    expected |= {path.relative_to(ROOT).as_posix() for path in assets.iterdir()}
    expected |= {
        f"{info}/{name}"
        for name in (
            "METADATA",
            "RECORD",
            "WHEEL",
            "entry_points.txt",
            "top_level.txt",
            "licenses/LICENSE",
        )
    }
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) == expected


def test_wheel_is_for_any_platform(wheel: Path) -> None:
    """One wheel serves every supported Python."""
    assert wheel.name.endswith("-py3-none-any.whl")


def test_sdist_files(sdist_names: set[str]) -> None:
    """From the sdist everything can be built, tested and read."""
    expected = modules() | shipped("tests") | shipped("examples") | shipped("docs")
    expected |= shipped("tools") | shipped(".ci")
    expected |= shipped(".github") | {"LICENSE", "Makefile", "CONTRIBUTING.md"}
    expected |= {"CODE_OF_CONDUCT.md", "SECURITY.md", "setup.cfg"}
    expected |= {"pyproject.toml", "tornado_unblock/py.typed"}
    assert expected <= sdist_names


def test_sdist_has_no_leftovers(sdist_names: set[str]) -> None:
    """Nothing that tools leave behind is shipped."""
    leftover = re.compile(r"__pycache__|\.py[cod]$|\.venv|_cache/|(^|/)\.coverage")
    assert [name for name in sorted(sdist_names) if leftover.search(name)] == []


def test_requirements(wheel_metadata: email.message.Message) -> None:
    """Without extras, tornado and wrapt are all that is required."""
    requirements = wheel_metadata.get_all("Requires-Dist", [])
    core = [text for text in requirements if "extra ==" not in text]
    assert sorted(core) == ["tornado>=6.1", "wrapt>=1.15"]


def test_the_index_can_show_it(dist: Path) -> None:
    """`twine` finds nothing to complain of."""
    if importlib.util.find_spec("twine") is None:
        pytest.skip("twine is not installed; it comes with the `lint` extra")
    files = [str(path) for path in (*dist.glob("*.whl"), *dist.glob("*.tar.gz"))]
    command = [sys.executable, "-m", "twine", "check", "--strict", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") == len(files) == 2


def test_the_description_has_no_relative_links(
    wheel_metadata: email.message.Message,
) -> None:
    """On an index they would lead nowhere."""
    description = str(wheel_metadata.get_payload())
    links = re.findall(r"\]\(<?([^)\s>]+)", description)
    links += re.findall(r"(?:src|href)=\"([^\"]+)", description)
    assert len(links) > 5
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


def test_project_urls(wheel_metadata: email.message.Message) -> None:
    """An index links to all that a user looks for."""
    urls = dict(u.split(", ") for u in wheel_metadata.get_all("Project-URL", []))
    wanted = {"Documentation", "Changelog", "Source", "Issues", "Security"}
    assert wanted <= set(urls)
    assert all(url.startswith("https://") for url in urls.values())
    assert wheel_metadata["Keywords"]


def test_the_version_has_a_changelog_entry() -> None:
    """With a date, above those of older versions."""
    text = (ROOT / "CHANGELOG.md").read_text()
    (latest, *_) = re.findall(r"^## (\d\S*) - \d{4}-\d\d-\d\d$", text, re.MULTILINE)
    assert latest == tornado_unblock.__version__


def test_pythons_are_those_of_the_workflow(
    wheel_metadata: email.message.Message,
) -> None:
    """What the classifiers say is what continuous integration runs."""
    classified = {
        text.rpartition(" :: ")[2]
        for text in wheel_metadata.get_all("Classifier", [])
        if re.search(r":: 3\.\d+$", text)
    }
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text()
    (listed,) = re.findall(r"python: \[(.*)\]", workflow)
    assert set(re.findall(r"3\.\d+", listed)) == classified


def test_extras(wheel_metadata: email.message.Message) -> None:
    """The extras users are told about exist."""
    provided = set(wheel_metadata.get_all("Provides-Extra", []))
    told = {"examples", "opentelemetry", "prometheus", "test", "lint", "dev"}
    assert told <= provided


def test_metadata(wheel_metadata: email.message.Message) -> None:
    """Name, version, licence and supported Pythons are stated."""
    assert wheel_metadata["Name"] == "tornado-unblock"
    assert wheel_metadata["Version"] == tornado_unblock.__version__
    assert wheel_metadata["License-Expression"] == "Apache-2.0"
    assert wheel_metadata["License-File"] == "LICENSE"
    assert wheel_metadata["Requires-Python"] == ">=3.9"
    classifiers = wheel_metadata.get_all("Classifier", [])
    assert not [text for text in classifiers if text.startswith("License ::")]


def test_installed_version() -> None:
    """The version the package states is the one it was installed as."""
    assert metadata.version("tornado-unblock") == tornado_unblock.__version__


IMPORTED = """
import sys
before = set(sys.modules)
import tornado_unblock
for name in sorted(set(sys.modules) - before):
    path = getattr(sys.modules[name], "__file__", None) or ""
    if "site-packages" in path:
        print(name.partition(".")[0])
"""


def test_import_needs_no_extra(child_env: dict[str, str], tmp_path: Path) -> None:
    """Importing the library imports Tornado, and nothing that can come later."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED],
        cwd=tmp_path,
        env=child_env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == {"tornado_unblock", "tornado"}
