"""`subprocess`, with `run` and its relatives for both colours.

    from tornado_unblock.shim import subprocess    # instead of: import subprocess

    done = subprocess.run(["git", "log"], capture_output=True, text=True)
    done = await subprocess.run.aio(["git", "log"], capture_output=True, text=True)

Awaited, a process runs beside the loop and holds no worker; when whoever awaits it is
cancelled, it is killed and reaped. `Popen` has `wait` and `communicate` for both
colours, in a worker. All else is the standard library's.
"""

from __future__ import annotations

import asyncio
import io
import subprocess as _subprocess
from typing import IO, Any, Optional, Union

from tornado_unblock.shim._crossing.dual import dual, pair

_TEXT = ("text", "universal_newlines", "encoding", "errors")
_PIPE = _subprocess.PIPE


async def _run_aio(
    *popenargs: Any,
    input: Optional[Union[str, bytes]] = None,
    capture_output: bool = False,
    timeout: Optional[float] = None,
    check: bool = False,
    **options: Any,
) -> _subprocess.CompletedProcess[Any]:
    args, options = _arguments(popenargs, options)
    if input is not None and "stdin" in options:
        raise ValueError("stdin and input arguments may not both be used.")
    if capture_output and ("stdout" in options or "stderr" in options):
        raise ValueError(
            "stdout and stderr arguments may not be used with capture_output."
        )
    if input is not None:
        options["stdin"] = _PIPE
    if capture_output:
        options["stdout"] = options["stderr"] = _PIPE
    text = _Text(options)
    data = text.encode(input)
    process = await _start(args, options)
    stdout, stderr, late = await _finish(process, data, timeout)
    if late:
        assert timeout is not None
        raise _subprocess.TimeoutExpired(args, timeout, stdout, stderr)
    assert process.returncode is not None
    done = _subprocess.CompletedProcess(
        args, process.returncode, text.decode(stdout), text.decode(stderr)
    )
    if check:
        done.check_returncode()
    return done


def _arguments(
    popenargs: tuple[Any, ...], options: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    if len(popenargs) > 1:
        raise NotImplementedError(
            "run.aio(...) takes what comes after the command by name: bufsize=..., "
            "executable=... and so on"
        )
    args = popenargs[0] if popenargs else options.pop("args")
    options = {name: value for name, value in options.items() if value is not None}
    for name in ("bufsize", "pipesize", "process_group"):
        if options.pop(name, -1) != -1:
            raise NotImplementedError(f"run.aio(...) does without {name}=")
    return args, options


class _Text:
    """Whether output is text, and in which encoding."""

    def __init__(self, options: dict[str, Any]) -> None:
        given = {name: options.pop(name, None) for name in _TEXT}
        self._is_text = any(given.values())
        self._encoding, self._errors = given["encoding"], given["errors"]

    def encode(self, data: Optional[Union[str, bytes]]) -> Optional[bytes]:
        if not self._is_text or data is None:
            return data  # type: ignore[return-value]
        raw = io.BytesIO()
        with self._wrap(raw) as file:
            file.write(data)  # type: ignore[arg-type]
            file.flush()
            return raw.getvalue()

    def decode(self, data: Optional[bytes]) -> Optional[Union[str, bytes]]:
        if not self._is_text or data is None:
            return data
        with self._wrap(io.BytesIO(data)) as file:
            return file.read()

    def _wrap(self, raw: io.BytesIO) -> IO[str]:
        # As the standard library does: its line ends, its default encoding.
        return io.TextIOWrapper(raw, self._encoding, self._errors)


async def _start(args: Any, options: dict[str, Any]) -> asyncio.subprocess.Process:
    words = args if isinstance(args, (list, tuple)) else [args]
    if options.pop("shell", False):
        words = [options.pop("executable", "/bin/sh"), "-c", *words]
    return await asyncio.create_subprocess_exec(*words, **options)


async def _finish(
    process: asyncio.subprocess.Process, data: Optional[bytes], timeout: Optional[float]
) -> tuple[Optional[bytes], Optional[bytes], bool]:
    """Return what the process wrote, and whether it had to be killed."""
    talk = asyncio.ensure_future(process.communicate(data))
    try:
        await asyncio.wait((talk,), timeout=timeout)
        late = not talk.done()
    except BaseException:
        await _kill(process, talk)
        raise
    if late:
        await _kill(process, talk)
    return (*talk.result(), late)


async def _kill(process: asyncio.subprocess.Process, talk: asyncio.Future[Any]) -> None:
    if process.returncode is None:  # pragma: no branch - it may just have ended
        process.kill()
    await asyncio.wait((talk,))


async def _call_aio(*popenargs: Any, **options: Any) -> int:
    return (await _run_aio(*popenargs, **options)).returncode


async def _check_call_aio(*popenargs: Any, **options: Any) -> int:
    return (await _run_aio(*popenargs, check=True, **options)).returncode


async def _check_output_aio(*popenargs: Any, **options: Any) -> Any:
    if "stdout" in options:
        raise ValueError("stdout argument not allowed, it will be overridden.")
    done = await _run_aio(*popenargs, stdout=_PIPE, check=True, **options)
    return done.stdout


_run: Any = _subprocess.run
run = pair(_run, _run_aio)
"""Run a command to its end; see `subprocess.run`."""

call = pair(_subprocess.call, _call_aio)
"""Run a command and return its exit status; see `subprocess.call`."""

check_call = pair(_subprocess.check_call, _check_call_aio)
"""Run a command that must succeed; see `subprocess.check_call`."""

check_output = pair(_subprocess.check_output, _check_output_aio)
"""Run a command that must succeed, and return its output."""


class Popen(_subprocess.Popen[Any]):
    """A process; `wait` and `communicate` have ``.aio``, which takes a worker."""

    # What it overrides is a plain method; this one can be called as that.
    @dual
    def wait(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, timeout: Optional[float] = None
    ) -> int:
        """Wait for the process to end, and return its exit status."""
        return super().wait(timeout)

    @dual
    def communicate(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        input: Optional[Any] = None,
        timeout: Optional[float] = None,
    ) -> tuple[Any, Any]:
        """Send input, read all output, wait; return stdout and stderr."""
        return super().communicate(input, timeout)


def __getattr__(name: str) -> Any:
    return getattr(_subprocess, name)
