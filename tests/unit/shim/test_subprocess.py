"""`shim.subprocess`, compared with the standard library's over one table of calls."""

from __future__ import annotations

import asyncio
import functools
import os
import subprocess as original
from typing import Any

import pytest

from tests.patience import WAIT
from tests.unit.shim.conftest import in_coroutine, in_worker
from tornado_unblock import LoopThreadError, run_in_executor
from tornado_unblock.shim import subprocess

PIPE = original.PIPE


def shell(code: str) -> list[str]:
    return ["sh", "-c", code]


ECHO = ["cat"]
BOTH = shell("echo out; echo err >&2")
FAIL = shell("echo out; echo err >&2; exit 3")
LINES = shell(r"printf 'a\r\nb\n\366'")
CASES = [
    ("run", (BOTH,), {"stdout": PIPE, "stderr": PIPE}),
    ("run", (BOTH,), {"capture_output": True, "text": True}),
    ("run", (BOTH,), {"stdout": PIPE, "stderr": original.STDOUT}),
    ("run", (BOTH,), {"stdout": original.DEVNULL, "stderr": original.DEVNULL}),
    ("run", (), {"args": BOTH, "capture_output": True}),
    ("run", (tuple(BOTH),), {"capture_output": True}),
    ("run", (ECHO,), {"input": b"a\r\nb", "stdout": PIPE}),
    ("run", (ECHO,), {"input": "ä\nb", "stdout": PIPE, "text": True}),
    ("run", (ECHO,), {"input": "ä", "stdout": PIPE, "encoding": "utf-16"}),
    ("run", (ECHO,), {"input": "x", "stdout": PIPE, "universal_newlines": True}),
    ("run", (ECHO,), {"stdin": original.DEVNULL, "stdout": PIPE}),
    ("run", (ECHO,), {"input": b"x" * 1_000_000, "stdout": PIPE}),
    ("run", (LINES,), {"stdout": PIPE, "encoding": "latin1"}),
    ("run", (LINES,), {"stdout": PIPE, "encoding": "ascii", "errors": "replace"}),
    ("run", (LINES,), {"stdout": PIPE, "encoding": "ascii"}),
    ("run", (FAIL,), {"capture_output": True}),
    ("run", (FAIL,), {"capture_output": True, "check": True, "text": True}),
    ("run", ("echo $A; exit 4",), {"shell": True, "env": {"A": "1"}, "stdout": PIPE}),
    ("run", (["echo $0 $1", "a", "b"],), {"shell": True, "stdout": PIPE}),
    ("run", ("pwd",), {"cwd": "/", "stdout": PIPE, "text": True}),
    ("run", ("no-such-command-here",), {}),
    ("run", (["pwd"],), {"cwd": "/no/such/folder"}),
    ("run", (ECHO,), {"input": b"", "stdin": PIPE}),
    ("run", (ECHO,), {"capture_output": True, "stdout": PIPE}),
    ("run", (["sleep", "600"],), {"timeout": 0.05}),
    ("run", (shell("kill -15 $$"),), {"timeout": 60}),
    ("call", (FAIL,), {"stdout": original.DEVNULL, "stderr": original.DEVNULL}),
    ("check_call", (BOTH,), {"stdout": original.DEVNULL, "stderr": original.DEVNULL}),
    ("check_call", (FAIL,), {"stdout": original.DEVNULL, "stderr": original.DEVNULL}),
    ("check_output", (BOTH,), {"stderr": original.STDOUT, "text": True}),
    ("check_output", (FAIL,), {"stderr": PIPE}),
    ("check_output", (ECHO,), {"input": b"abc"}),
    ("check_output", (ECHO,), {"stdout": PIPE}),
    ("check_output", (b"pwd",), {"cwd": b"/"}),
]


def facts(fn: Any) -> Any:
    """Return all that can be told of an outcome."""
    try:
        result = fn()
    except original.SubprocessError as error:
        # Not its message: of a timeout it names the time that was left.
        names = ("cmd", "returncode", "output", "stderr", "filename")
        return type(error), [getattr(error, name, None) for name in names]
    except Exception as error:
        return type(error), str(error), getattr(error, "filename", None)
    if isinstance(result, original.CompletedProcess):
        return result.args, result.returncode, result.stdout, result.stderr
    return result


@pytest.mark.parametrize(
    ("name", "args", "options"), CASES, ids=[str(n) for n in range(len(CASES))]
)
def test_as_the_original(name, args, options):
    """Result or error are the same, in sync use and awaited."""
    expected = facts(lambda: getattr(original, name)(*args, **options))
    mine = getattr(subprocess, name)
    assert facts(lambda: in_worker(lambda: mine(*args, **options))) == expected
    assert facts(lambda: in_coroutine(lambda: mine.aio(*args, **options))) == expected


def test_output_before_a_timeout():
    """What was written by then is told."""
    code = shell("echo out; exec sleep 600")

    async def main() -> Any:
        reader = functools.partial(subprocess.run.aio, code, stdout=PIPE)
        # However slow the machine is: long enough for one line, some time.
        for timeout in (0.2, 1, 5, 20):
            with pytest.raises(original.TimeoutExpired) as caught:
                await reader(timeout=timeout)
            if caught.value.output:
                return caught.value.output
        raise AssertionError

    assert in_coroutine(main) == b"out\n"


def test_cancelled(tmp_path):
    """The process is killed and reaped before the cancellation goes on."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # It says its number once it has its input, so it is being waited for by then.
    code = shell(f"read line; echo $$ > '{fifo}'; exec sleep 600")

    async def main() -> int:
        task = asyncio.ensure_future(subprocess.run.aio(code, input=b"go\n"))
        pid = int(await run_in_executor(fifo.read_text))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return pid

    pid = in_coroutine(main)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_popen():
    """A process by hand, in both colours."""

    def body() -> Any:
        with subprocess.Popen(ECHO, stdin=PIPE, stdout=PIPE) as process:
            out, _ = process.communicate(b"abc", timeout=WAIT)
            return out, process.wait(timeout=WAIT)

    async def main() -> Any:
        process = subprocess.Popen(ECHO, stdin=PIPE, stdout=PIPE)
        out, _ = await process.communicate.aio(b"abc")
        return out, await process.wait.aio()

    assert in_worker(body) == in_coroutine(main) == (b"abc", 0)


def test_refused():
    """What would stall the loop, and what is not covered."""

    async def main() -> None:
        with pytest.raises(LoopThreadError, match=r"await run\.aio"):
            subprocess.run(BOTH)
        with pytest.raises(TypeError):
            await subprocess.run.aio(ECHO, input=b"no text", text=True)
        with pytest.raises(NotImplementedError, match="by name"):
            await subprocess.run.aio(BOTH, -1)
        with pytest.raises(NotImplementedError, match="without bufsize="):
            await subprocess.run.aio(BOTH, bufsize=10)

    in_coroutine(main)


def test_all_else():
    """Every other name is the standard library's."""
    assert subprocess.PIPE is original.PIPE
    assert subprocess.CalledProcessError is original.CalledProcessError
    assert subprocess.getoutput is original.getoutput
    assert issubclass(subprocess.Popen, original.Popen)
    with pytest.raises(AttributeError, match="nothing"):
        _ = subprocess.nothing
