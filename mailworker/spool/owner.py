"""The names of owners: `host:space:process:start-random` for a worker, and `…/process.start.slot` below it.

The host is for people. `space`, the process and its start are what a proof of its death needs; see `machine`.
"""

from __future__ import annotations

import secrets
from typing import Final

from . import machine
from .machine import Member

BEAT_SECONDS: Final = 1.0
"""Who is alive says so as often."""

SILENT_SECONDS: Final = 20.0
"""An owner that has no beat for so long, as somebody sees it whose own beats go on, is taken to be gone."""


def name_worker(host: str) -> str:
    """For the process that calls."""
    member = machine.itself()
    safe = host.replace("/", "_").replace(":", "_")
    return f"{safe}:{machine.space()}:{member.process}:{member.started}-{secrets.token_hex(3)}"


def name_slot(worker: str, number: int) -> str:
    """For the process that calls: a pool child, or the worker itself."""
    member = machine.itself()
    return f"{worker}/{member.process}.{member.started}.{number}"


def worker_of(owner: str) -> str:
    """The worker that an owner belongs to; a worker's main process is an owner itself."""
    return owner.partition("/")[0]


def space_of(owner: str) -> str:
    """'' where the name says nothing of it."""
    parts = worker_of(owner).split(":")
    return parts[-3] if len(parts) >= 4 else ""


def member_of(owner: str) -> Member | None:
    """The process that works under this name. None for a name that was not made here, or by an earlier version."""
    worker, _, slot = owner.partition("/")
    process, start = [*slot.split("."), ""][:2] if slot else _of_worker(worker)
    if not process.isdecimal():
        return None
    return Member(int(process), start if start.isdecimal() else "")


def _of_worker(worker: str) -> tuple[str, str]:
    parts = worker.split(":")
    return (parts[-2], parts[-1].partition("-")[0]) if len(parts) >= 4 else ("", "")


def gone(owner: str, space: str) -> bool:
    """Is it proven, for somebody in this `space`, that the process of this owner is gone?"""
    member = _near(owner, space)
    return member is not None and machine.gone(member)


def alive(owner: str, space: str) -> bool:
    """Is it proven that it is there? Neither this nor `gone` holds for other machines."""
    member = _near(owner, space)
    return member is not None and bool(member.started) and not machine.gone(member)


def _near(owner: str, space: str) -> Member | None:
    """The process, where it can be looked at from this space."""
    return member_of(owner) if space and space_of(owner) == space else None
