"""An `Email` becomes an `Envelope`: sender, recipients, and the octets that go between DATA and the dot.

Every line ends in CRLF and has at most 998 octets (RFC 5322, 2.1.1); no bare CR or LF is left. A text is a mail by
itself; what has more than that is written by `structure`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from hashlib import sha256
from operator import attrgetter
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from ..envelope import Envelope
from ..errors import Unsendable
from . import encoding, headers, own_headers, structure, structured
from .address import Mailbox
from .email import Email
from .fields import FIELDS
from .own_headers import Headers

_DOT_ATOM = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_ADDRESSEES: Final = tuple((field.header, attrgetter(field.name)) for field in FIELDS if field.header is not None)
_NONE: Final[Mapping[str, bytes]] = MappingProxyType({})
_LONGEST_ID: Final = 250

_VERSION: Final = b"MIME-Version: 1.0\r\n"
_TEXT: Final = _VERSION + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "


def build(
    email: Email, sender: Mailbox, message_id: str, accepted_ms: int, encoded: Mapping[str, bytes] = _NONE
) -> Envelope:
    """The envelope of `email`, the same octets at every call.

    `sender` is the site's author, for a mail that has none of its own. `message_id` is any text, an @ and a domain;
    `accepted_ms` is the Unix time in milliseconds that becomes `Date`. `encoded` holds finished base64 parts by digest.

    Raises `Unsendable("unbuildable")` rather than hand out a header that RFC 5322 does not allow.
    """
    author = email.sender or sender
    recipients = email.recipients
    head = _head(email, author, message_id, accepted_ms)
    if email.html is None and not email.attachments and not email.inline:
        transfer, body = encoding.text(email.body or b"")
        data = b"".join((head, _TEXT, transfer, b"\r\n\r\n", body))
    else:
        data = structure.write(head + _VERSION, email, message_id, encoded)
    return Envelope(
        sender=author.address if email.return_path is None else email.return_path,
        recipients=tuple([mailbox.address for mailbox in recipients]),
        data=data,
        smtputf8=_needs_smtputf8(email, author, recipients),
        dsn=email.dsn,
    )


def _head(email: Email, author: Mailbox, message_id: str, accepted_ms: int) -> bytes:
    """All headers but those of the content, in an order that never changes."""
    fields = [
        (b"From", _author(author)),
        *_addressees(email),
        (b"Date", _date(accepted_ms // 1000)),
        (b"Message-ID", _message_id(message_id)),
    ]
    if email.subject:
        fields.insert(0, (b"Subject", headers.unstructured(b"Subject: ", email.subject)))
    if email.list_unsubscribe:
        fields += structured.list_unsubscribe(email.list_unsubscribe)
    if email.headers:
        fields += _own(email.headers)
    head = b"".join([line for _, line in fields])
    _check(head, tuple([name for name, _ in fields]))
    return head


@lru_cache(maxsize=256)
def _author(author: Mailbox) -> bytes:
    """The same in every mail of a site, or of one of its senders."""
    return b"From: " + headers.one_mailbox(author) + b"\r\n"


def _addressees(email: Email) -> Iterator[tuple[bytes, bytes]]:
    """The headers that show to whom it goes: never `bcc`."""
    if not email.to and not email.cc:
        yield b"To", b"To: undisclosed-recipients:;\r\n"
    for name, mailboxes_of in _ADDRESSEES:
        mailboxes = mailboxes_of(email)
        if mailboxes and name == b"Cc":
            to = {mailbox.address for mailbox in email.to}
            mailboxes = tuple([mailbox for mailbox in mailboxes if mailbox.address not in to])
        if mailboxes:
            yield name, b"%b: %b\r\n" % (name, headers.mailbox_list(mailboxes))


def _own(own: Headers) -> Iterator[tuple[bytes, bytes]]:
    """The caller's own headers. They were checked at the call, and are again, for this writes what it is given."""
    try:
        own_headers.checked("headers", own)
    except Unsendable as error:
        raise Unsendable("unbuildable", error.detail) from None
    for name, value in own:
        field = name.encode("ascii")
        write = structured.line if structured.never_encoded(name) else headers.unstructured
        yield field, write(field + b": ", value)


def _needs_smtputf8(email: Email, author: Mailbox, recipients: tuple[Mailbox, ...]) -> bool:
    """True where an address in the envelope or in a header is not ASCII (RFC 6531, 3.4)."""
    if author.smtputf8 or any([mailbox.smtputf8 for mailbox in recipients]):
        return True
    return any([box.smtputf8 for box in email.reply_to]) or not (email.return_path or "").isascii()


def _message_id(text: str) -> bytes:
    """The header, with another id for every other text, in the characters that RFC 5322, 3.6.4 allows before the @."""
    left, _, domain = text.rpartition("@")
    if not _DOT_ATOM.fullmatch(left):
        left = quote(left, safe="", errors="surrogatepass").replace(".", "%2E")
    if len(left) > _LONGEST_ID:
        left = sha256(left.encode("ascii")).hexdigest()
    return f"Message-ID: <{left}@{domain}>\r\n".encode("ascii")


@lru_cache(maxsize=1024)
def _date(unix_seconds: int) -> bytes:
    return f"Date: {format_datetime(datetime.fromtimestamp(unix_seconds, UTC))}\r\n".encode("ascii")


def _check(head: bytes, names: tuple[bytes, ...]) -> None:
    """What was built is looked at once more: a header that nobody meant is worse than a dead letter."""
    if not _pattern(names).fullmatch(head):
        raise Unsendable("unbuildable", "its headers cannot be written as RFC 5322 wants them")


@lru_cache(maxsize=256)
def _pattern(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """These headers and no other, in this order: each at most 998 octets a line, and no line of blanks alone."""
    line = rb"(?=[^\r\n\0]{1,998}+\r\n)%b[^\r\n]*+\r\n"
    folded = rb"(?:" + line % rb" (?=[^\S\r\n]*+[^\s])" + rb")*+"
    return re.compile(b"".join([line % (re.escape(name) + b": ") + folded for name in names]))
