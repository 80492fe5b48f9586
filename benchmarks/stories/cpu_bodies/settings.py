"""What a run is asked to do, and the variants."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.harness import command
from benchmarks.harness.variant import Variant

_FOLDER = "examples.cpu_bodies.variants"
INLINE = Variant("inline", "inline", _FOLDER)
THREADS = Variant("threads", "threads (@unblock)", _FOLDER)
THREADS_EAGER = Variant("threads_eager", "threads, switch interval 0.5 ms", _FOLDER)
ONE_WORKER = Variant("one_worker", "one worker, switch interval 0.5 ms", _FOLDER)
PROCESSES = Variant("processes", "2 processes", _FOLDER)
LOKY = Variant("loky_processes", "2 processes of loky", _FOLDER, needs="loky")
VARIANTS = (INLINE, THREADS, THREADS_EAGER, ONE_WORKER, PROCESSES, LOKY)


@dataclass(frozen=True)
class Settings(command.Settings):
    """The options of a run.

    Attributes:
        seconds: How long each variant is measured.
        connections: How many clients ask for the total at once.
        body: Seconds that one core of this machine computes for it.
        variants: What is measured, in this order; the first one is compared with.
    """

    seconds: float = 20.0
    connections: int = 4
    body: float = 0.2
    variants: tuple[Variant, ...] = VARIANTS
