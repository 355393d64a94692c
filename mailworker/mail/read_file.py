"""Reads a file that goes with a mail. The path is the calling program's, and what is there is looked at first: a
device or a FIFO might never end, a folder is no file."""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from ..errors import Unsendable

_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_KINDS: Final = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a FIFO"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)  # fmt: skip


def read(place: str, path: str, most: int) -> bytes:
    """The octets of a regular file of up to `most`. A link is followed. Raises `Unsendable`, which names `place`."""
    try:
        descriptor = os.open(path, _FLAGS)
    except (OSError, ValueError) as error:
        raise _unreadable(place, path, error) from None
    with open(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Unsendable("bad_field", f"{place}: is {_kind(status.st_mode)} and no file: {_shown(path)}")
        if status.st_size > most:
            raise Unsendable("too_large", f"{place}: {status.st_size} octets, more than {most}: {_shown(path)}")
        return _read(place, path, file.fileno(), most)


def _read(place: str, path: str, descriptor: int, most: int) -> bytes:
    """What says that it is empty may hold something (/proc), and what grows meanwhile has an end all the same."""
    chunks, size = [], 0
    try:
        while chunk := os.read(descriptor, min(1024 * 1024, most + 1 - size)):
            chunks.append(chunk)
            size += len(chunk)
            if size > most:
                raise Unsendable("too_large", f"{place}: more than {most} octets: {_shown(path)}")
    except OSError as error:
        raise _unreadable(place, path, error) from None
    return b"".join(chunks)


def _unreadable(place: str, path: str, error: OSError | ValueError) -> Unsendable:
    if isinstance(error, ValueError):
        return Unsendable("bad_field", f"{place}: is no path of a file")
    if error.errno == errno.ENOENT:
        return Unsendable("bad_field", f"{place}: no such file: {_shown(path)}")
    if error.errno == errno.ENXIO:
        return Unsendable("bad_field", f"{place}: is a socket and no file: {_shown(path)}")
    return Unsendable("bad_field", f"{place}: cannot be read ({os.strerror(error.errno or 0)}): {_shown(path)}")


def _kind(mode: int) -> str:
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "something else")


def _shown(path: str) -> str:
    return ascii(path)[1:-1] if not path.isprintable() else path
