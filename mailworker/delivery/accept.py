"""A call of `send_email` becomes a record of the spool."""

from __future__ import annotations

from uuid import uuid4

from ..mail.arguments import Call
from ..mail.frame import to_record
from ..spool import Accepted, Spool


def accept(spool: Spool, call: Call) -> Accepted:
    """When it returns, the mail is safe, under the id that the caller chose or one of ours. Raises `SpoolError`."""
    return spool.accept(call.id or str(uuid4()), to_record(call.mail), call.wait, keyed=call.id is not None)
