"""The bridge: claims legacy entries and whatever is due, and rings for them. Safe to run twice at once."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..spool import Claim, Spool

MOST: Final = 1000
SECONDS: Final = 2.0
"""A run ends after this time and has itself rung again, so that a stop never waits for it."""

_TOKEN: Final = re.compile(r"(?:[^ \n]+ )?[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Rest:
    """What a run leaves to its caller: to ring the bridge again under its owner's name, or to deliver one mail."""

    again: bool = False
    lone: str | None = None


def run(
    spool: Spool, owner: str, token: str, ring: Callable[[Iterable[list[str]]], None], stopping: Callable[[], bool]
) -> Rest:
    """Rings doorbells, each for a group of ids.

    A mail that came alone on an idle system is not rung for but left to the caller: a doorbell would take as long as
    all the rest of its way.

    Raises `SpoolError`, or what `ring` raises: then the reconciler rings for what was claimed.
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
        give_back(spool, token)
        raise
    spool.release(owner, died=False)
    return Rest()


def give_back(spool: Spool, token: Any) -> None:
    """Frees the lock of a bridge that never came to claim. Raises `SpoolError`.

    A bridge that has itself rung again has its owner's name for a token, and that owner may have mails in hand by now:
    its lock ends by itself, or with the owner. The same for whatever somebody else wrote into such a message.
    """
    if isinstance(token, str) and _TOKEN.fullmatch(token):
        spool.release(token, died=False)


def doorbells(claim: Claim, batch: int) -> Iterator[list[str]]:
    """The ids of each doorbell: spread evenly over the pool, up to a batch each, and the suspects alone."""
    share = max(1, min(batch, -(-len(claim.together) // claim.pool_size)))
    yield from _chunks(claim.together, share)
    yield from _chunks(claim.alone, 1)


def _chunks(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    for begin in range(0, len(ids), size):
        yield list(ids[begin : begin + size])
