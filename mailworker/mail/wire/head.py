"""The headers of a mail but for those of its content, in an order that never changes. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from hashlib import sha256
from operator import attrgetter
from typing import Final
from urllib.parse import quote

from ...errors import Unsendable
from .. import own_headers
from ..address import Mailbox
from ..email import Email
from ..fields import FIELDS
from ..header import encoded as headers
from ..header import structured
from ..own_headers import Headers

_DOT_ATOM = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_ADDRESSEES: Final = tuple((field.header, attrgetter(field.name)) for field in FIELDS if field.header is not None)
_UNDISCLOSED: Final = (b"To", b"To: undisclosed-recipients:;\r\n")
_LONGEST_ID: Final = 250

_FOLDED: Final = rb"(?: (?=[^\S\r\n]*+\S)[^\r\n\0]{1,997}+\r\n)*+"
_OWN: Final = re.compile(rb"[!-9;-~]{1,76}: [^\r\n\0]{0,920}+\r\n" + _FOLDED)


def head(email: Email, author: Mailbox, message_id: str, accepted_ms: int) -> bytes:
    """All of it is ASCII but for addresses that are not (RFC 6532). Raises `Unsendable("unbuildable")`."""
    fields = [(b"From", _author(author))]
    if email.subject:
        fields.insert(0, (b"Subject", headers.unstructured(b"Subject: ", email.subject)))
    for name, mailboxes_of in _ADDRESSEES:  # never `bcc`
        mailboxes = mailboxes_of(email)
        if mailboxes and (name != b"Cc" or (mailboxes := _not_in_to(email))):
            fields.append((name, b"%b: %b\r\n" % (name, headers.mailbox_list(mailboxes))))
    if not email.to and not email.cc:
        fields.append(_UNDISCLOSED)
    fields += (b"Date", date_line(accepted_ms // 1000)), (b"Message-ID", message_id_line(message_id))
    if email.list_unsubscribe:
        fields += structured.list_unsubscribe(email.list_unsubscribe)
    names, lines = zip(*fields, strict=True)
    text = b"".join(lines)
    _check(_pattern(names), text)
    return text + _own(email.headers) if email.headers else text


@lru_cache(maxsize=256)
def _author(author: Mailbox) -> bytes:
    """The same in every mail of a site, or of one of its senders."""
    return b"From: " + headers.one_mailbox(author) + b"\r\n"


def _not_in_to(email: Email) -> tuple[Mailbox, ...]:
    """Who is in both is shown in the first."""
    to = {mailbox.address for mailbox in email.to}
    return tuple([mailbox for mailbox in email.cc if mailbox.address not in to])


def _own(own: Headers) -> bytes:
    """The caller's own. They were checked at the call, and are again: what is written here goes out."""
    try:
        own_headers.checked("headers", own)
    except Unsendable as error:
        raise Unsendable("unbuildable", error.detail) from None
    lines = []
    for name, value in own:
        field = name.encode("ascii") + b": "
        line = (structured.line if structured.never_encoded(name) else headers.unstructured)(field, value)
        _check(_OWN, line)
        lines.append(line)
    return b"".join(lines)


def message_id_line(text: str) -> bytes:
    """Another for every other text, in the characters that RFC 5322, 3.6.4 allows before the @."""
    left, _, domain = text.rpartition("@")
    if not _DOT_ATOM.fullmatch(left):
        left = quote(left, safe="", errors="surrogatepass").replace(".", "%2E")
    if len(left) > _LONGEST_ID:
        left = sha256(left.encode("ascii")).hexdigest()
    return f"Message-ID: <{left}@{domain}>\r\n".encode("ascii")


@lru_cache(maxsize=1024)
def date_line(unix_seconds: int) -> bytes:
    """The header."""
    return f"Date: {format_datetime(datetime.fromtimestamp(unix_seconds, UTC))}\r\n".encode("ascii")


def _check(pattern: re.Pattern[bytes], text: bytes) -> None:
    """What was written is looked at once more: a header that nobody meant is worse than a dead letter."""
    if not pattern.fullmatch(text):
        raise Unsendable("unbuildable", "its headers cannot be written as RFC 5322 wants them")


@lru_cache(maxsize=256)
def _pattern(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """These headers and no other, in this order: each at most 998 octets a line, and no line of blanks alone."""
    return re.compile(
        b"".join([rb"%b: [^\r\n\0]{0,%d}+\r\n%b" % (re.escape(name), 996 - len(name), _FOLDED) for name in names])
    )
