"""A mail as values, whatever it came as and whatever becomes of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..envelope import Dsn
from ..errors import Unsendable
from .address import Mailbox, each_once
from .file import File
from .senders import ANYBODY, Senders

MAX_MAILBOXES: Final = 16 * 1024
"""Octets of addresses and names in a header that shows no recipient. Short ones are five times as long when they are
written, and relays cut off what is longer than 102,400 (Postfix, header_size_limit)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a site lets a mail be. The largest one that is sent, in octets: the whole entry, or the mail that is made of
    a call; and its recipients' addresses and names."""

    mail: int = 25 * 1024 * 1024
    recipients: int = 64 * 1024
    senders: Senders = ANYBODY
    """As whom a caller may send."""
    templates: str = ""
    """The folder that has them; empty for none."""
    legacy_fields: frozenset[str] = frozenset()
    """What counts in an entry beside `to`, `subject` and `body`."""


@dataclass(frozen=True, slots=True)
class RawMail:
    """A finished message and its envelope, as another program built it: its own From, Message-ID and structure."""

    recipients: tuple[str, ...]
    return_path: str
    """MAIL FROM; empty for the null sender."""
    message: bytes
    """Its lines end in CRLF."""
    dsn: Dsn | None = None


@dataclass(frozen=True, slots=True)
class Email:
    """One mail as its author meant it. Text is octets: what is not UTF-8 arrives as it came.

    `fields.FIELDS` has a line for each attribute. One without a default must be in every mail.
    """

    to: tuple[Mailbox, ...]
    subject: bytes
    body: bytes | None
    """None where there is no text part beside the HTML."""
    html: bytes | None = None
    cc: tuple[Mailbox, ...] = ()
    bcc: tuple[Mailbox, ...] = ()
    """Recipients whom no header shows."""
    reply_to: tuple[Mailbox, ...] = ()
    sender: Mailbox | None = None
    """The author, where it is not the site's."""
    return_path: str | None = None
    """MAIL FROM, where it is not the author's address; empty for the null sender."""
    headers: tuple[tuple[str, bytes], ...] = ()
    """Of the caller's own, in their order."""
    attachments: tuple[File, ...] = ()
    inline: tuple[File, ...] = ()
    list_unsubscribe: tuple[str, ...] = ()
    """URLs: `https:` and `mailto:`."""
    dsn: Dsn | None = None

    @property
    def files(self) -> tuple[File, ...]:
        """All that go with it."""
        return self.inline + self.attachments

    @property
    def recipients(self) -> tuple[Mailbox, ...]:
        """Everybody who is to have the mail, each address once."""
        everybody = self.to + self.cc + self.bcc if self.cc or self.bcc else self.to
        return everybody if len(everybody) == 1 else each_once(everybody)


def check_recipients(email: Email, limits: Limits) -> None:
    """Raises `Unsendable` for a mail to nobody, or to too many."""
    recipients = email.recipients
    if not recipients:
        raise Unsendable("no_recipient", "to: no recipient")
    size = sum([len(mailbox.address) + len(mailbox.name) for mailbox in recipients])
    if size > limits.recipients:
        raise Unsendable("too_many_recipients", f"to: {size} octets of recipients, more than {limits.recipients}")
    if email.reply_to or email.sender:
        _check_header("reply_to", email.reply_to)
        _check_header("sender", (email.sender,) if email.sender else ())


def _check_header(name: str, mailboxes: tuple[Mailbox, ...]) -> None:
    size = sum([len(mailbox.address) + len(mailbox.name) for mailbox in mailboxes])
    if size > MAX_MAILBOXES:
        raise Unsendable("too_large", f"{name}: {size} octets, more than {MAX_MAILBOXES}")
