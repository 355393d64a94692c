"""What would have been sent, kept in this process: where a program is tested, its mails are built and go nowhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import cached_property
from typing import Final

from ..errors import IdempotencyError
from ..mail.author import Author
from ..mail.email import Email, Limits
from ..mail.frame import from_record, with_blobs
from ..spool import Accepted, New
from ..spool.records import NOTHING
from .compose import build


@dataclass(frozen=True)
class Message:
    """One mail as a relay would have been given it."""

    id: str
    """The mail's: what `send_email.delay(…).id` is."""
    sender: str
    """MAIL FROM; empty for the null sender."""
    recipients: tuple[str, ...]
    """RCPT TO: everybody who is to have it, `bcc` as well."""
    data: bytes = field(repr=False)
    """The octets between DATA and the dot."""
    send_at: datetime | None = None
    """When it would have gone, where it was to wait; in UTC."""
    expires: datetime | None = None
    keyed: bool = field(default=False, repr=False)
    digest: bytes = field(default=b"", repr=False)

    @cached_property
    def message(self) -> EmailMessage:
        """What a reader makes of the octets. Its texts have plain line ends."""
        from email import message_from_bytes  # noqa: PLC0415 - only tests read mails
        from email.policy import default  # noqa: PLC0415

        parsed = message_from_bytes(self.data.replace(b"\r\n", b"\n"), policy=default)
        assert isinstance(parsed, EmailMessage)
        return parsed


outbox: Final[list[Message]] = []
"""The mails of this process, in the order of the calls."""

_lock: Final = threading.Lock()
_wanted = 0


def wanted() -> bool:
    """Is a test running that keeps its mails, whatever the settings say?"""
    return _wanted > 0


@contextmanager
def keeping() -> Iterator[list[Message]]:
    """Keeps what is sent meanwhile, by any thread of this process, in an outbox that is empty before and after."""
    global _wanted  # noqa: PLW0603 - one outbox in a process, as there is one spool
    with _lock:
        _wanted += 1
    outbox.clear()
    try:
        yield outbox
    finally:
        outbox.clear()
        with _lock:
            _wanted -= 1


class OutboxSpool:
    """Takes mails as the spool does: the same ids, the same errors; and builds each at once, since nobody else will."""

    def __init__(self, author: Author, limits: Limits) -> None:
        self._author = author
        self._limits = limits

    def accept(
        self, mail_id: str, payload: bytes, delay: float = 0, keyed: bool = False, *,
        blobs: Mapping[str, bytes] = NOTHING, expires: int = 0, digest: bytes = b"",
    ) -> Accepted:  # fmt: skip
        """See `Spool.accept`. Raises `Unsendable` where the mail would have become a dead letter."""
        try:
            return self.accept_many([New(mail_id, payload, delay, keyed, blobs, expires, digest)])[0]
        except IdempotencyError as error:
            raise IdempotencyError(error.mail_id) from None

    def accept_many(self, mails: Sequence[New]) -> list[Accepted]:
        """See `Spool.accept_many`: all of them, or none where it raises."""
        messages = list(map(self._message, mails))
        return [
            Accepted(message.id, ring=False, new=new) for message, new in zip(messages, _put(messages), strict=True)
        ]

    def _message(self, new: New) -> Message:
        now = time.time_ns() // 1_000_000
        mail = from_record(new.payload, self._limits)
        if isinstance(mail, Email):
            mail = with_blobs(mail, new.blobs)
        envelope = build(mail, self._author, self._author.message_id(new.id), now)
        return Message(
            id=new.id,
            sender=envelope.sender,
            recipients=envelope.recipients,
            data=envelope.data,
            send_at=_moment(now + new.delay * 1000) if new.delay > 0 else None,
            expires=_moment(new.expires) if new.expires else None,
            keyed=new.keyed,
            digest=new.digest,
        )


def _put(messages: list[Message]) -> list[bool]:
    """Which of them are new: where a mail has the id of one, it is not put. Raises `IdempotencyError` where that is
    another mail, and then none is."""
    with _lock:
        new: list[Message] = []
        chosen = any(message.keyed for message in messages)
        known = {message.id: message for message in outbox if message.keyed} if chosen else {}
        for index, message in enumerate(messages):
            first = known.get(message.id) if message.keyed else None
            if first is None:
                new.append(message)
                known[message.id] = message
            elif first.digest and message.digest and first.digest != message.digest:
                raise IdempotencyError(message.id, index)
        outbox.extend(new)
        return [known[message.id] is message for message in messages]


def _moment(unix_ms: float) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1000, UTC)
