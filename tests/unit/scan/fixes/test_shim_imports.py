"""`shim-imports`: facades in the place of what they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest

from tests.unit.scan.fixes.pairs import check, pair, run_both
from tornado_unblock._scan.fixes.shim_imports import FACADES

RUNS = pair(
    """
    import subprocess
    import sys
    import time, json  # two

    import tornado.web
    from tornado_unblock import unblock

    class A(tornado.web.RequestHandler):
        @unblock
        def get(self):
            out = subprocess.check_output([sys.executable, "-c", "print(1)"])
            time.sleep(0)
            begun = time.time() > 0
            self.write(json.dumps([out.decode().strip(), begun, subprocess.PIPE]))

    def make_app():
        return tornado.web.Application([("/", A)])
    """.replace("time.sleep(0)", "time.sleep(0)"),
    """
    from tornado_unblock.shim import subprocess
    import sys
    import json
    from tornado_unblock.shim import time  # two

    import tornado.web
    from tornado_unblock import unblock

    class A(tornado.web.RequestHandler):
        @unblock
        def get(self):
            out = subprocess.check_output([sys.executable, "-c", "print(1)"])
            time.sleep(0)
            begun = time.time() > 0
            self.write(json.dumps([out.decode().strip(), begun, subprocess.PIPE]))

    def make_app():
        return tornado.web.Application([("/", A)])
    """,
)
PAIRS = {
    "runs": RUNS,
    "names": pair(
        "from requests import (\n    get,  #\n    put as p,\n)\n",
        "from tornado_unblock.shim.requests import (\n    get,  #\n    put as p,\n)\n",
    ),
    "as": pair("import redis as r\n", "from tornado_unblock.shim import redis as r\n"),
    "inside": pair(
        "def f():\n    import os, smtplib\n",
        "def f():\n    import os\n    from tornado_unblock.shim import smtplib\n",
    ),
    "a module inside": pair(
        "import requests.adapters\n", "", "a module inside requests"
    ),
    "given back below": pair(
        "import requests, redis\nimport requests.adapters\n",
        "import requests\nfrom tornado_unblock.shim import redis\n"
        "import requests.adapters\n",
        "import requests.adapters in line 2 gives its name to the package again",
        "a module inside requests",
    ),
    "given back in the same line": pair(
        "import redis, redis.client\n", "", "in line 1 gives", "a module inside"
    ),
    "given back by what stays": pair(
        "import time\nimport time; x = 1\n", "", "line 2 gives", "more than one"
    ),
    "not given back": pair(
        "import redis.client\nimport redis\nimport redis.lock as k\n"
        "def f():\n    import redis.commands\n",
        "import redis.client\nfrom tornado_unblock.shim import redis\n"
        "import redis.lock as k\ndef f():\n    import redis.commands\n",
        *["a module inside redis"] * 3,
    ),
    "names of a module inside": pair(
        "from requests.adapters import HTTPAdapter\n", "", "not only names of requests"
    ),
    "star": pair("from subprocess import *\n", "", "not only names"),
    "with others on the line": pair("import time; x = 1\n", "", "more than one"),
    "after others on the line": pair("x = 1; import time\n", "", "more than one"),
    "not on workers": pair("import time\nimport redis\n", on_workers=frozenset()),
    "a name of it, not on workers": pair(
        "from time import sleep\n", on_workers=frozenset()
    ),
    "relative": pair("from .requests import get\nfrom . import redis\n"),
    "others": pair("import os\nfrom json import loads\n"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_pair(name: str) -> None:
    """Imports change where a facade stands for all of them."""
    check("shim-imports", PAIRS[name])


def test_on_the_loop() -> None:
    """What is called on the loop thread is left alone, and told each time."""
    from tornado_unblock._scan.fixes import RULES, Facts

    text = "import time\nimport redis\n"
    facts = Facts(on_loop=frozenset({"time"}))
    fixed = RULES["shim-imports"](text, facts)
    assert fixed.text == "import time\nfrom tornado_unblock.shim import redis\n"
    assert "loop thread" in fixed.left[0].why


@pytest.mark.parametrize("name", FACADES)
def test_facades(name: str) -> None:
    """Each passes on what it does not have itself, so that imports are all there is."""
    import importlib

    facade = importlib.import_module(f"tornado_unblock.shim.{name}")
    original = importlib.import_module(name)
    for attribute in dir(original):
        if not attribute.startswith("_"):
            assert hasattr(facade, attribute)


def test_runs(run_program: Callable[[str], str], tmp_path: Path) -> None:
    """Both answer the same."""
    requests: list[Any] = [("GET", "/")]
    ((code, body),) = run_both(run_program, tmp_path, RUNS, requests)
    assert (code, body) == (200, '["1", true, -1]')
