"""Measure one stage after another, each with server processes of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from benchmarks.harness.errors import DemoError
from benchmarks.harness.figures import duration
from benchmarks.harness.interrupts import Interrupts
from benchmarks.harness.processes import Child, Children, address
from benchmarks.harness.terminal import Bars
from benchmarks.harness.variant import Variant
from benchmarks.stories.order_service import load, results, schema
from benchmarks.stories.order_service.database import Database, prepared
from benchmarks.stories.order_service.results import Run, StageResult
from benchmarks.stories.order_service.settings import STAGES, Settings
from benchmarks.stories.order_service.telling import draw, heading

PACKAGE = "benchmarks.stories.order_service"
LOGISTICS = (sys.executable, "-m", f"{PACKAGE}.logistics")
SERVICE = (sys.executable, "-m", f"{PACKAGE}.service")
TICK = 0.1  # seconds between two looks at a running measurement
GRACE = 60  # seconds that anything may take longer than asked


def measured(settings: Settings, interrupts: Interrupts, console: Console) -> Run:
    """Set everything up, measure, and clean everything up.

    Raises:
        DemoError: Something is missing, failed, or did not answer every request.
    """
    with _folder() as folder:
        own = "sqlite://" + urllib.parse.quote(str(folder / "orders.sqlite"))
        url = settings.database or own
        with prepared(url, interrupts) as database, Bars(console) as progress:
            version = database.version()
            progress.say(heading(settings, version))
            if STAGES[0] in settings.stages:
                with interrupts.allowed():
                    progress.say(f"\nWhat scan finds in it:\n{scanned(STAGES[0])}")
                    said = watched(STAGES[0], database, settings.delay, folder)
                    progress.say(f"What watch says while it serves an order:\n{said}\n")
            results = Runner(settings, database, folder, interrupts, progress).run()
    return Run(version, tuple(results))


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="order_service_"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start_logistics(children: Children, delay: float) -> Child:
    """Start the logistics API, which takes `delay` seconds to answer."""
    return children.start("logistics", [*LOGISTICS, "--delay", str(delay)])


def start_service(
    children: Children,
    stage: Variant,
    database: Database,
    logistics: str,
    log: Path,
    *options: str,
) -> Child:
    """Start `stage`; `logistics` is the API's address, `log` the file it logs to."""
    command = [*SERVICE, "--stage", stage.name, "--prefix", database.prefix]
    command += ["--log", str(log), "--logistics", f"{logistics}/track"]
    return children.start("service", [*command, *options], DATABASE=database.url)


def scanned(stage: Variant) -> str:
    """Return what `python -m tornado_unblock scan` finds in the source of a stage."""
    file = os.path.relpath(str(stage.load().__file__))
    ended = subprocess.run(
        [sys.executable, "-m", "tornado_unblock", "scan", file],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.stdout.strip() or ended.stderr.strip()


def watched(stage: Variant, database: Database, delay: float, folder: Path) -> str:
    """Have a stage serve one order under `tornado_unblock.watch`, and return its words.

    A stall that is shorter than a third of the API's delay is none.
    """
    with Children(folder / "watched") as children:
        api = address(start_logistics(children, delay))
        log = folder / "watched.log"
        service = start_service(
            children, stage, database, api, log, "--watch", str(max(0.01, delay / 3))
        )
        order = f"{address(service)}{load.ORDER_PATH}?id={schema.FIRST_ORDER}"
        with urllib.request.urlopen(order, timeout=GRACE) as response:
            response.read()
        service.finish(GRACE)
        return "\n".join(f"  {line}" for line in service.errors()) or "  no stall"


def ping_text(printed: str) -> str:
    """Turn a line of the ping client into words."""
    if not printed:
        return ""
    return f"/ping {printed if printed == 'failed' else duration(float(printed))}"


class Runner:
    """Measure the stages of one run.

    Args:
        settings: What to measure.
        database: The orders.
        folder: Where the processes' output and the services' logs go.
        interrupts: What lets Ctrl-C through while there is nothing to do but wait.
        progress: Where to show how far it is.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        folder: Path,
        interrupts: Interrupts,
        progress: Bars,
    ) -> None:
        self._settings = settings
        self._database = database
        self._folder = folder
        self._interrupts = interrupts
        self._progress = progress
        self._answer: bytes | None = None  # what the first stage answered

    def run(self) -> list[StageResult]:
        """Measure all stages.

        Raises:
            DemoError: A process failed, or a stage did not answer every request.
        """
        found: list[StageResult] = []
        for stage in self._settings.stages:
            found.append(self._measure(stage))
            self._progress.say(results.line(found[-1]))
            draw(found, self._settings.chart)
        return found

    def _measure(self, stage: Variant) -> StageResult:
        folder = self._folder / stage.name
        with Children(folder) as children:
            service, url = self._start(stage, children, folder / "orders.log")
            requests = children.start("load", load.load_command(self._settings, url))
            pings = children.start("ping", load.ping_command(url))
            with self._interrupts.allowed():
                printed = self._watch(stage, requests, pings)
            return _result(stage, service, requests, printed)

    def _start(
        self, stage: Variant, children: Children, log: Path
    ) -> tuple[Child, str]:
        logistics = start_logistics(children, self._settings.delay)
        with self._interrupts.allowed():
            api = address(logistics)
        service = start_service(children, stage, self._database, api, log)
        with self._interrupts.allowed():
            url = address(service)
            self._check_answer(stage, service, url)
        return service, url

    def _check_answer(self, stage: Variant, service: Child, url: str) -> None:
        order = f"{url}{load.ORDER_PATH}?id={schema.FIRST_ORDER}"
        try:
            with urllib.request.urlopen(order, timeout=GRACE) as response:
                answer: bytes = response.read()
        except OSError as error:  # URLError is one
            raise DemoError(
                f"The stage {stage.title!r} does not answer: {error}."
                f"{service.complaint()}"
            ) from error
        if self._answer not in (None, answer):
            raise DemoError(
                f"The stage {stage.title!r} answers something else than the first."
            )
        self._answer = answer

    def _watch(self, stage: Variant, requests: Child, pings: Child) -> list[str]:
        """Show the progress until the load ends; return what the pings printed."""
        printed: list[str] = []
        begun = time.monotonic()
        with self._progress.bar(stage.title, self._settings.seconds) as show:
            while requests.running():
                time.sleep(TICK)
                printed += pings.new_lines()
                elapsed = time.monotonic() - begun
                show(elapsed, ping_text(printed[-1] if printed else ""))
                if elapsed > self._settings.seconds + GRACE:
                    raise DemoError("The load generator does not come to an end.")
        pings.finish(GRACE)
        return printed + pings.new_lines()


def _result(
    stage: Variant, service: Child, requests: Child, printed: list[str]
) -> StageResult:
    try:
        measured = load.parse_load(requests.new_lines())
    except DemoError as error:
        raise DemoError(f"{error}{requests.complaint()}") from error
    pings, lost = load.parse_pings(printed)
    if measured.failed or lost or not measured.requests or not pings:
        raise DemoError(
            f"The stage {stage.title!r} is not reported, for not every request "
            f"succeeded: {measured.requests} orders answered, "
            f"{measured.failed} failed; "
            f"{len(pings)} pings answered, {lost} failed.{service.complaint()}"
        )
    return StageResult(stage, measured, pings)
