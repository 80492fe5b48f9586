"""Frames of other threads, and interpreters without a lock."""

from __future__ import annotations

import threading

from tests.patience import WAIT
from tests.unit.gates import Gate
from tornado_unblock._loop import frames
from tornado_unblock._loop.frames import frame_of


def test_a_thread_that_runs(gate: Gate) -> None:
    """It is seen where it is."""
    thread = threading.Thread(target=gate.hold)
    thread.start()
    assert gate.wait()
    frame = frame_of(thread.ident)
    names = []
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    assert "hold" in names
    gate.open.set()
    thread.join(WAIT)


def test_a_thread_that_is_not_there() -> None:
    """There is no frame of it."""
    assert frame_of(None) is None
    assert frame_of(0) is None


def test_without_an_interpreter_lock(monkeypatch) -> None:
    """Nothing is looked at: the thread would change its frames meanwhile."""
    monkeypatch.setattr(frames, "_has_lock", lambda: False)
    assert frame_of(threading.get_ident()) is None
