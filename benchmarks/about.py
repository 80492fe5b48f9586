"""What the numbers depend on: the machine and the versions."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.harness.machine import description
from benchmarks.harness.wrk import version

PACKAGES = (
    "tornado-unblock",
    "tornado",
    "wrapt",
    "asgiref",
    "anyio",
    "uvloop",
    "fastapi",
    "starlette",
    "uvicorn",
    "httptools",
    "quart",
    "hypercorn",
    "aiohttp",
    "flask",
    "django",
    "waitress",
    "gunicorn",
    "gevent",
    "granian",
    "sqlalchemy",
    "psycopg2-binary",
    "PyMySQL",
    "asyncpg",
    "aiomysql",
)


def describe() -> dict[str, Any]:
    """Return it all for the JSON file."""
    return {
        "taken": datetime.datetime.now(datetime.timezone.utc).isoformat("T", "seconds"),
        "commit": _commit(),
        "machine": description(),
        "load_before": round(os.getloadavg()[0], 2),
        "versions": versions(),
    }


def versions() -> dict[str, str | None]:
    """Return the versions of all that takes part; None for what is not installed."""
    wrk = version() if shutil.which("wrk") else None
    packages = {package: _installed(package) for package in PACKAGES}
    return {"Python": platform.python_version(), **packages, "wrk": wrk}


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit that is measured, with a "+" if the tree differs from it."""
    folder = Path(__file__).resolve().parent
    shown = _git(folder, "rev-parse", "--short=12", "HEAD")
    if shown is None:
        return None
    return shown + ("+" if _git(folder, "status", "--porcelain", "-uno") else "")


def _git(folder: Path, *words: str) -> str | None:
    try:
        ended = subprocess.run(
            ["git", *words],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return ended.stdout.strip() if ended.returncode == 0 else None
