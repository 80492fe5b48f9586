"""`python -m tornado_unblock jobs`: workers apart from the server."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import threading
from collections.abc import Sequence
from typing import Any

from tornado_unblock._errors import UnblockError

_DESCRIPTION = """\
Run jobs until a signal comes.

SIGTERM: take no more jobs, let those that run end, then exit; after --deadline the
rest goes back to the queue. SIGINT (Ctrl-C): put what runs back, and exit.
"""


def main(argv: Sequence[str]) -> int:
    """Run workers until a signal comes; the main thread.

    Args:
        argv: The arguments, without the command's name.

    Returns:
        The exit status: 0, or 2 when the arguments make no sense.
    """
    arguments = _parser().parse_args(argv)
    logging.basicConfig(
        level=logging.DEBUG if arguments.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    if not arguments.verbose:
        logging.getLogger("pika").setLevel(logging.WARNING)  # each step of a connection
    sys.path.insert(0, "")
    try:
        app = _app(arguments.app)
        if arguments.url is not None:
            app.configure(arguments.url)
        _run(app, arguments)
    except UnblockError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m tornado_unblock jobs",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("app", help="the module that defines the jobs; with :name, the Jobs in it")
    add("--workers", type=_count, default=2, help="how many run at a time (2)")
    add(
        *("--processes",),
        action="store_true",
        help="each in a process of its own: for jobs that compute, and to end those "
        "that run longer than their timeout",
    )
    add(
        "--deadline",
        type=_seconds,
        default=30.0,
        help="seconds for jobs to end after SIGTERM (30)",
    )
    add("--url", help="where the jobs are kept; else what the module configures")
    add("--verbose", action="store_true", help="log more")
    return parser


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 on, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= threading.TIMEOUT_MAX:
        raise argparse.ArgumentTypeError(f"0 or more seconds, not {text!r}")
    return seconds


def _app(target: str) -> Any:
    from tornado_unblock import jobs

    module_name, _, name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not (module_name + ".").startswith(f"{error.name}."):
            raise  # it is there, and imports something that is not
        raise _no(
            f"there is no module {module_name!r} here, or on PYTHONPATH"
        ) from None
    if not name:
        return jobs.default
    app = getattr(module, name, None)
    if not isinstance(app, jobs.Jobs):
        raise _no(f"{module_name} has no Jobs called {name!r}, but {app!r}")
    return app


def _no(message: str) -> UnblockError:
    return UnblockError(message)


def _run(app: Any, arguments: argparse.Namespace) -> None:
    # Says so if it is not configured.
    app.engine.consume(arguments.workers, arguments.processes, arguments.deadline)
