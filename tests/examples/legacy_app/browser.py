"""Click through the application in headless Chromium; a program of its own.

    python browser.py ADDRESS CHROMIUM CHROMEDRIVER FOLDER

It ends with 0 if all went as it should; screenshots are left in the folder.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Callable

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.patience import WAIT

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1000,800",
)


class Browser:
    """A window of Chromium, with a profile of its own."""

    def __init__(self, address: str, chromium: str, driver: str, folder: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
            options.add_argument(flag)
        self.address = address
        self.folder = folder
        self.driver: Any = webdriver.Chrome(options=options, service=Service(driver))

    def use(self, selector: str, action: Callable[[Any], Any]) -> Any:
        """Return ``action(element)``, once it is there and not replaced meanwhile."""
        done = []
        self.wait(lambda: done.append(action(self._found(selector))) is None, selector)
        return done[0]

    def find(self, selector: str) -> Any:
        """Return the element, once it is there; on a live page rather ``use`` it."""
        return self.use(selector, lambda element: element)

    def text(self, selector: str) -> str:
        return str(self.use(selector, lambda element: element.text))

    def attribute(self, selector: str, name: str) -> Any:
        return self.use(selector, lambda element: element.get_attribute(name))

    def click(self, selector: str) -> None:
        self.use(selector, lambda element: element.click())

    def expect(self, selector: str, text: str) -> None:
        """Wait until an element's text has ``text`` in it."""
        self.wait(
            lambda: text in self._found(selector).text, f"{selector} never had {text!r}"
        )

    def wait(self, condition: Callable[[], bool], message: str = "") -> None:
        """Wait until ``condition()`` holds; what it looks at may be replaced."""
        # A page that is left tells of it in many ways.
        WebDriverWait(self.driver, WAIT, ignored_exceptions=[WebDriverException]).until(
            lambda _: condition(), message
        )

    def _found(self, selector: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def picture(self, name: str) -> None:
        self.driver.save_screenshot(str(self.folder / f"{name}.png"))


def log_in(browser: Browser) -> None:
    """A page that needs a user asks who it is, and then is shown."""
    browser.driver.get(f"{browser.address}documents")
    browser.expect("h1", "Log in")
    for password in ("wrong", "wonderland"):
        browser.find("[name=name]").send_keys("alice")
        browser.find("[name=password]").send_keys(password)
        browser.click(".card button")
        if password == "wrong":
            browser.expect(".error", "Wrong name or password.")
            browser.picture("login")
    browser.expect("h1", "Documents")
    browser.expect("#user", "alice")


def upload(browser: Browser) -> None:
    file = browser.folder / "minutes.txt"
    file.write_text("It was decided to decide later.\n", encoding="utf-8")
    browser.find("[type=file]").send_keys(str(file))
    browser.click(".card button")
    browser.expect("tbody", f"minutes.txt alice {file.stat().st_size}")
    browser.picture("documents")


def view_report(browser: Browser) -> None:
    browser.click("nav a[href='/report']")
    browser.expect("h1", "Sales of 2012")
    browser.click(".years a[href='/report?year=2014']")
    browser.expect("h1", "Sales of 2014")
    browser.expect("#report tbody tr:last-child", "2014-12-31")
    browser.picture("report")


def chat(browser: Browser) -> None:
    """Two windows: what is said in either is shown in both."""
    driver = browser.driver
    first = driver.current_window_handle
    browser.click("nav a[href='/chat']")
    browser.find("body.connected")
    driver.switch_to.new_window("window")
    second = driver.current_window_handle
    driver.get(f"{browser.address}chat")
    browser.find("body.connected")
    for number, (speaker, listener) in enumerate([(first, second), (second, first)]):
        driver.switch_to.window(speaker)
        browser.find("#text").send_keys(f"Message <{number}>")
        browser.click(".say button")
        for window in (speaker, listener):
            driver.switch_to.window(window)
            browser.expect(f"#messages li:nth-child({number + 1})", f"<{number}>")
    browser.picture("chat")
    driver.switch_to.window(second)
    driver.close()
    driver.switch_to.window(first)


def log_out(browser: Browser) -> None:
    browser.click(".brand")
    browser.expect("h1", "Good day, alice")
    browser.expect("ul.messages", "Message <1>")
    browser.expect("nav .count", "2")
    browser.picture("home")
    browser.driver.get(f"{browser.address}no/such/page")
    browser.expect("h1", "404: Not Found")
    browser.click("#logout")
    browser.expect("h1", "Log in")
    browser.driver.get(browser.address)
    browser.expect("h1", "Log in")


def main(address: str, chromium: str, driver: str, folder: str) -> None:
    browser = Browser(address, chromium, driver, Path(folder))
    try:
        for step in (log_in, upload, view_report, chat, log_out):
            step(browser)
    except BaseException:
        browser.picture("failed")
        raise
    finally:
        browser.driver.quit()


if __name__ == "__main__":
    main(*sys.argv[1:])
