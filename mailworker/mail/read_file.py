"""Reads a file that goes with a mail. The path is the calling program's, and what is there is looked at first: a
device or a FIFO might never end, a folder is no file."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import Final

from ..errors import Unsendable

_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CHUNK: Final = 1024 * 1024
_KINDS: Final = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a FIFO"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)  # fmt: skip


def read(place: str, path: str, check_size: Callable[[int], None]) -> bytes:
    """The octets of a regular file; `check_size` raises where they are too many. A link is followed. Raises
    `Unsendable`, which names `place`."""
    try:
        _check(place, path, os.stat(path).st_mode)  # before it is opened: to open a device may already do something
        descriptor = os.open(path, _FLAGS)
    except Unsendable:
        raise
    except (OSError, ValueError) as error:
        raise _unreadable(place, path, error) from None
    try:
        status = os.fstat(descriptor)
        _check(place, path, status.st_mode)
        check_size(status.st_size)
        return _read(place, path, descriptor, check_size)
    finally:
        os.close(descriptor)


def _check(place: str, path: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise Unsendable("bad_field", f"{place}: is {_kind(mode)} and no file: {_shown(path)}")


def _read(place: str, path: str, descriptor: int, check_size: Callable[[int], None]) -> bytes:
    """What says that it is empty may hold something (/proc), and what grows meanwhile has an end all the same."""
    chunks, size = [], 0
    try:
        while chunk := os.read(descriptor, _CHUNK):
            chunks.append(chunk)
            size += len(chunk)
            check_size(size)
    except OSError as error:
        raise _unreadable(place, path, error) from None
    return b"".join(chunks)


def _unreadable(place: str, path: str, error: OSError | ValueError) -> Unsendable:
    if isinstance(error, ValueError):
        return Unsendable("bad_field", f"{place}: is no path of a file")
    if error.errno == errno.ENOENT:
        return Unsendable("bad_field", f"{place}: no such file: {_shown(path)}")
    return Unsendable("bad_field", f"{place}: cannot be read ({os.strerror(error.errno or 0)}): {_shown(path)}")


def _kind(mode: int) -> str:
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "something else")


def _shown(path: str) -> str:
    return ascii(path)[1:-1] if not path.isprintable() else path
