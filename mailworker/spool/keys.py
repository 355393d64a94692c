"""The names of all keys: made here and nowhere else. The scripts know them as constants: see `script_text`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Key(StrEnum):
    """What stands behind the prefix. One that ends with a colon stands before an id, an owner or a relay's name."""

    MAIL = "mail:"
    PAYLOAD = "payload:"
    DAY = "day:"
    BLOB = "blob:"
    BLOBS = "blobs"

    DUE = "due"
    DEAD = "dead"
    DOUBTS = "doubts"
    COUNTS = "counts"
    SEQUENCE = "sequence"

    OWNERS = "owners"
    POOLS = "pools"
    HEARD = "heard"
    LEASE = "lease:"
    CLAIM = "claim:"

    BRIDGE_LOCK = "bridge_lock"
    RUNG = "rung"

    RELAY = "relay:"
    PROBE = "probe:"
    PLACES = "places:"
    LIMIT = "limit:"
    REFUSED = "refused:"
    REFUSED_IDS = "refused_ids:"

    CLOCK = "clock"
    FORMAT = "format"
    CALLED_OFF = "called_off"
    NOTHING = "nothing"
    """Never there; a first write that asks for no memory."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one spool, by its prefix."""

    prefix: str

    def __call__(self, key: Key, of: str = "") -> str:
        return self.prefix + key + of
