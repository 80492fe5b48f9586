"""The application in a real browser, inline and unblocked: `browser.py` clicks."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("browser.py")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def needed(what: str, *names: str) -> str:
    """Return the path of a program, or end the test if there is none."""
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    reason = f"No {what} is installed (looked for {', '.join(names)})."
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def browser(tmp_path: Path) -> list[str]:
    """Return the paths of a browser and its driver."""
    if sys.version_info < (3, 10):
        pytest.skip("The test extra has no selenium for Python 3.9.")
    if importlib.util.find_spec("selenium") is None:
        reason = "The package selenium is not installed."
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return [needed("Chromium", *CHROMIUM), needed("Chromium driver", "chromedriver")]


@pytest.fixture(params=[[], ["--unblock"]], ids=["inline", "unblocked"])
def address(
    request: pytest.FixtureRequest,
    browser: list[str],
    child_env: dict[str, str],
    tmp_path: Path,
) -> Iterator[str]:
    """Serve the application from a process of its own."""
    command = [sys.executable, "-m", "examples.legacy_app", "--port", "0"]
    environment = {k: v for k, v in child_env.items() if k != "DATABASE"}
    with (
        (tmp_path / "server.log").open("w") as log,
        subprocess.Popen(
            [*command, *request.param],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as child,
    ):
        assert child.stdout is not None
        try:
            yield child.stdout.readline().strip()
        finally:
            child.terminate()
            child.wait(20)


@pytest.mark.timeout(180)
def test_clicking_through(
    address: str, browser: list[str], child_env: dict[str, str], tmp_path: Path
) -> None:
    """Log in, upload a file, read the report, chat in two windows, log out."""
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), address, *browser, str(tmp_path)],
        env={**child_env, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
    )
    log = (tmp_path / "server.log").read_text()
    assert ended.returncode == 0, f"{ended.stderr}\n{log}"
    assert "Traceback" not in log
    pictures = {path.stem for path in tmp_path.glob("*.png")}
    assert pictures == {"login", "documents", "report", "chat", "home"}
