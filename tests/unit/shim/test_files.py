"""`shim.files`: whole files in both colours."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.unit.shim.conftest import in_coroutine
from tornado_unblock.shim import files

both = pytest.mark.parametrize("colour", ["sync", "async"])


def call(colour: str, fn: Any, *args: Any, **kwargs: Any) -> Any:
    if colour == "sync":
        return fn(*args, **kwargs)
    return in_coroutine(lambda: fn.aio(*args, **kwargs))


@both
def test_text(colour, tmp_path):
    """What is written is read, in any encoding."""
    path = tmp_path / "text"
    assert call(colour, files.write_text, path, "größer\n", "latin1") == 7
    assert path.read_bytes() == "größer\n".encode("latin1")
    assert call(colour, files.read_text, str(path), "latin1") == "größer\n"
    with pytest.raises(UnicodeDecodeError):
        call(colour, files.read_text, path)
    assert call(colour, files.read_text, path, errors="ignore") == "grer\n"


@both
def test_bytes(colour, tmp_path):
    """Bytes are as they are; at the end of what is there if asked."""
    path = tmp_path / "bytes"
    assert call(colour, files.write_bytes, path, b"ab\r\n") == 4
    assert call(colour, files.write_bytes, path, b"c", append=True) == 1
    assert call(colour, files.write_text, path, "d", append=True) == 1
    assert call(colour, files.read_bytes, path) == b"ab\r\ncd"


@both
@pytest.mark.parametrize("fn", [files.read_text, files.read_bytes])
def test_a_missing_file(colour, fn, tmp_path):
    """The error is the system's."""
    with pytest.raises(FileNotFoundError):
        call(colour, fn, tmp_path / "missing")


@both
@pytest.mark.parametrize("data", ["größer", "größer".encode()])
def test_atomic_write(colour, data, tmp_path):
    """The new file has the permissions of the old one; nothing else is left."""
    path = tmp_path / "file"
    call(colour, files.atomic_write, path, data)
    assert path.read_text("utf-8") == "größer"
    usual = tmp_path / "usual"
    usual.touch()
    assert path.stat().st_mode == usual.stat().st_mode
    usual.unlink()
    path.chmod(0o640)
    call(colour, files.atomic_write, path, "b", encoding="utf-16")
    assert path.read_text("utf-16") == "b"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["file"]


@both
def test_an_atomic_write_that_fails(colour, tmp_path, monkeypatch):
    """The old file is as it was, and there is no half of a new one."""
    path = tmp_path / "file"
    path.write_text("old")

    def refuse(*args: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="disk full"):
        call(colour, files.atomic_write, path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(("size", "pieces"), [(4, [4, 4, 2]), (10, [10]), (99, [10])])
def test_chunks(size, pieces, tmp_path):
    """Pieces of that size, for `for` and `async for`, and none of an empty file."""
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")

    async def read(of: Path) -> list[bytes]:
        return [piece async for piece in files.chunks(of, size)]

    found = list(files.chunks(path, size))
    assert [len(piece) for piece in found] == pieces
    assert b"".join(found) == b"0123456789"
    assert in_coroutine(lambda: read(path)) == found
    path.write_bytes(b"")
    assert list(files.chunks(path)) == []


def test_leaving_early(tmp_path):
    """The file is closed, in the worker that read it (a warning would fail this)."""
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")

    async def read() -> None:
        rows = files.chunks.aio(path, 2)
        async for _ in rows:
            break
        await rows.aclose()

    in_coroutine(read)
    for _ in files.chunks(path, 2):
        break


@pytest.mark.parametrize("size", [0, -1])
def test_misuse(size, tmp_path):
    """A size that yields nothing for ever is refused."""
    with pytest.raises(ValueError, match="must be positive"):
        list(files.chunks(tmp_path / "file", size))


def test_one_hop(tmp_path):
    """A whole file is one job of a worker."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100_000)
    assert len(in_coroutine(lambda: files.read_bytes.aio(path))) == 100_000
    assert threading.active_count() <= 2
