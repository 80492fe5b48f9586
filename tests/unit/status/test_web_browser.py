"""The page in a real browser, while a loop is held; as a program, this file looks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tornado.web import Application, RequestHandler

from tests.examples.legacy_app import test_browser
from tests.unit.conftest import all_quiet
from tornado_unblock import configure, run_in_executor, unblock, watch

# The rules for when there is none are those of the other browser test.
browser = test_browser.browser

LOCAL = "127.0.0.1,localhost"


class Stalling(RequestHandler):
    def initialize(self, gate: Any) -> None:
        self.gate = gate

    def get(self) -> None:
        self.gate.hold()


class Orders(RequestHandler):
    @unblock
    def get(self) -> None:
        pass


@pytest.mark.timeout(120)
@pytest.mark.allow_log("tornado_unblock.stalls", "Event loop stalled")
@pytest.mark.allow_log("tornado.application", "still running after")
def test_page(
    browser: list[str],
    make_server: Any,
    serve_status: Any,
    gate: Any,
    child_env: dict[str, str],
    tmp_path: Path,
) -> None:
    """While a loop stands still the page is live, sorts, filters and can be read."""
    gate.patience = 110.0  # a browser takes its time
    watch(threshold=0.05)
    configure("late", timeout=0.01)
    page = serve_status(app=Application([("/orders", Orders)]))
    server = make_server(("/", Stalling, {"gate": gate}), ("/orders", Orders))
    assert server.get("/orders").status == 200

    async def start() -> None:
        run_in_executor(gate.hold, executor="reports")
        future = run_in_executor(gate.hold, executor="late")
        future.add_done_callback(lambda future: future.exception())

    server.call(start)
    assert gate.wait()
    assert gate.wait()
    server.until(lambda: b">stack</summary>" in page.get("/").body)
    server.send("/")
    assert gate.wait()
    ended = subprocess.run(
        [
            *(sys.executable, __file__, f"http://127.0.0.1:{page.port}/"),
            *(*browser, str(tmp_path)),
        ],
        env={**child_env, "NO_PROXY": LOCAL, "no_proxy": LOCAL},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    gate.open.set()
    server.call(all_quiet, "reports", "late")
    assert ended.returncode == 0, ended.stderr
    pictures = {path.stem for path in tmp_path.glob("*.png")}
    assert pictures == {"light 1280", "dark 1280", "light 390", "dark 390"}


@pytest.mark.timeout(120)
def test_several_processes(
    browser: list[str],
    serve_status: Any,
    neighbour: Any,
    child_env: dict[str, str],
    tmp_path: Path,
) -> None:
    """Two are shown; one that is stopped is said to be, one that is killed is gone."""
    page = serve_status()
    other = neighbour(page)
    other.hold()
    ended = subprocess.run(
        [
            *(sys.executable, __file__, f"http://127.0.0.1:{page.port}/"),
            *(*browser, str(tmp_path), str(other.process)),
        ],
        env={**child_env, "NO_PROXY": LOCAL, "no_proxy": LOCAL},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ended.returncode == 0, ended.stderr


def look_at_several(
    address: str, chromium: str, driver: str, folder: str, process: str
) -> None:
    """Follow one process from the list to its end."""
    from tests.examples.legacy_app.browser import Browser

    browser = Browser(address, chromium, driver, Path(folder))
    number = int(process)
    try:
        browser.driver.get(address)
        browser.expect("h1", "of 2 processes")
        browser.expect("#state", "live")
        browser.expect("#alarms", f"Process {process}: ")
        browser.expect("#alarms", "has been stalled for")
        browser.click("#alarms a")
        browser.expect("h1", f"of process {process}")
        browser.expect("#state", "live")
        browser.expect("#alarms", "hold_the_neighbour")
        browser.click("nav a")
        browser.expect("h1", "of 2 processes")
        os.kill(number, signal.SIGSTOP)
        browser.expect("#alarms", f"Process {process} has not answered for")
        browser.expect("#processes-rows", "no answer for")
        for width in (1280, 390):
            look_at(browser, width, "light")
            look_at(browser, width, "dark")
        script = "Emulation.setScriptExecutionDisabled"
        browser.driver.execute_cdp_cmd(script, {"value": True})
        browser.driver.get(address)
        assert "has not answered" in browser.text("#alarms")
        assert process in browser.text("#processes-rows")
        assert browser.text("#state") == "as of"
        browser.driver.execute_cdp_cmd(script, {"value": False})
        browser.driver.get(address)
        browser.expect("#state", "live")
        os.kill(number, signal.SIGKILL)
        names = "#processes-rows tr"
        browser.wait(lambda: len(texts(browser, names)) == 1)
        browser.expect("#state", "live")
        browser.wait(lambda: "has not answered" not in browser.text("#alarms"))
        browser.driver.get(f"{address}p/{process}/")
        browser.expect("#alarms", "This process is gone")
        browser.click("#alarms a")
        browser.expect("#executors", "No executor has been used yet")
    finally:
        browser.driver.quit()


def look(address: str, chromium: str, driver: str, folder: str) -> None:
    """Use the page as a person does, then look at it in every light."""
    from tests.examples.legacy_app.browser import Browser

    browser = Browser(address, chromium, driver, Path(folder))
    try:
        use(browser)
        papers = {
            look_at(browser, width, scheme)
            for width in (1280, 390)
            for scheme in ("light", "dark")
        }
        assert len(papers) == 2, papers
        look_without_script(browser)
    finally:
        browser.driver.quit()


def use(browser: Any) -> None:
    """Read, sort, filter, unfold and pause."""
    driver = browser.driver
    driver.get(browser.address)
    browser.expect("#state", "live")
    browser.expect("#alarms", "has been stalled for")
    browser.expect("#alarms", "Stalling.get")
    before = browser.text("#alarms")
    browser.expect("#at", ":")
    browser.wait(lambda: browser.text("#alarms") != before)
    names = "#endpoints-rows tr:not([hidden]) td:first-child .value"
    browser.click("#endpoints thead th:first-child button")
    head = "#endpoints thead th:first-child"
    assert browser.attribute(head, "aria-sort") == "ascending"
    browser.wait(lambda: texts(browser, names) == sorted(texts(browser, names)))
    browser.click(f"{head} button")
    assert browser.attribute(head, "aria-sort") == "descending"
    browser.wait(lambda: texts(browser, names) == sorted(texts(browser, names))[::-1])
    browser.find("#filter").send_keys("orders")
    browser.wait(lambda: texts(browser, names) == ["Orders.get"])
    browser.find("#filter").clear()
    browser.find("#filter").send_keys(" ")
    browser.click("#abandoned summary")
    unfolded = browser.text("#abandoned .stack")
    assert "in Gate.hold" in unfolded or "in hold" in unfolded
    age = browser.text("#abandoned-rows .number")
    browser.wait(lambda: browser.text("#abandoned-rows .number") != age)
    assert browser.attribute("#abandoned details", "open") is not None
    focused = "return document.activeElement.tagName"
    assert driver.execute_script(focused) == "SUMMARY"
    browser.click("#pause")
    browser.expect("#state", "paused at")
    assert browser.attribute("#pause", "aria-pressed") == "true"
    browser.click("#pause")
    browser.expect("#state", "live")


def texts(browser: Any, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)"
    return list(browser.driver.execute_script(script, selector))


def look_at(browser: Any, width: int, scheme: str) -> str:
    """Check one view, and return the colour of the paper."""
    driver = browser.driver
    size = {"width": width, "height": 1500, "deviceScaleFactor": 1}
    size["mobile"] = width < 500
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    driver.get(browser.address)
    browser.expect("#state", "live")
    browser.picture(f"{scheme} {width}")
    complaints = driver.get_log("browser")
    assert complaints == [], complaints
    # Nothing but what scrolls by itself is wider than the window.
    wide = driver.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width, wide
    poor = driver.execute_script(CONTRAST)
    assert poor == [], poor
    return str(
        driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    )


#: Returns the texts whose contrast is below that of WCAG's level AA.
CONTRAST = """
const light = c => {
  const [r, g, b] = c.match(/[\\d.]+/g).map(v => {
    v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  });
  return .2126 * r + .7152 * g + .0722 * b;
};
const paper = e => {
  for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor;
    if (!c.startsWith("rgba(0, 0, 0, 0")) return c;
  }
  return "rgb(255, 255, 255)";
};
return [...document.querySelectorAll("body *")].filter(e =>
  [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())
  && e.getClientRects().length && !e.closest("svg, .hidden, noscript, script")
).map(e => {
  const [a, b] = [light(getComputedStyle(e).color), light(paper(e))].sort();
  return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.outerHTML.slice(0, 80)];
}).filter(([ratio]) => ratio < 4.5);
"""


def look_without_script(browser: Any) -> None:
    """Without a script it is whole, and says how to get another snapshot."""
    driver = browser.driver
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    driver.get(browser.address)
    assert "has been stalled for" in browser.text("#alarms")
    assert "Orders.get" in browser.text("#endpoints-rows")
    assert browser.text("#state") == "as of"
    assert not browser.find("#filter").is_displayed()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    (look if len(arguments) == 4 else look_at_several)(*arguments)
