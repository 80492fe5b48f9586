"""The kinds of things that are measured, and how each is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness import crowd, usage, wrk
from benchmarks.harness.errors import DemoError
from benchmarks.harness.servers import Server, Servers, Setup, check

Figures = dict[str, float]

# One route, and it may have all the workers; whatever comes may wait.
ALONE = (
    ("TORNADO_UNBLOCK_MAX_ENDPOINT_SHARE", "1"),
    ("TORNADO_UNBLOCK_MAX_WAITING", "20000"),
    ("TORNADO_UNBLOCK_QUEUE_TIMEOUT", "none"),
)
USUAL = Setup()
TRIVIAL = "/trivial"
SLOWEST = 0.005  # seconds
TURN = 0.12  # seconds that go by between two measurements
TRIALS = 5
PATIENT = 4  # times as long for who has answered nobody yet
WARMERS = 50
PROBE_PATIENCE = 120  # seconds
LIBRARY = Path(__file__).resolve().parents[1] / "tornado_unblock"
COMPILE = (sys.executable, "-m", "compileall", "-q", str(LIBRARY))


class RefusedError(Exception):
    """Not every request succeeded: this cell has no number."""


@dataclass(frozen=True)
class Scenario:
    """One thing to measure, for some contenders.

    Attributes:
        name: Its name on the command line and in the JSON file.
        title: What a table calls it.
        contenders: Who takes part.
        quick: Who does with `--quick`, if not all: what the goals need.
        shown: The figure that tables and charts show.
        setup: What the servers are started with.
        needs: Environment variables that the world has to provide.
        gate: Whether who is refused here is refused in all that comes after.
        only_full: Whether it is left out with `--quick`.
        chart: Whether it is drawn.
        absolute: Whether its figures are of the machine that took them alone.
        rounds: How many, if not as many as usual.
        quick_rounds: How many with `--quick`, if others than usual.
    """

    name: str
    title: str
    contenders: tuple[str, ...]
    quick: tuple[str, ...] = ()
    shown: str = "rate"
    setup: Setup = USUAL
    needs: tuple[str, ...] = ()
    gate: bool = False
    only_full: bool = False
    chart: bool = True
    absolute: bool = False
    rounds: int = 0
    quick_rounds: int = 0

    def warm_up(self, servers: Servers, contender: str) -> None:
        """Do once what is not to be measured.

        Raises:
            DemoError: The contender does not work.
        """

    def measure(self, servers: Servers, contender: str, quick: bool) -> Figures:
        """Measure one contender once.

        Raises:
            RefusedError: Not every request succeeded.
            DemoError: It could not be measured.
        """
        raise NotImplementedError

    def takes(self, quick: bool) -> float:
        """Return about how many seconds `measure` takes."""
        raise NotImplementedError

    def turn(self, quick: bool) -> float:
        """Return the same with all that goes by before and after it."""
        return self.takes(quick) + TURN


@dataclass(frozen=True)
class Throughput(Scenario):
    """Connections that ask again as soon as they are answered.

    Attributes:
        path: What they ask for.
        connections: How many they are.
        seconds: For how long.
        quick_seconds: For how long with `--quick`.
        waits: Whether the body waits: its answers come in bursts, and those that are
            under way at the end are waited for.
        rest: What to ask for after a measurement, "" for nothing: it closes what
            the server has pooled, which is filled again before the next.
        threads: Whether to count the server's threads.
    """

    path: str = "/trivial"
    connections: int = 50
    seconds: float = 1.25
    quick_seconds: float = 0.4
    waits: float = 0.0
    rest: str = ""
    threads: bool = False

    def warm_up(self, servers: Servers, contender: str) -> None:
        """See that it answers right, and let it start its workers."""
        server = servers.get(contender)
        check(server, self.path)
        if self.rest:  # it is warmed up before each measurement
            check(server, self.rest)
        else:
            self._load(server.url, 0.3 + self.connections * self.waits / 100)

    def measure(self, servers: Servers, contender: str, quick: bool) -> Figures:
        """Load the server, and read its processor time before and after."""
        server = servers.get(contender)
        if self.rest:
            few = min(self.connections, WARMERS)  # what they leave must be done soon
            wrk.load(server.url + self.path, few, 0.3)
            usage.wait_until_idle(server.pid)
        for seconds in (self.takes(quick), PATIENT * self.takes(quick)):
            before = usage.cpu_seconds(server.pid)
            outcome = self._load(server.url, seconds)
            cpu = usage.cpu_seconds(server.pid) - before
            if outcome.requests:  # else it may have been the machine: once more
                break
        figures = _figures(outcome)
        if self.threads:
            figures["threads"] = usage.threads(server.pid)
        figures["memory"] = usage.memory(server.pid)
        usage.wait_until_idle(server.pid)  # who comes next must have the machine
        if self.rest:
            check(server, self.rest)
        return {**figures, "cpu": cpu / outcome.requests}

    def takes(self, quick: bool) -> float:
        """Return the seconds."""
        return self.quick_seconds if quick else self.seconds

    def turn(self, quick: bool) -> float:
        """Add what warms up a server whose pools were closed."""
        return super().turn(quick) + 0.7 * bool(self.rest)

    def _load(self, url: str, seconds: float) -> wrk.Outcome:
        waits = self.waits > 0
        return wrk.load(url + self.path, self.connections, seconds, cycles=waits)


@dataclass(frozen=True)
class Sanity(Scenario):
    """Whether a server is run as it should be: a gate to all other scenarios.

    A body that does nothing must not take 5 ms on a single connection, and the server
    must not be three times slower than one that its command alone has started. What a
    busy machine does now and then does not count: the median of the requests does, or
    their mean if that is less, and there are some trials.
    """

    def warm_up(self, servers: Servers, contender: str) -> None:
        """See that it answers right."""
        check(servers.get(contender), TRIVIAL)

    def measure(self, servers: Servers, contender: str, quick: bool) -> Figures:
        """Compare it with itself, started by hand."""
        with servers.by_hand(contender) as other:
            trials = (self._trial(servers.get(contender), other) for _ in range(TRIALS))
            for figures in trials:
                problem = insane(figures)
                if not problem:
                    return figures
        raise RefusedError(problem)

    def _trial(self, server: Server, other: Server) -> Figures:
        one = wrk.load(server.url + TRIVIAL, 1, 0.4)
        ours = wrk.load(server.url + TRIVIAL, 50, 0.4)
        theirs = wrk.load(other.url + TRIVIAL, 50, 0.4)
        problem = one.problem or ours.problem or theirs.problem
        if problem:
            raise RefusedError(problem)
        return {
            "one": min(one.mean, one.p50),
            "rate": ours.rate,
            "by hand": theirs.rate,
        }

    def takes(self, quick: bool) -> float:
        """Return the seconds."""
        return 3.0


def insane(figures: Figures) -> str:
    """Say what is wrong with a server that is not run as it should be, if anything."""
    if figures["one"] > SLOWEST:
        return f"a trivial body takes {figures['one'] * 1e3:.1f} ms on one connection"
    if figures["rate"] < figures["by hand"] / 3:
        return (
            f"{figures['rate']:.0f} requests/s, where its command alone reaches "
            f"{figures['by hand']:.0f}"
        )
    return ""


@dataclass(frozen=True)
class Crowd(Scenario):
    """Clients that all come at once, and ask once.

    Attributes:
        path: What they ask for.
        clients: How many they are.
    """

    path: str = "/wait/1"
    clients: int = 3_000

    def warm_up(self, servers: Servers, contender: str) -> None:
        """See that it answers right."""
        check(servers.get(contender), self.path)

    def measure(self, servers: Servers, contender: str, quick: bool) -> Figures:
        """Send them."""
        outcome = crowd.load(servers.get(contender).url + self.path, self.clients)
        return {**_figures(outcome), "seconds": self.clients / outcome.rate}

    def takes(self, quick: bool) -> float:
        """Return the seconds."""
        return 3.0


@dataclass(frozen=True)
class Probe(Scenario):
    """A measurement in a fresh process, without a server.

    Attributes:
        probe: Its name in `benchmarks.probe`.
        seconds: About how many seconds it takes.
        environment: Further environment variables.
    """

    probe: str = ""
    seconds: float = 1.0
    environment: tuple[tuple[str, str], ...] = field(default=ALONE)

    def warm_up(self, servers: Servers, contender: str) -> None:
        """Compile this library, as pip does where it installs one."""
        subprocess.run(COMPILE, check=True)

    def measure(self, servers: Servers, contender: str, quick: bool) -> Figures:
        """Run it."""
        command = [sys.executable, "-m", "benchmarks.probe", self.probe, contender]
        ended = subprocess.run(
            [*command, "--quick"] if quick else command,
            env={**os.environ, **dict(self.environment)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PROBE_PATIENCE,
        )
        try:
            figures: Figures = json.loads(ended.stdout)
        except ValueError:
            why = ended.stderr.strip().rpartition("\n")[2]
            raise DemoError(f"The probe {self.probe} failed: {why}") from None
        return figures

    def takes(self, quick: bool) -> float:
        """Return the seconds."""
        return self.seconds


def _figures(outcome: wrk.Outcome) -> Figures:
    if outcome.problem:
        raise RefusedError(outcome.problem)
    figures = ("rate", "mean", "p50", "p99")
    return {name: getattr(outcome, name) for name in figures}
