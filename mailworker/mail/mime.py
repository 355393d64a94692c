"""An `Email` becomes an `Envelope`: sender, recipients, and the octets that go between DATA and the dot.

Every line ends in CRLF and has at most 998 octets (RFC 5322, 2.1.1); no bare CR or LF is left. ASCII goes as it is, any
other body as quoted-printable, which is what Swiftmailer made of all of them: any octet arrives as it was.
"""

from __future__ import annotations

import re
from binascii import b2a_qp
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from hashlib import sha256
from operator import attrgetter
from typing import Final
from urllib.parse import quote

from ..envelope import Envelope
from ..errors import Unsendable
from . import headers
from .address import Mailbox
from .email import Email
from .fields import FIELDS

_DOT_ATOM = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_ADDRESSEES: Final = tuple((field.header, attrgetter(field.name)) for field in FIELDS if field.header is not None)
_NAMES: Final = b"|".join((b"Subject", b"From", b"Date", b"Message-ID", *(name for name, _ in _ADDRESSEES)))
_HEAD = re.compile(rb"(?:(?=[^\r\n\0]{1,998}+\r\n)(?:(?:" + _NAMES + rb"): | (?=[^\S\r\n]*+[^\s]))[^\r\n]*+\r\n)+")

_LONGEST_LINE: Final = 998
_LONGEST_ID: Final = 250

_MIME_HEADERS: Final = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "


def build(email: Email, sender: Mailbox, message_id: str, accepted_ms: int) -> Envelope:
    """The envelope of `email`, the same octets at every call.

    `message_id` is any text, an @ and a domain; `accepted_ms` is the Unix time in milliseconds that becomes `Date`.

    Raises `Unsendable("unbuildable")` rather than hand out a header that RFC 5322 does not allow.
    """
    recipients = email.recipients
    smtputf8 = sender.smtputf8 or any([mailbox.smtputf8 for mailbox in recipients])
    head = b"".join(
        (
            headers.unstructured(b"Subject: ", email.subject) if email.subject else b"",
            b"From: " + _author(sender) + b"\r\n",
            _addressees(email),
            b"Date: " + _date(accepted_ms // 1000) + b"\r\n",
            b"Message-ID: <" + _message_id(message_id) + b">\r\n",
        )
    )
    _check(head)
    encoding, body = _content(email.body or b"")
    return Envelope(
        sender=sender.address,
        recipients=tuple([mailbox.address for mailbox in recipients]),
        data=b"".join((head, _MIME_HEADERS, encoding, b"\r\n\r\n", body)),
        smtputf8=smtputf8,
    )


@lru_cache(maxsize=8)
def _author(sender: Mailbox) -> bytes:
    """The same in every mail of a site."""
    return headers.one_mailbox(sender)


def _addressees(email: Email) -> bytes:
    lines = b""
    for name, mailboxes_of in _ADDRESSEES:
        mailboxes = mailboxes_of(email)
        if mailboxes:
            lines += b"%b: %b\r\n" % (name, headers.mailbox_list(mailboxes))
    return lines


def _message_id(text: str) -> bytes:
    """Another for every other text, in the characters that RFC 5322, 3.6.4 allows before the @."""
    left, _, domain = text.rpartition("@")
    if not _DOT_ATOM.fullmatch(left):
        left = quote(left, safe="", errors="surrogatepass").replace(".", "%2E")
    if len(left) > _LONGEST_ID:
        left = sha256(left.encode("ascii")).hexdigest()
    return f"{left}@{domain}".encode("ascii")


@lru_cache(maxsize=1024)
def _date(unix_seconds: int) -> bytes:
    return format_datetime(datetime.fromtimestamp(unix_seconds, UTC)).encode("ascii")


def _check(head: bytes) -> None:
    """What was built is looked at once more: a header that nobody meant is worse than a dead letter."""
    if not _HEAD.fullmatch(head):
        raise Unsendable("unbuildable", "its headers cannot be written as RFC 5322 wants them")


def _content(body: bytes) -> tuple[bytes, bytes]:
    """The name of the transfer encoding, and the body in it."""
    body = _with_crlf(body)
    if not body.endswith(b"\r\n"):
        body += b"\r\n"  # also tells b2a_qp that its soft breaks are to be CRLF
    if body.isascii() and b"\0" not in body and _has_short_lines(body):
        return b"7bit", body
    return b"quoted-printable", b2a_qp(body, quotetabs=False, istext=True)


def _with_crlf(body: bytes) -> bytes:
    """Every line break as CRLF. Looks for single octets where it can: bytes finds them ten times as fast as pairs."""
    if b"\r" not in body:
        return body.replace(b"\n", b"\r\n")
    lines = body.replace(b"\r", b"").replace(b"\n", b"\r\n")
    if lines == body:
        return body
    del lines
    # One name for all the copies: two at most are alive at once.
    body = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return body.replace(b"\n", b"\r\n")


def _has_short_lines(body: bytes) -> bool:
    """True where every line fits into 998 octets; looks at the text in strides, not at each octet."""
    begin, enough = 0, len(body) - _LONGEST_LINE - 2
    while begin < enough:
        begin = body.rfind(b"\n", begin, begin + _LONGEST_LINE + 2) + 1
        if not begin:
            return False
    return True
