"""As whom a site sends: its mailbox, and what follows from it for each of its mails. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from .address import Mailbox


@dataclass(frozen=True)
class Author:
    """Made by the settings, and handed on as it is to where mails are built."""

    mailbox: Mailbox

    @cached_property
    def domain(self) -> str:
        return self.mailbox.address.rpartition("@")[2]

    def message_id(self, origin: str) -> str:
        """Of the mail that was accepted under the id `origin`."""
        return f"{origin}@{self.domain}"
