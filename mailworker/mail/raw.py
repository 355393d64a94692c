"""A finished message, as another program built it: checked when it is accepted, it leaves as it is."""

from __future__ import annotations

from ..envelope import Envelope
from .author import Author
from .email import RawMail


def build(mail: RawMail, author: Author, message_id: str, accepted_ms: int) -> Envelope:
    """The envelope of `mail`, the same octets at every call."""
    return Envelope(mail.return_path, mail.recipients, mail.message, dsn=mail.dsn)
