"""As whom a site sends: its mailbox, and what follows from it for each of its mails. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from .address import Mailbox


@dataclass(frozen=True, slots=True)
class Author:
    """Made by the settings, and handed on as it is to where mails are built."""

    mailbox: Mailbox

    def message_id(self, origin: str) -> str:
        """Of the mail that was accepted under the id `origin`."""
        return f"{origin}@{self.mailbox.address.rpartition('@')[2]}"
