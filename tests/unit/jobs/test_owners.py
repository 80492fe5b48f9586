"""Who owns a job, and whether that process lives."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tornado_unblock.jobs import owners


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()
    process.stdin.close()


def named(pid: int, started: str = "") -> str:
    boot, namespace, *_ = owners.own_name().split(":")
    return f"{boot}:{namespace}:{pid}:{started or owners._started(pid)}"


def test_this_process_lives():
    """A process knows itself alive, and of this boot."""
    assert owners.is_alive(owners.own_name())
    assert not owners.is_of_another_boot(owners.own_name())


def test_a_zombie_is_dead(child):
    """Killed is dead, also while nobody has asked for its status."""
    name = named(child.pid)
    assert owners.is_alive(name)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert owners.is_alive(name) is False
    child.wait()
    assert owners.is_alive(name) is False


def test_a_process_id_that_came_back_is_another():
    """The same id with another start is another process."""
    assert owners.is_alive(named(os.getpid(), "1")) is False


def test_other_machines_are_unknown():
    """Of another boot, or another process table, nothing can be said here."""
    boot, namespace, pid, started = owners.own_name().split(":")
    assert owners.is_alive(f"other:{namespace}:{pid}:{started}") is None
    assert owners.is_alive(f"{boot}:other:{pid}:{started}") is None
    assert owners.is_of_another_boot(f"other:{namespace}:{pid}:{started}")


def test_without_proc(monkeypatch, tmp_path, child):
    """Where there is no /proc, the process id has to do."""
    monkeypatch.setattr(owners, "_PROC", tmp_path)
    name = owners.own_name()
    boot, namespace, pid, started = name.split(":")
    assert (namespace, pid, started) == ("-", str(os.getpid()), "-")
    assert owners.is_alive(name)
    gone = f"{boot}:-:{child.pid}:-"
    assert owners.is_alive(gone)
    child.kill()
    child.wait()
    assert owners.is_alive(gone) is False


def test_a_process_of_somebody_else_lives(monkeypatch):
    """Not to be allowed to signal it means that it is there."""

    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert owners._answers(1)
