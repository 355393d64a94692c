"""As whom a site sends: its mailbox, what follows from it for each of its mails, and the keys that it signs with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from ..envelope import Envelope
from .address import Mailbox
from .signing.dkim import Signers


@dataclass(frozen=True)
class Author:
    """Made by the settings, and handed on as it is to where mails are built."""

    mailbox: Mailbox
    signers: Signers | None = None
    """None where no mail is signed."""

    @cached_property
    def domain(self) -> str:
        return self.mailbox.address.rpartition("@")[2]

    def message_id(self, origin: str) -> str:
        """Of the mail that was accepted under the id `origin`."""
        return f"{origin}@{self.domain}"

    @property
    def unsigned(self) -> Author:
        """For who only looks at mails, and need not be able to read the keys."""
        return replace(self, signers=None)

    def signed(self, envelope: Envelope, accepted_ms: int) -> Envelope:
        """With its signatures, the last that is done to its octets. Raises `Unsendable` where it must have one and
        cannot."""
        if self.signers is None:
            return envelope
        lines = self.signers.sign(envelope.data, accepted_ms // 1000)
        return replace(envelope, data=lines + envelope.data) if lines else envelope
