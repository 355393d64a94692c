"""Which machine this is, and whether a process of it is gone: a proof from the kernel, or nothing.

A host's name proves nothing: cloned images share it, and compose files set it. Nor does a process-id name space alone:
the initial one has the same inode on every Linux machine. The boot id is another one on each machine and each boot.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
_STATE, _STARTED = 0, 19
"""Places in /proc/<process>/stat behind the name: proc(5) counts them as 3 and 22."""


@dataclass(frozen=True, slots=True)
class Member:
    """A process and when it started, in ticks since the boot; an id alone is used again. `started` is '' if unknown."""

    process: int
    started: str


def space(proc: Path = PROC) -> str:
    """Equal for two processes where process ids mean the same to both, and only there; '' where nobody can tell."""
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", "")
        # Start times are told relative to the time name space.
        spaces = [str((proc / "self/ns" / kind).stat().st_ino) for kind in ("pid", "time") if _has(proc, kind)]
    except OSError:
        return ""
    return ".".join([boot[:16], *spaces]) if boot and spaces else ""


def _has(proc: Path, kind: str) -> bool:
    return kind == "pid" or (proc / "self/ns" / kind).exists()


def itself(proc: Path = PROC) -> Member:
    """This process."""
    return Member(os.getpid(), started(os.getpid(), proc))


def started(process: int, proc: Path = PROC) -> str:
    """'' where it cannot be read."""
    if not _ours(proc):
        return ""
    fields = _stat(process, proc)
    return fields[_STARTED] if fields else ""


def gone(member: Member, proc: Path = PROC) -> bool:
    """True where the kernel says so: no such process, a zombie, or another one with the same id.

    Only to be asked about a process of this very `space`. A process that may not be looked at (another user's, or
    hidden by `hidepid`) is not gone.
    """
    try:
        os.kill(member.process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    if not _ours(proc):
        return False
    fields = _stat(member.process, proc)
    if not fields:
        return False
    return fields[_STATE] in ("Z", "X") or bool(member.started and fields[_STARTED] != member.started)


def _ours(proc: Path) -> bool:
    """Does this /proc show our name space? After `unshare --pid` without a new mount it shows the one above."""
    try:
        return os.readlink(proc / "self") == str(os.getpid())
    except OSError:
        return False


def _stat(process: int, proc: Path) -> list[str]:
    try:
        text = (proc / str(process) / "stat").read_text("ascii", "replace")
    except OSError:
        return []
    fields = text.rpartition(")")[2].split()  # the name, in brackets, may hold anything
    return fields if len(fields) > _STARTED else []
