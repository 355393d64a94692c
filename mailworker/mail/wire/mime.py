"""An `Email` becomes an `Envelope`: sender, recipients, and the octets that go between DATA and the dot.

Every line ends in CRLF and has at most 998 octets (RFC 5322, 2.1.1); no bare CR or LF is left. A text is a mail by
itself; what has more than that is written by `multipart`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ...envelope import Envelope
from .. import encoding
from ..address import Mailbox
from ..email import Email
from . import multipart
from .head import head

_NONE: Final[Mapping[str, bytes]] = MappingProxyType({})
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
    top = head(email, author, message_id, accepted_ms)
    if email.html is None and not email.attachments and not email.inline:
        transfer, body = encoding.text(email.body or b"")
        data = b"".join((top, _TEXT, transfer, b"\r\n\r\n", body))
    else:
        data = multipart.write(top + _VERSION, email, message_id, encoded)
    return Envelope(
        sender=author.address if email.return_path is None else email.return_path,
        recipients=tuple([mailbox.address for mailbox in email.recipients]),
        data=data,
        smtputf8=not top.isascii() or _unseen_needs_smtputf8(email),
        dsn=email.dsn,
    )


def _unseen_needs_smtputf8(email: Email) -> bool:
    """True where an address that no header shows is not ASCII (RFC 6531, 3.4)."""
    if email.return_path and not email.return_path.isascii():
        return True
    return bool(email.bcc) and any([mailbox.smtputf8 for mailbox in email.bcc])
