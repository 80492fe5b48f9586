"""Whole files, read and written for both colours.

    from tornado_unblock.shim import files

    text = files.read_text(path)             # in a worker, a script, a test
    text = await files.read_text.aio(path)   # in a coroutine

Each call is one hop, however large the file: a hop around a whole read costs a
fraction of what a hop for each piece of it does.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Union

from tornado_unblock.shim._crossing.dual import dual

__all__ = [
    "atomic_write",
    "chunks",
    "read_bytes",
    "read_text",
    "write_bytes",
    "write_text",
]

AnyPath = Union[str, "os.PathLike[str]"]

_MEBIBYTE = 1024 * 1024


@dual
def read_text(path: AnyPath, encoding: str = "utf-8", errors: str = "strict") -> str:
    """Return the text of a file.

    Raises:
        OSError: It cannot be read.
        UnicodeDecodeError: It is no text in this encoding.
    """
    return Path(path).read_text(encoding, errors)


@dual
def read_bytes(path: AnyPath) -> bytes:
    """Return the bytes of a file.

    Raises:
        OSError: It cannot be read.
    """
    return Path(path).read_bytes()


@dual
def write_text(
    path: AnyPath, text: str, encoding: str = "utf-8", *, append: bool = False
) -> int:
    """Write a text file, in place or at its end; return the number of bytes.

    Raises:
        OSError: It cannot be written.
    """
    return _write(path, text.encode(encoding), append)


@dual
def write_bytes(path: AnyPath, data: bytes, *, append: bool = False) -> int:
    """Write a file, in place or at its end; return the number of bytes.

    Raises:
        OSError: It cannot be written.
    """
    return _write(path, data, append)


def _write(path: AnyPath, data: bytes, append: bool) -> int:
    with open(path, "ab" if append else "wb") as file:
        return file.write(data)


@dual
def atomic_write(
    path: AnyPath, data: Union[str, bytes], encoding: str = "utf-8"
) -> None:
    """Replace a file as a whole: readers see the old one or the new one, never half.

    The data is on the disk before the new file takes the old one's place, and its
    permissions are those of the old file, or of any new one.

    Raises:
        OSError: It cannot be written; the old file is as it was.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(data.encode(encoding) if isinstance(data, str) else data)
            file.flush()
            os.fsync(handle)
        os.chmod(name, _mode_for(path))
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _mode_for(path: Path) -> int:
    try:
        return path.stat().st_mode & 0o7777
    except FileNotFoundError:
        # There is no way to look at the mask but to set it; other threads may make
        # files meanwhile, so it is set to what takes more away, never less.
        mask = os.umask(0o077)
        os.umask(mask)
        return 0o666 & ~mask


@dual
def chunks(path: AnyPath, size: int = _MEBIBYTE) -> Iterator[bytes]:
    """Yield a file piece by piece, for ``for`` and ``async for``.

    Args:
        path: The file.
        size: Bytes in a piece, the last one excepted; 1 MiB. In a coroutine each
            piece is a hop, so keep it large.

    Raises:
        OSError: It cannot be read.
        ValueError: ``size`` is not positive.
    """
    if size <= 0:
        raise ValueError(f"size must be positive, not {size!r}")
    with open(path, "rb") as file:
        while piece := file.read(size):
            yield piece
