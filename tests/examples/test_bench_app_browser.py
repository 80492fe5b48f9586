"""The page of all stories in a real browser; as a program, this file looks at it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.examples import test_bench_app
from tests.examples.legacy_app import test_browser
from tests.examples.test_load_client_run import Program

# The rules for when there is none are those of the other browser test.
browser = test_browser.browser
program = test_bench_app.program

LOCAL = "127.0.0.1,localhost"
TITLES = [test_bench_app.STORY.title, "quick: True", "fakes.broken"]


@pytest.mark.timeout(120)
def test_page(browser: list[str], program: Program) -> None:
    """It opens, complains about nothing, needs nothing else, and shows all."""
    names = ("good", "quick", "broken")
    code, _, _ = test_bench_app.run(program, *names, options=("--quick",))
    assert code == 1
    file = program.folder / "deep" / "output" / "index.html"
    ended = subprocess.run(
        [sys.executable, __file__, str(file), *browser, str(program.folder)],
        env={**program.environment, "NO_PROXY": LOCAL, "no_proxy": LOCAL},
        cwd=program.folder,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ended.returncode == 0, ended.stderr
    pictures = {path.stem for path in program.folder.glob("*.png")}
    assert pictures == {"light 1000", "dark 1000", "light 390", "dark 390"}


def look(file: str, chromium: str, driver: str, folder: str) -> None:
    """Open the page on a desk and on a phone, by day and by night."""
    from tests.examples.legacy_app.browser import Browser

    browser = Browser(Path(file).as_uri(), chromium, driver, Path(folder))
    try:
        papers = set()
        for width in (1000, 390):
            for scheme in ("light", "dark"):
                papers.add(look_at(browser, width, scheme))
        assert len(papers) == 2, papers
    finally:
        browser.driver.quit()


def look_at(browser: Any, width: int, scheme: str) -> str:
    """Check one view, and return the colour of the paper."""
    driver = browser.driver
    size = {"width": width, "height": 800, "deviceScaleFactor": 1}
    size["mobile"] = width < 500
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    driver.get(browser.address)
    browser.picture(f"{scheme} {width}")
    complaints = driver.get_log("browser")
    assert complaints == [], complaints
    titles = driver.execute_script(
        "return [...document.querySelectorAll('h2')].map(each => each.innerText)"
    )
    assert [t for t in TITLES if not any(t in each for each in titles)] == [], titles
    charts = driver.execute_script(
        "return [...document.querySelectorAll('figure img')].map(each =>"
        " [each.complete, each.naturalWidth, each.getBoundingClientRect().height])"
    )
    assert len(charts) == 4, charts
    assert all(done and natural and height > 40 for done, natural, height in charts)
    loaded = driver.execute_script(
        "return performance.getEntriesByType('resource').map(each => each.name)"
        ".filter(each => !each.startsWith('data:'))"
    )
    assert loaded == [], loaded
    # Nothing but what scrolls by itself is wider than the window.
    wide = driver.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width, wide
    return str(
        driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    )


if __name__ == "__main__":
    look(*sys.argv[1:])
