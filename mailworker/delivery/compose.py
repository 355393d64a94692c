"""Makes of a record what a relay is given: reads it, chooses its author, builds it, leaves out who has it. Pure, but
for large payloads and files, which are fetched when their turn comes.

Redirecting a mail elsewhere, or leaving out recipients who are suppressed, is a line in `Compose._steps`. Signing comes
behind the building, since it covers the exact octets; a mail that is sent without the spool (`direct`) is built and
signed in `build`. The whole way of a mail stands at the top of this folder (`__init__.py`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ..envelope import Envelope
from ..errors import NotYet, SpoolError, Unsendable, where
from ..mail.author import Author
from ..mail.email import Email, Limits, RawMail
from ..mail.entry import from_entry
from ..mail.finished import raw
from ..mail.frame import from_record
from ..mail.wire import mime
from ..smtp.journal import Outgoing
from ..spool import Record, Spool
from .files import Files

logger = logging.getLogger(__name__)

NO_PARTS: Final[Mapping[str, bytes]] = {}

FETCH: Final = 256 * 1024
"""Octets of large payloads that are read with one call, where the first one alone has not more."""


class Compose:
    """For one batch."""

    def __init__(self, spool: Spool, author: Author, limits: Limits, files: Files) -> None:
        self._spool = spool
        self._files = files
        self._author = author
        self._limits = limits
        self._fetched: dict[str, bytes] = {}

    def __call__(self, record: Record, behind: Iterable[Record | Outgoing] = ()) -> Outgoing:
        """`behind` are those that come next: their payloads may be fetched with this one's.

        Raises `Unsendable` for what can never be a mail, `NotYet` for an entry that says that it waits, `SpoolError`
        where Redis is away.
        """
        try:
            return self._steps(record, behind)
        except (Unsendable, NotYet, SpoolError):
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours must not stop the mails behind this one
            logger.error("mail %s cannot be built: %s", record.id, where(error))
            raise Unsendable("internal_error", f"{type(error).__name__} while it was built") from None

    def _steps(self, record: Record, behind: Iterable[Record | Outgoing]) -> Outgoing:
        envelope = self._build(record, behind)
        envelope = self._author.signed(envelope, record.at)
        envelope = _still_to_send(envelope, record)
        return Outgoing(record.id, envelope, envelope.sender != self._author.mailbox.address)

    def _build(self, record: Record, behind: Iterable[Record | Outgoing]) -> Envelope:
        """What it is built from is let go with this: a signature makes a copy, and large files are in memory once."""
        mail, parts = self._read(record, behind), NO_PARTS
        if record.framed and isinstance(mail, Email) and mail.files:
            mail, parts = self._with_files(record, mail)
        return _built(mail, self._author, self._author.message_id(record.origin), record.at, parts)

    def _read(self, record: Record, behind: Iterable[Record | Outgoing]) -> Email | RawMail:
        if record.size > self._limits.mail:
            raise Unsendable("too_large", f"{record.size} octets, more than the limit of {self._limits.mail}")
        payload = record.payload or self._fetch(record, behind)
        # What came from a list is never read as new code's: anybody may have pushed it.
        return from_record(payload, self._limits) if record.framed else from_entry(payload, self._limits, time.time())

    def _with_files(self, record: Record, email: Email) -> tuple[Email, Mapping[str, bytes]]:
        email, parts = self._files.fetched(email)
        octets = record.size + sum([len(file.content or b"") for file in email.files]) + sum(map(len, parts.values()))
        if octets > self._limits.mail:
            raise Unsendable("too_large", f"{octets} octets with its files, more than the limit of {self._limits.mail}")
        return email, parts

    def _fetch(self, record: Record, behind: Iterable[Record | Outgoing]) -> bytes:
        """A payload that is so large that the record came without it."""
        if not record.size:
            return b""
        if record.id not in self._fetched:
            self._fetched = self._spool.payloads([record.id, *_to_fetch_with(record, behind)])
        payload = self._fetched.pop(record.id, b"")
        if not payload:  # where somebody else has the mail by now, this outcome is not written
            raise Unsendable("gone", "its payload is gone from Redis")
        return payload


def build(mail: Email | RawMail, author: Author, message_id: str, at: int) -> Envelope:
    """The exact octets of a mail with all its files, the same at each attempt. `at` is when it was accepted, in ms."""
    return author.signed(_built(mail, author, message_id, at, NO_PARTS), at)


def _built(mail: Email | RawMail, author: Author, message_id: str, at: int, parts: Mapping[str, bytes]) -> Envelope:
    """`parts` are its files in base64, by digest, where they were finished for another mail already."""
    if isinstance(mail, RawMail):
        return raw.build(mail, author, message_id, at)
    return mime.build(mail, author.mailbox, message_id, at, parts)


def _still_to_send(envelope: Envelope, record: Record) -> Envelope:
    """For those of its recipients who do not have it yet."""
    return envelope if record.recipients is None else envelope.only(record.recipients)


def _to_fetch_with(record: Record, behind: Iterable[Record | Outgoing]) -> Iterator[str]:
    size = record.size
    for item in behind:
        if isinstance(item, Record) and not item.payload:
            size += item.size
            if size > FETCH:
                return
            yield item.id
