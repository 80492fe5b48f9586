"""Measure one stage after another, each with server processes of its own."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from examples.order_service import display, load, schema, servers
from examples.order_service.database import Database, prepared
from examples.order_service.display import Progress
from examples.order_service.errors import DemoError
from examples.order_service.interrupts import Interrupts
from examples.order_service.processes import Child, Children
from examples.order_service.results import StageResult
from examples.order_service.settings import Settings
from examples.order_service.stages import Stage

TICK = 0.1  # seconds between two looks at a running measurement
GRACE = 60  # seconds that anything may take longer than asked


@dataclass(frozen=True)
class Run:
    """A whole run.

    Attributes:
        database: The name and version of the database.
        results: What was measured, stage by stage.
    """

    database: str
    results: tuple[StageResult, ...]


def measured(settings: Settings, interrupts: Interrupts, progress: Progress) -> Run:
    """Set everything up, measure, and clean everything up.

    Raises:
        DemoError: Something is missing, failed, or did not answer every request.
    """
    with _folder() as folder:
        own = "sqlite://" + urllib.parse.quote(str(folder / "orders.sqlite"))
        url = settings.database or own
        with prepared(url, interrupts) as database, progress:
            version = database.version()
            progress.say(display.heading(settings, version))
            results = Runner(settings, database, folder, interrupts, progress).run()
    return Run(version, tuple(results))


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="order_service_"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
        progress: Progress,
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
        return [self._measure(stage) for stage in self._settings.stages]

    def _measure(self, stage: Stage) -> StageResult:
        folder = self._folder / stage.name
        with Children(folder) as children:
            service, url = self._start(stage, children, folder / "orders.log")
            requests = children.start("load", load.load_command(self._settings, url))
            pings = children.start("ping", load.ping_command(url))
            with self._interrupts.allowed():
                printed = self._watch(stage, requests, pings)
            return _result(stage, service, requests, printed)

    def _start(self, stage: Stage, children: Children, log: Path) -> tuple[Child, str]:
        logistics = servers.start_logistics(children, self._settings.delay)
        with self._interrupts.allowed():
            api = servers.address(logistics)
        service = servers.start_service(children, stage, self._database, api, log)
        with self._interrupts.allowed():
            url = servers.address(service)
            self._check_answer(stage, service, url)
        return service, url

    def _check_answer(self, stage: Stage, service: Child, url: str) -> None:
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

    def _watch(self, stage: Stage, requests: Child, pings: Child) -> list[str]:
        """Show the progress until the load ends; return what the pings printed."""
        printed: list[str] = []
        begun = time.monotonic()
        with self._progress.stage(stage.title, self._settings.seconds) as show:
            while requests.running():
                time.sleep(TICK)
                printed += pings.new_lines()
                elapsed = time.monotonic() - begun
                show(elapsed, printed[-1] if printed else "")
                if elapsed > self._settings.seconds + GRACE:
                    raise DemoError("The load generator does not come to an end.")
        pings.finish(GRACE)
        return printed + pings.new_lines()


def _result(
    stage: Stage, service: Child, requests: Child, printed: list[str]
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
