"""The wheel in virtual environments that have nothing else, on every Python found.

What README.md tells a newcomer to type is typed there: install, serve, `scan`, `fix`.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DIST = os.environ.get("TORNADO_UNBLOCK_DIST")
pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(DIST is None, reason="no wheel: run the tests with make"),
]

SERVES = """
import asyncio, pydoc, threading

from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

import tornado_unblock
from tornado_unblock import unblock_application


class Where(RequestHandler):
    def get(self):
        self.write(threading.current_thread().name)


async def main():
    server = HTTPServer(unblock_application(Application([("/", Where)])))
    (socket,) = bind_sockets(0, "127.0.0.1")
    server.add_socket(socket)
    url = "http://127.0.0.1:%d/" % socket.getsockname()[1]
    print((await AsyncHTTPClient().fetch(url)).body.decode())
    server.stop()
    await server.close_all_connections()


asyncio.run(main())
assert "unblock_application(app" in pydoc.render_doc(tornado_unblock)
"""

BLOCKS = """
import subprocess

from tornado.web import Application, RequestHandler


class Slow(RequestHandler):
    def get(self):
        subprocess.run(["report"])


app = Application([("/slow", Slow)])
"""


def matrix() -> ModuleType:
    """Return tools/matrix.py, which knows where Pythons are."""
    tools = str(ROOT / "tools")
    sys.path.insert(0, tools)
    try:
        spec = importlib.util.spec_from_file_location("matrix", f"{tools}/matrix.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(tools)
    return module


def pythons() -> list[Any]:
    found = {} if DIST is None else matrix().interpreters()
    return [pytest.param(path, id=version) for version, path in found.items()]


@pytest.mark.parametrize("python", pythons())
def test_bare(python: str, child_env: dict[str, str], tmp_path: Path) -> None:
    """Two dependencies come along, a request runs on a worker, the commands work."""
    env = {name: text for name, text in child_env.items() if name != "PYTHONPATH"}

    def run(*command: str, status: int = 0) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    run(python, "-m", "venv", "bare")
    inside = str(tmp_path / "bare" / "bin" / "python")
    (wheel,) = Path(str(DIST)).glob("*.whl")
    run(inside, "-m", "pip", "--disable-pip-version-check", "install", str(wheel))
    listed = run(inside, "-m", "pip", "--disable-pip-version-check", "freeze")
    names = {line.partition("=")[0].partition(" ")[0] for line in listed.splitlines()}
    assert names == {"tornado", "tornado-unblock", "wrapt"}
    strict = ("-W", "error::DeprecationWarning:tornado_unblock")
    assert run(inside, *strict, "-c", SERVES).startswith("unblock-default-")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text(BLOCKS)
    assert "Slow" in run(inside, "-m", "tornado_unblock", "scan", "app/", status=1)
    shown = run(inside, "-m", "tornado_unblock", "fix", "app/", status=1)
    assert '+app = unblock_application(Application([("/slow", Slow)]))' in shown
