"""A finished message, as another program built it: checked when it is accepted, it leaves as it is.

What all relays understand alike is repaired: line ends become CRLF, and what is never sent is left out (`Bcc`,
`Return-Path`, the `From ` line of an mbox file). What relays take differently is refused at the call, with the line to
mend: a NUL, a line of more than 998 octets (Postfix breaks it in two, Exim refuses it), two headers of a kind that may
be there once, a header that not every reader sees as the same one. A Message-ID and a Date are added where they are
missing, the same at each attempt.
"""

from __future__ import annotations

import re
from typing import Final

from ...envelope import Envelope
from ...errors import Unsendable
from ..author import Author
from ..email import Limits, RawMail
from ..encoding import LONGEST_LINE, closed, has_short_lines
from ..wire.head import date_line, message_id_line
from .raw_head import Header, refused, split

_NEVER_SENT: Final = frozenset((b"bcc", b"resent-bcc", b"return-path"))
_BINARY: Final = re.compile(rb"^content-transfer-encoding:[ \t]*binary\b", re.IGNORECASE | re.MULTILINE)
_HAS: Final = {name: re.compile(rb"^%b:" % name, re.IGNORECASE | re.MULTILINE) for name in (b"message-id", b"date")}
_MESSAGE_ID: Final = re.compile(rb"^message-id:\s*<([^<>\s]+)>", re.IGNORECASE | re.MULTILINE)


def finished(message: bytes, limits: Limits) -> tuple[bytes, list[Header]]:
    """The message as it is kept and sent, and the headers that it came with. Raises `Unsendable`."""
    if not message.strip():
        raise refused("is empty")
    if len(message) > limits.mail:
        raise Unsendable("too_large", f"message: {len(message)} octets, more than the limit of {limits.mail}")
    headers, body = split(message)
    if not any(header.name == b"from" and header.value for header in headers):
        raise refused("has no From")
    head = b"".join([header.lines for header in headers if header.name not in _NEVER_SENT])
    return b"\r\n".join((head, _checked(body, head))), headers


def _checked(body: bytes, head: bytes) -> bytes:
    if b"\0" in body:
        raise refused("its body holds a NUL: write that part as quoted-printable or base64")
    if _BINARY.search(head) or (not body.isascii() and _BINARY.search(body)):
        raise refused("a part has the transfer encoding `binary`, which relays do not take: write it as base64")
    body = closed(body) if body else b""
    if not has_short_lines(body):
        raise refused(
            f"its body has a line of more than {LONGEST_LINE} octets: write that part as quoted-printable or base64"
        )
    return body


def build(mail: RawMail, author: Author, message_id: str, accepted_ms: int) -> Envelope:
    """The envelope of `mail`, the same octets at every call. `message_id` and `accepted_ms` count where the message has
    no Message-ID, and no Date."""
    head = _head(mail.message)
    added = b"" if _HAS[b"message-id"].search(head) else message_id_line(message_id)
    if not _HAS[b"date"].search(head):
        added += date_line(accepted_ms // 1000)
    return Envelope(
        sender=mail.return_path,
        recipients=mail.recipients,
        data=added + mail.message if added else mail.message,
        smtputf8=not (head.isascii() and mail.return_path.isascii() and all(map(str.isascii, mail.recipients))),
        dsn=mail.dsn,
    )


def message_id_of(data: bytes) -> str:
    """Of a message, without its brackets; empty where it has none."""
    found = _MESSAGE_ID.search(_head(data))
    return found[1].decode("utf-8", "replace") if found else ""


def _head(message: bytes) -> bytes:
    return message[: message.find(b"\r\n\r\n") + 2]
