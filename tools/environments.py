"""Make a virtual environment hold the freshly built wheel, doing only what is needed.

    python tools/environments.py DIRECTORY EXTRA [EXTRA ...]

The wheel in dist/ is rebuilt when anything that is packaged has changed. The
environment is made anew when its interpreter has changed, gets its requirements when
those have, and otherwise just the new wheel. Pip chooses the newest releases when it
chooses at all: `make clean` forgets its choices.
"""

from __future__ import annotations

import datetime
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
ENVIRONMENTS = ROOT / ".venvs"
#: What a build needs; `build` checks it against pyproject.toml.
BUILD_REQUIREMENTS = ("build>=1.2", "setuptools>=77.0.3")
#: Everything else at the top of the tree is local: environments, caches, results.
HIDDEN_BUT_PACKAGED = {
    *(".ci", ".github", ".gitignore", ".pre-commit-config.yaml", ".readthedocs.yaml")
}
NOT_PACKAGED = {"build", "dist", "htmlcov", "__pycache__"}


def ensure(
    directory: Path, python: str, extras: Sequence[str], pins: Sequence[str] = ()
) -> Path:
    """Bring the environment in ``directory`` up to date.

    Args:
        directory: Where the environment is, or will be.
        python: The interpreter to make it with.
        extras: Extras of the wheel to install.
        pins: Further requirements that must hold, such as ``tornado==6.1``.

    Returns:
        The environment's interpreter.

    Raises:
        subprocess.CalledProcessError: The build or an installation failed.
    """
    wheel = build()
    contents = _wheel_file(wheel, "RECORD")
    metadata = _wheel_file(wheel, "METADATA").splitlines()
    requirements = [line for line in metadata if line.startswith("Requires-Dist")]
    wanted = {
        "python": _identity(python),
        "requirements": [*requirements, *extras, *pins],
        "wheel": hashlib.sha256(contents.encode()).hexdigest(),
    }
    state = directory / "state.json"
    inside = directory / "bin" / "python"
    usable = state.exists() and inside.exists()
    present = json.loads(state.read_text()) if usable else {}
    if present == wanted:
        return inside
    state.unlink(missing_ok=True)  # it describes finished work only
    if present.get("python") != wanted["python"]:
        _create(directory, python)
        present = {}
    if present.get("requirements") != wanted["requirements"]:
        _pip(inside, f"{wheel}[{','.join(extras)}]", *pins)
    _pip(inside, "--force-reinstall", "--no-deps", str(wheel))
    state.write_text(json.dumps(wanted, indent=1))
    return inside


def build() -> Path:
    """Return the wheel in dist/, built from the sdist beside it if out of date."""
    digest = _digest()
    stamp = DIST / "inputs.sha256"
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(DIST, ignore_errors=True)
        build_into(DIST)
        stamp.write_text(digest)
    (wheel,) = DIST.glob("*.whl")
    return wheel


def build_into(directory: Path) -> None:
    """Build the sdist, and from it the wheel: the same bytes from the same files."""
    epoch = _epoch()
    with tempfile.TemporaryDirectory() as scratch:
        # In a copy: leftovers of earlier builds would end up in the wheel.
        copy = Path(scratch) / "tree"
        for path in _packaged_files():
            target = copy / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
            # What a checkout and a umask decide.
            target.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
        command = ("-m", "build", "--no-isolation", "-o", directory, copy)
        _run(_builder(), *command, quiet=True, SOURCE_DATE_EPOCH=str(epoch))
    (sdist,) = directory.glob("*.tar.gz")
    _normalise(sdist, epoch)


def _epoch() -> int:
    """Return the seconds since 1970 that stand for the time of the build."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is not None:
        return int(given)
    # The day of the latest release: an sdist has no history to ask.
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    day = re.search(r"^## \S+ - (\d{4}-\d\d-\d\d)$", text, re.MULTILINE)
    midnight = f"{day[1] if day else '2026-01-01'}T00:00:00+00:00"
    return int(datetime.datetime.fromisoformat(midnight).timestamp())


def _normalise(sdist: Path, epoch: int) -> None:
    """Pack an sdist again, without what tells who packed it, and when."""
    with tarfile.open(sdist) as archive:
        members = sorted(archive.getmembers(), key=lambda member: member.name)
        contents = [archive.extractfile(m) if m.isfile() else None for m in members]
        packed = [content.read() if content else b"" for content in contents]
    with sdist.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, epoch) as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for member, content in zip(members, packed):
                member.uid = member.gid = 0
                member.uname = member.gname = ""
                member.mtime = epoch
                member.pax_headers = {}
                archive.addfile(member, io.BytesIO(content))


def _builder() -> Path:
    """Return the interpreter of the environment that builds."""
    directory = ENVIRONMENTS / "build"
    state = directory / "state.json"
    wanted = json.dumps([_identity(sys.executable), *BUILD_REQUIREMENTS])
    inside = directory / "bin" / "python"
    if not state.exists() or state.read_text() != wanted:
        _create(directory, sys.executable)
        _pip(inside, *BUILD_REQUIREMENTS)
        state.write_text(wanted)
    return inside


def _packaged_files() -> Iterator[Path]:
    for top in sorted(ROOT.iterdir()):
        hidden = top.name.startswith(".") and top.name not in HIDDEN_BUT_PACKAGED
        if hidden or top.name in NOT_PACKAGED or top.suffix == ".egg-info":
            continue
        files = sorted(top.rglob("*")) if top.is_dir() else [top]
        for path in files:
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _digest() -> str:
    digest = hashlib.sha256()
    for path in _packaged_files():
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(ROOT)} {content}\n".encode())
    return digest.hexdigest()


def _wheel_file(wheel: Path, name: str) -> str:
    """Return a file of the wheel's .dist-info directory."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (n for n in archive.namelist() if n.endswith(f".dist-info/{name}"))
        return archive.read(path).decode()


def _identity(python: str) -> str:
    code = "import sys; print(sys.version, sys.base_prefix)"
    return subprocess.check_output([python, "-c", code], text=True)


def _create(directory: Path, python: str) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    _run(python, "-m", "venv", directory)


def _pip(python: Path, *arguments: str) -> None:
    pip = (python, "-m", "pip", "--disable-pip-version-check", "-q")
    _run(*pip, "install", *arguments)


def _run(*command: str | Path, quiet: bool = False, **environment: str) -> None:
    """Run a command; a quiet one shows its output only if it fails."""
    print("+", *command, flush=True)
    done = subprocess.run(
        command,
        check=False,
        env={**os.environ, **environment},
        umask=0o022,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
    )
    if done.returncode:
        sys.stdout.buffer.write(done.stdout or b"")
        done.check_returncode()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        ensure(Path(sys.argv[1]), sys.executable, sys.argv[2:])
    except subprocess.CalledProcessError as error:
        sys.exit(str(error))
