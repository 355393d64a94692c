"""The values that the spool returns."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

NOTHING: Final[Mapping[str, bytes]] = {}


class New(NamedTuple):
    """A mail of new code that is to be accepted.

    `delay` is in seconds. `keyed` where its caller chose the id: it accepts no second mail within a window. `blobs` are
    the files that are kept once, by their SHA-256 in hex digits. `expires` is by when it is to be sent, a Unix time in
    ms, 0 for whenever. `digest` is what a second mail with the same chosen id is compared by: 16 octets, or none.
    """

    id: str
    payload: bytes
    delay: float = 0
    keyed: bool = False
    blobs: Mapping[str, bytes] = NOTHING
    expires: int = 0
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class Accepted:
    """`id` is what the mail is known by. `ring` is true where the caller has to ring for it, `new` where it is not
    another mail that has this id."""

    id: str
    ring: bool
    new: bool = True


@dataclass(frozen=True, slots=True)
class Claim:
    """What the bridge has to ring. `locked` is false when another bridge has the lock.

    `lone` is true where the one mail came alone to an idle system: the bridge delivers it, and the lock is given back.
    """

    together: list[str]
    alone: list[str]
    pool_size: int
    locked: bool
    lone: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to do. `ring` is true where the caller has the bridge's lock now and must ring for it. Else
    `wait_ms` tells when to look again, below zero while a bridge is at work. `listen` is true where the lists are
    empty, so that waiting for an entry makes sense."""

    ring: bool
    wait_ms: int
    listen: bool


@dataclass(frozen=True, slots=True)
class Record:
    """A mail in hand. `size` is in octets; `payload` is empty where `size` is over the limit, or so large that it is
    read when it is needed: see `Spool.payloads`. `tries` are the attempts that ended.

    `recipients` are those still to be sent to, None for all. `at` is when it was accepted and `since` from when its
    age counts (a dead letter that is tried again starts anew), both in ms of Redis's clock.
    """

    id: str
    payload: bytes
    size: int
    at: int
    tries: int
    recipients: tuple[str, ...] | None
    since: int
    origin: str
    """The id of the mail it came from: a dead letter for some recipients keeps the mail's Message-ID."""
    framed: bool = False
    """Its payload is new code's, and may be a frame: what came from a list never is."""
    expires: int = 0
    """By when it is to be sent, in ms of Redis's clock; 0 for whenever."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a child has in hand once it took a batch, and what it was told on that occasion."""

    records: list[Record]
    relay: str
    """The name of the one to send them through; empty where none takes mail now, and the mails wait in the queue."""
    relay_was_down: bool
    ring: str | None
    """The token to ring the bridge with, where this child has to."""
    now: int
    """Redis's clock in ms."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What a child is told when its outcomes are written."""

    may_go: list[str]
    """Of those that were to be committed."""
    bears: int
    """Connections that the relay bears: told at the end of a batch, and 0 where no limit is known."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A mail whose owner is gone, or whose time is over. `reason` is that of a dead letter; without one it is in doubt,
    and is sent again."""

    id: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """`bears` is how many connections the relay bears, 0 where no limit is known."""

    free: bool
    bears: int


@dataclass(frozen=True, slots=True)
class Refused:
    """`configuration` where the relay refuses the site, and not this mail. `back` mails went to the queue."""

    configuration: bool
    wait: float
    opened: bool
    back: int


def token_of(owner: str) -> str:
    """A new token to ring the bridge with. It is free again when its owner is released."""
    return f"{owner} {secrets.token_hex(8)}"
