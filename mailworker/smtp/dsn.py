"""Delivery status notifications (RFC 3461): what MAIL and RCPT say of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from ..envelope import Dsn
from .replies import Reply

_LONGEST_ID: Final = 100
_LONGEST_ADDRESS: Final = 500
"""Octets of ENVID and of ORCPT, at most (4.4, 4.2)."""

_PRINTABLE = re.compile(r"[ -~]+")
_NOT_ITSELF = re.compile(r"[^!-*,-<>-~]")

_REFUSALS: Final = (501, 504, 555)
"""Of a parameter. Postfix says 501, also where something before it announces DSN and it does not; others 504 or 555."""


def of_mail(dsn: Dsn, mail_id: str) -> str:
    """What stands behind MAIL's address: ENVID comes back in each notification, and names the mail."""
    ret = f" RET={dsn.ret}" if dsn.ret else ""
    return f"{ret} ENVID={_envelope_id(mail_id)}"


def of_recipient(dsn: Dsn, address: str) -> str:
    """What stands behind the address in RCPT."""
    if not dsn.notify:
        return ""
    return f" NOTIFY={','.join(dsn.notify)}{_original_recipient(address)}"


def refused(replies: Sequence[Reply]) -> bool:
    """All of them may be about the parameters, and not about the mail."""
    return bool(replies) and all(reply.code in _REFUSALS for reply in replies)


def _original_recipient(address: str) -> str:
    """One outside ASCII goes without: its form (RFC 6533) is another, and few relays know it."""
    original = f" ORCPT=rfc822;{_xtext(address)}"
    return original if address.isascii() and len(original) <= _LONGEST_ADDRESS else ""


def _envelope_id(mail_id: str) -> str:
    if _PRINTABLE.fullmatch(mail_id):
        envelope_id = _xtext(mail_id)
        if len(envelope_id) <= _LONGEST_ID:
            return envelope_id
    return sha256(mail_id.encode("utf-8", "surrogatepass")).hexdigest()


def _xtext(text: str) -> str:
    """RFC 3461, 4."""
    return _NOT_ITSELF.sub(lambda found: f"+{ord(found[0]):02X}", text)
