"""A mail as a relay is given it: who sends it, to whom, and its octets (RFC 5321, 2.3.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Envelope:
    """What one SMTP transaction carries. `data` ends in CRLF and has its dots not yet stuffed."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    smtputf8: bool = False

    def only(self, recipients: tuple[str, ...]) -> Envelope:
        """The same message for those of its recipients who do not have it yet."""
        return replace(self, recipients=recipients)
