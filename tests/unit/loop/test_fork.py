"""What happens in a forked child: the order of the steps, and who registers them."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest

import tornado_unblock
from tornado_unblock._loop import fork
from tornado_unblock._loop.fork import Step, at_fork

PACKAGE = Path(tornado_unblock.__file__).parent

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork")


@pytest.fixture
def alone(monkeypatch):
    """The list of what is done is empty, for this test."""
    monkeypatch.setattr(fork, "_registered", [])


def in_child(act):
    """Fork, and return what ``act`` returns in the child, a text."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(write, act().encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read) as pipe:
        text = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    return text


@forks
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_order(alone):
    """Steps are taken in their order, whatever the order of registration."""
    done = []
    for step in sorted(Step, reverse=True):
        at_fork(
            step,
            lambda step=step: done.append(f"child {step}"),
            before=lambda step=step: done.append(f"before {step}"),
            in_parent=lambda step=step: done.append(f"parent {step}"),
        )
    seen = in_child(lambda: "\n".join(done)).split("\n")
    before = [f"before {step}" for step in sorted(Step, reverse=True)]
    assert seen == [*before, *(f"child {step}" for step in sorted(Step))]
    assert done == [*before, *(f"parent {step}" for step in sorted(Step))]


@forks
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_step_that_fails(alone, monkeypatch):
    """The steps after one that fails are taken all the same, and the error is shown."""
    done = []
    monkeypatch.setattr(
        sys, "unraisablehook", lambda raised: done.append(raised.exc_type.__name__)
    )
    at_fork(Step.CALLS, lambda: done.append("calls"))
    at_fork(Step.LOOPS, lambda: 1 / 0)
    assert in_child(lambda: ",".join(done)) == "calls,ZeroDivisionError"


@forks
def test_every_step_is_registered(run_program):
    """All there is to do is registered once everything is imported, and in order."""
    printed = run_program(
        """
        import importlib
        import pkgutil

        import tornado_unblock
        from tornado_unblock._loop import fork

        for module in pkgutil.walk_packages(
            tornado_unblock.__path__, "tornado_unblock."
        ):
            if module.name.endswith("__main__"):
                continue
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:
                if error.name != "dramatiq":  # it needs Python 3.10
                    raise
        print(*(acts.step.name for acts in fork._registered))
        """
    )
    names = printed.split()
    assert list(dict.fromkeys(names)) == [step.name for step in Step]


def test_nobody_else_listens_for_forks():
    """No module but `_loop.fork` asks Python to be told of forks."""
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "register_at_fork"
    }
    assert users == {"_loop/fork.py"}
