"""Samples made by hand."""

from __future__ import annotations

import os
import sqlite3
from typing import Any, Optional

import requests
import tornado.web

from tornado_unblock._stalls.frames import Sample, Step
from tornado_unblock._stalls.owner import Owner, mark_of

STDLIB = os.path.dirname(os.__file__)
SITE = os.path.dirname(os.path.dirname(requests.__file__))
TORNADO = os.path.dirname(tornado.web.__file__)
OWN = "/srv/shop/orders.py"

assert sqlite3.__file__.startswith(STDLIB)


def step(file: str, name: str = "f", line: int = 1, coroutine: bool = False) -> Step:
    return Step(file, line, name, name, coroutine)


def library(package: str, name: str = "f") -> Step:
    """A frame of a package: of the standard library if that has it."""
    for root in (STDLIB, SITE):
        for path in (f"{root}/{package}.py", f"{root}/{package}/__init__.py"):
            if os.path.exists(path):
                return step(path, name)
    return step(f"{SITE}/{package}/__init__.py", name)


def sample(
    *steps: Step,
    called: tuple[str, ...] = (),
    owner: Optional[Owner] = None,
    serving: bool = False,
    task: str = "",
    work: int = 1,
) -> Sample:
    return Sample(steps, 0, owner, serving, task, work, called)


class Request:
    method = "GET"
    path = "/orders/7"
    headers: dict[str, str] = {}
    _start_time = 0.0


class Orders(tornado.web.RequestHandler):
    def get(self) -> None:
        """Is only named."""


class Delegate:
    """What makes an `Owner`."""

    def __init__(self, handler_class: Any = Orders, application: Any = None) -> None:
        self.request: Any = Request()
        self.application = application
        self.handler_class = handler_class


def owner(delegate: Any = None) -> Owner:
    return Owner(mark_of(delegate or Delegate()))
