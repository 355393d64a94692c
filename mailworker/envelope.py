"""A mail as a relay is given it: who sends it, to whom, and its octets (RFC 5321, 2.3.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Dsn:
    """Of which a sender wants to be told (RFC 3461). Given to a relay that announces DSN, and to no other."""

    notify: tuple[str, ...] = ()
    """NEVER alone, or some of SUCCESS, FAILURE, DELAY; empty to leave it to the relay."""
    ret: str = ""
    """FULL or HDRS, what of the message comes back; empty to leave it to the relay."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What one SMTP transaction carries. `data` ends in CRLF and has its dots not yet stuffed."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    smtputf8: bool = False
    dsn: Dsn | None = None

    def only(self, recipients: tuple[str, ...]) -> Envelope:
        """The same message for those of its recipients who do not have it yet."""
        return replace(self, recipients=recipients)
