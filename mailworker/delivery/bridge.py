"""The bridge: claims legacy entries and whatever is due, and rings for them. Safe to run twice at once."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from ..spool import Claim, Spool
from .chunks import chunks

MOST: Final = 1000
SECONDS: Final = 2.0
"""A run ends after this time and has itself rung again, so that a stop never waits for it."""

_TOKEN: Final = re.compile(r"(?:[^ \n]+ )?[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Rest:
    """What a run leaves to its caller."""

    again: bool = False
    """To ring the bridge again, under its owner's name."""
    lone: str | None = None
    """To deliver this mail."""


def run(
    spool: Spool, owner: str, token: str, ring: Callable[[Iterable[list[str]]], None], stopping: Callable[[], bool]
) -> Rest:
    """Rings doorbells, each for a group of ids.

    A mail that came alone on an idle system is not rung for but left to the caller: a doorbell would take as long as
    all the rest of its way.

    Raises `SpoolError`, or what `ring` raises: then what was claimed is due, and the next run rings for it.
    """
    begun = time.monotonic()
    try:
        while True:
            claim = spool.claim(owner, token, MOST)
            if not claim.locked:
                return Rest()
            if claim.lone:
                return Rest(lone=claim.together[0])
            ring(doorbells(claim, spool.batch))
            if not spool.unlock(owner):
                return Rest()
            if stopping():
                break
            if time.monotonic() - begun > SECONDS:
                return Rest(again=True)
    except Exception:
        # Whether the claim ran or not: what it took is due now, and the lock is free.
        spool.release(owner, died=False)
        free_lock(spool, token)
        raise
    spool.release(owner, died=False)
    return Rest()


def free_lock(spool: Spool, token: Any) -> None:
    """Of a bridge that never came to claim. Raises `SpoolError`.

    Only a ringer's own token is freed. A bridge that has itself rung again has its owner's name for a token, and that
    owner may have mails in hand by now: its lock ends by itself, or with the owner. What somebody else wrote into such
    a message frees nothing either.
    """
    if isinstance(token, str) and _TOKEN.fullmatch(token):
        spool.release(token, died=False)


def doorbells(claim: Claim, batch: int) -> Iterator[list[str]]:
    """The ids of each doorbell: spread evenly over the pool, up to a batch each, and the suspects alone."""
    share = max(1, min(batch, -(-len(claim.together) // claim.pool_size)))
    yield from chunks(claim.together, share)
    yield from chunks(claim.alone, 1)
