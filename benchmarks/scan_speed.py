"""How long a scan takes: `python -m benchmarks.scan_speed [FILES]`.

Generates a code base and scans it: packages of handlers, services, DAOs and models
that import each other, with base classes three deep, decorators and lazy imports. Each
file is about 200 lines. Runs in one process and one thread.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tornado_unblock._scan.scan import scan

FILES = 1500
FILES_OF_PACKAGE = 10

_BASE = """
import functools

import tornado.web

from core.db import Database


class Base(tornado.web.RequestHandler):
    def initialize(self):
        self.db = Database()

    def get_current_user(self):
        return self.db.query("SELECT 1")


class Json(Base):
    def reply(self, value):
        self.write(value)


class Member(Json):
    def prepare(self):
        self.member = self.current_user


def checked(method):
    @functools.wraps(method)
    def wrapper(self, *args):
        self.db.query("SELECT 2")
        return method(self, *args)

    return wrapper
"""
_DB = """
import pymysql


class Database:
    def __init__(self):
        self.connection = pymysql.connect()

    def query(self, sql):
        cursor = self.connection.cursor()
        cursor.execute(sql)
        return cursor.fetchall()
"""
_FILLER = """
    def helper_{n}(self, value):
        found = []
        for part in value.split(","):
            name, _, text = part.partition("=")
            if name in self.known and text:
                found.append((name.strip(), text.strip().lower()))
        return dict(found)
"""
_HANDLERS = """
import json

import requests

from core.base import Member, checked
from p{package}.service_{file} import Service{file}


class Handler{package}x{file}(Member):
    known = ("a", "b")

    def initialize(self):
        super().initialize()
        self.service = Service{file}(self.db)

    @checked
    def get(self, key):
        from p{package} import service_{file} as late

        rows = self.service.load(key)
        self.reply({{"rows": rows, "late": late.constant(key)}})

    def post(self, key):
        self.service.store(key, self.helper_1(json.loads(self.request.body)))
        requests.post("http://hook/", json={{"key": key}})
{filler}

routes = [(r"/p{package}/h{file}/(.*)", Handler{package}x{file})]
"""
_SERVICE = """
import time


class Service{file}:
    def __init__(self, db):
        self.db = db
        self.known = set()

    def load(self, key):
        return self.db.query("SELECT %s" % key)

    def store(self, key, value):
        for _ in range(3):
            time.sleep(0.1)
            self.db.query("INSERT")
{filler}

def constant(key):
    return len(key)
"""


def generate(folder: Path, files: int) -> None:
    """Write a code base of about so many files."""
    filler = "".join(_FILLER.format(n=n) for n in range(20))
    written = {"core/__init__.py": "", "core/base.py": _BASE, "core/db.py": _DB}
    package = 0
    while len(written) < files:
        written[f"p{package}/__init__.py"] = ""
        for file in range(FILES_OF_PACKAGE // 2):
            parts = {"package": package, "file": file, "filler": filler}
            written[f"p{package}/handlers_{file}.py"] = _HANDLERS.format(**parts)
            written[f"p{package}/service_{file}.py"] = _SERVICE.format(**parts)
        package += 1
    for name, text in written.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def main() -> None:
    """Generate, scan, and tell how long that took."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else FILES
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder), files)
        lines = sum(p.read_text().count("\n") for p in Path(folder).rglob("*.py"))
        begun = time.perf_counter()
        report = scan([Path(folder)])
        took = time.perf_counter() - begun
    print(
        f"{report.files} files, {lines} lines, {len(report.handlers)} handlers, "
        f"{len(report.findings)} findings: {took:.1f} s"
    )


if __name__ == "__main__":
    main()
