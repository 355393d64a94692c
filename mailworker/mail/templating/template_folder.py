"""The folder of templates: which names are files of it, and what stands in them. Nothing outside it is read.

An error names no file: whoever asked knows which, and a name may have been put together of what a caller passed.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...errors import TemplateError

KINDS: Final = (".html", ".txt", ".subject")
LARGEST: Final = 4 * 1024 * 1024
_LONGEST_NAME: Final = 200

Stamp = tuple[int, int, int, int]
"""A file as it was read: device, inode, octets, time of its last change. Another one means: to be read anew."""

_known: Final[dict[str, Stamp]] = {}
"""Files that lie in their folder, by path: to follow links takes longer than to render a small template."""


@dataclass(frozen=True, slots=True)
class Source:
    """A template as it stands in its file."""

    text: str
    path: str
    stamp: Stamp


def check_name(name: str) -> str:
    """The name of a file in the folder, or in a folder of it. Raises `TemplateError`."""
    if not name or len(name) > _LONGEST_NAME or not name.isprintable() or "\\" in name or ":" in name:
        raise TemplateError("expected the name of a template, as 'welcome' or 'shop/order'")
    if name.startswith(("/", "~")) or any(part in ("", ".", "..") for part in name.split("/")):
        raise TemplateError("a name leads into MAILWORKER_TEMPLATES: no '..' in it, and no '/' or '~' before it")
    return name


def stamp(folder: str, name: str) -> Stamp | None:
    """None where there is no such file. Raises `TemplateError` for what is no file, or lies outside."""
    path = os.path.join(folder, name)
    try:
        now = _stamp(os.stat(path))
        if _known.get(path) != now:  # the same file as before is where it was
            _real(folder, path)
            _known[path] = now
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise TemplateError(error.strerror or type(error).__name__) from None
    return now


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _real(folder: str, path: str) -> str:
    """Where links lead. Raises `TemplateError`, `OSError`."""
    real = os.path.realpath(path, strict=True)
    if not Path(real).is_relative_to(os.path.realpath(folder)):
        raise TemplateError("a link that leads out of MAILWORKER_TEMPLATES")
    if not stat.S_ISREG(os.stat(real).st_mode):
        raise TemplateError("is not a file")
    return real


def read(folder: str, name: str) -> Source | None:
    """None where there is no such file. Raises `TemplateError` for what cannot be read."""
    if stamp(folder, check_name(name)) is None:
        return None
    try:
        real = _real(folder, os.path.join(folder, name))
        # Between the look and this somebody may have put a FIFO there, which would wait for ever.
        with open(os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), encoding="utf-8-sig") as file:
            found = os.fstat(file.fileno())
            if found.st_size > LARGEST:
                raise TemplateError(f"more than {LARGEST // 2**20} MiB")
            return Source(file.read(LARGEST), real, _stamp(found))
    except UnicodeDecodeError:
        raise TemplateError("is not UTF-8") from None
    except OSError as error:
        raise TemplateError(error.strerror or type(error).__name__) from None


def names(folder: str) -> set[str]:
    """What may be meant: the templates that lie in the folder itself."""
    try:
        files = os.listdir(folder)
    except OSError:
        return set()
    return {file.removesuffix(kind) for file in files for kind in KINDS if file.endswith(kind)}
