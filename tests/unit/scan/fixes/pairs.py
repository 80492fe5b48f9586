"""Texts before and after a rule, and a program that runs both and compares."""

from __future__ import annotations

import json
import textwrap
from dataclasses import replace
from typing import Any, Callable, NamedTuple

from tornado_unblock._scan.fixes import RULES, Facts


class Pair(NamedTuple):
    """A text, what a rule makes of it, and why it leaves what it leaves."""

    before: str
    after: str
    left: tuple[str, ...] = ()
    facts: Facts = Facts()


def pair(before: str, after: str = "", *left: str, **facts: Any) -> Pair:
    """Return a pair; without `after`, nothing changes."""
    before = textwrap.dedent(before).lstrip("\n")
    after = textwrap.dedent(after).lstrip("\n") or before
    return Pair(before, after, left, Facts(**facts))


def check(rule: str, given: Pair) -> None:
    """Use a rule once, and once more on what it made."""
    fix = RULES[rule]
    fixed = fix(given.before, given.facts)
    assert fixed.text == given.after
    assert len(fixed.left) == len(given.left), fixed.left
    for left, why in zip(fixed.left, given.left):
        assert why in left.why
    again = fix(fixed.text, replace(given.facts, classes=frozenset(), leaves=()))
    assert again.text == fixed.text


_PROGRAM = """
import asyncio, json, logging, sys, types, warnings
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")

def run(source, old, requests):
    from tornado_unblock.shim import legacy
    undo = legacy.install() if old else lambda: None
    module = types.ModuleType("handlers")
    exec(compile(source, "handlers", "exec"), vars(module))
    answers = asyncio.run(serve(module, requests))
    undo()
    return answers

async def serve(module, requests):
    sockets = bind_sockets(0, "127.0.0.1")
    module.PORT = sockets[0].getsockname()[1]
    server = HTTPServer(module.make_app())
    server.add_sockets(sockets)
    found = []
    for method, path in requests:
        url = "http://127.0.0.1:%d%s" % (module.PORT, path)
        body = b"" if method in ("POST", "PUT") else None
        answer = await AsyncHTTPClient().fetch(
            url, method=method, body=body, raise_error=False)
        found.append([answer.code, answer.body.decode()])
    server.stop()
    await server.close_all_connections()
    return found

given = json.load(open("given.json"))
before = run(given["before"], given["old"], given["requests"])
after = run(given["after"], False, given["requests"])
print(json.dumps([before, after]))
"""


def run_both(
    run_program: Callable[[str], str],
    folder: Any,
    given: Pair,
    requests: list[tuple[str, str]],
    old: bool = False,
) -> list[Any]:
    """Serve both texts, ask them the same, compare; return the answers.

    Args:
        run_program: The fixture.
        folder: Where programs run.
        given: The texts; each has a `make_app`.
        requests: Methods and paths.
        old: The first one needs what Tornado 6 removed.
    """
    content = {
        "before": given.before,
        "after": given.after,
        "requests": requests,
        "old": old,
    }
    (folder / "given.json").write_text(json.dumps(content))
    before, after = json.loads(run_program(_PROGRAM))
    assert before == after
    return list(after)
