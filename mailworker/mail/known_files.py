"""Files that several mails have in common: each is read, and its digest made, once."""

from __future__ import annotations

import os
import time
from collections.abc import Hashable, Mapping
from typing import Any, Final

from . import given_file
from .email import Limits
from .file import File

MOST: Final = (64, 64 * 1024 * 1024)
"""Files and octets that are remembered at a time."""
_SETTLED: Final = 2 * 10**9
"""Nanoseconds since a file was written."""

_FIELDS: Final = ("attachments", "inline")


class KnownFiles:
    """For one call with many mails: a path that is named again is not read again, unless the file is another one."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._files: dict[Hashable, tuple[File, Any]] = {}
        self._size = 0

    def looked_up(self, passed: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments, each file of theirs as one that was read. Raises as its reading does."""
        found: dict[str, Any] = {}
        for name in _FIELDS:
            files = passed.get(name)
            if isinstance(files, list | tuple):
                found[name] = [self._file(f"{name}[{at}]", item) for at, item in enumerate(files)]
            elif isinstance(files, dict):
                found[name] = {cid: self._file(f"{name}[{cid!r:.50}]", item) for cid, item in files.items()}
        return {**passed, **found}

    def _file(self, place: str, item: Any) -> File:
        key = _key(item)
        if key is None:
            return given_file.read(place, item, self._limits.mail)
        if key not in self._files:
            self._remember(key, given_file.read(place, item, self._limits.mail), item)
        return self._files[key][0]

    def _remember(self, key: Hashable, file: File, item: Any) -> None:
        self._size += len(file.content or b"")
        if len(self._files) >= MOST[0] or self._size > MOST[1]:
            self._files.clear()
            self._size = len(file.content or b"")
        self._files[key] = file, item  # the item stays, so that no other one has its id


def _key(item: Any) -> Hashable | None:
    if isinstance(item, str | os.PathLike):
        return _stamp(os.fsdecode(item))
    if isinstance(item, tuple) and len(item) in (2, 3) and isinstance(item[1], bytes):
        return (id(item[1]), item[0], *item[2:]) if all(isinstance(text, str | None) for text in item[::2]) else None
    return None


def _stamp(path: str) -> Hashable | None:
    """None for what must be read. A file that was written just now may be written again within a tick of its clock: a
    program that makes each mail's invoice under the same name would send the first one's to everybody."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    written = max(found.st_mtime_ns, found.st_ctime_ns)
    if time.time_ns() - written < _SETTLED:
        return None
    return path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
