"""What became of a mail, as values: a closed set, which `delivery.decide` makes and the spool writes down."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sent:
    """The relay took the mail for every recipient that was left."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A dead letter. `recipients` are those it concerns, None for all. `detail` may hold what the relay said."""

    reason: str
    detail: str
    code: int = 0
    recipients: tuple[str, ...] | None = None
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Deferred:
    """Tried again after `delay` seconds, for `recipients` (None for all). `refused` is a dead letter beside it."""

    delay: float
    code: int
    phase: str
    detail: str
    recipients: tuple[str, ...] | None = None
    refused: Failed | None = None
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """A person must say what happens."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Returned:
    """Nothing happened to the mail: back to the queue, and no attempt is counted."""

    delay: float = 0
    waits: bool = False
    """It says itself that it is to go then: its age counts from that moment."""


@dataclass(frozen=True, slots=True)
class Further:
    """Not the end: some have the mail, and it goes on at once, in the same hand, for these `recipients`."""

    recipients: tuple[str, ...]
    refused: Failed | None = None


Outcome = Sent | Deferred | Failed | Held | Returned
OutcomeSoFar = Outcome | Further
"""Of a mail that goes out in several transactions."""
