"""A call of `send_email` becomes a record of the spool."""

from __future__ import annotations

from hashlib import sha256
from typing import Final
from uuid import uuid4

from ..mail.arguments import Call
from ..mail.frame import blobs, to_record
from ..spool import Accepted, New, Spool
from .outbox import OutboxSpool

_DIGEST: Final = 16
"""Octets: enough to tell one mail from another under the same id."""


def accept(spool: Spool | OutboxSpool, call: Call) -> Accepted:
    """When it returns, the mail is safe, under the id that the caller chose or one of ours.

    Raises `IdempotencyError` where another mail was accepted under that id, `SpoolError` where Redis is away.
    """
    new = to_be_accepted(call)
    return spool.accept(
        new.id, new.payload, new.delay, new.keyed, blobs=new.blobs, expires=new.expires, digest=new.digest
    )


def to_be_accepted(call: Call) -> New:
    """As the spool is given it. What a chosen id is compared by is the mail alone, the same octets in each process."""
    payload = to_record(call.mail)
    keyed = call.id is not None
    digest = sha256(payload).digest()[:_DIGEST] if keyed and call.compared else b""
    return New(call.id or str(uuid4()), payload, call.wait, keyed, blobs(call.mail), call.expires, digest)
