"""A mail as values, whatever it came as and whatever becomes of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import Unsendable
from .address import Mailbox, each_once


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest mail that is sent, in octets: the whole entry, and its recipients' addresses and names."""

    mail: int = 25 * 1024 * 1024
    recipients: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Email:
    """One mail as its author meant it. Text is octets: what is not UTF-8 arrives as it came.

    `fields.FIELDS` has a line for each attribute. One without a default must be in every mail.
    """

    to: tuple[Mailbox, ...]
    subject: bytes
    body: bytes

    @property
    def recipients(self) -> tuple[Mailbox, ...]:
        """Everybody who is to have the mail, each address once."""
        everybody = self.to
        return everybody if len(everybody) == 1 else each_once(everybody)


def check_recipients(email: Email, limits: Limits) -> None:
    """Raises `Unsendable` for a mail to nobody, or to too many."""
    recipients = email.recipients
    if not recipients:
        raise Unsendable("no_recipient", "to: no recipient")
    size = sum([len(mailbox.address) + len(mailbox.name) for mailbox in recipients])
    if size > limits.recipients:
        raise Unsendable("too_many_recipients", f"to: {size} octets of recipients, more than {limits.recipients}")
