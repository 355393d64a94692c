"""What `from mailworker import send_raw` gives: it spools a finished message, as `send_email` spools the mail that it
builds. It is no task of Celery's: who delivers rings for both with the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from email.message import Message
from typing import Any

from .. import runtime
from ..delivery.accept import to_be_accepted
from ..mail.arguments import Call, call_of
from ..mail.email import RawMail
from ..spool.acceptance import steps
from .calls import check_times
from .spooling_task import MailResult, SendEmail

Finished = bytes | bytearray | str | Message
"""A whole message: its headers, an empty line, its body."""


class SendRaw:
    """`send_raw.delay(message)` keeps a finished message in the spool and returns; it leaves with its own From, its own
    Message-ID and structure.

    `sender` is MAIL FROM (`""` for the null sender) and `recipients` are those of RCPT TO; where they are left out, the
    message's From (or Sender) and To, Cc and Bcc say so. Names of headers, lines and octets that relays and readers do
    not all understand alike are refused: see docs/mails.md.
    """

    def __init__(self, task: SendEmail[Any]) -> None:
        self._task = task

    def delay(
        self,
        message: Finished,
        sender: str | None = None,
        recipients: str | Iterable[str] | None = None,
        *,
        dsn: Mapping[str, str | list[str]] | None = None,
        idempotency_key: str | None = None,
        send_at: datetime | timedelta | float | str | None = None,
        expires: datetime | timedelta | float | str | None = None,
    ) -> MailResult:
        """When it returns, the mail is in the spool.

        Raises `TypeError` for wrong arguments, `Unsendable` for what can never be a mail, `IdempotencyError` where the
        key is another mail's, `SpoolError` when the mail could not be made safe.
        """
        mail = _read(message, sender, recipients, dsn)
        call = call_of(mail, {"idempotency_key": idempotency_key, "send_at": send_at, "expires": expires})
        check_times(call)
        return self._task.take(call)

    def __call__(
        self,
        message: Finished,
        sender: str | None = None,
        recipients: str | Iterable[str] | None = None,
        *,
        dsn: Mapping[str, str | list[str]] | None = None,
    ) -> str:
        """Sends there and then, as `send_email(…)` does, and returns the Message-ID. Nobody tries again."""
        return self._task.send(Call(_read(message, sender, recipients, dsn)))

    def take_all(self, calls: Sequence[Call]) -> Iterator[int]:
        """Those that were read, in steps: how many more of them are in the spool. Where a step raises, none of it is,
        and none of those behind it."""
        if self._task.is_eager():
            for call in calls:
                self._task.take(call)
                yield 1
            return
        intake = runtime.intake()
        for step in steps(map(to_be_accepted, calls)):
            rung = [accepted.id for accepted in intake.accept_many(step) if accepted.ring]
            if rung:  # who answers rings for the others
                self._task.ring(rung[0])
            yield len(step)


def _read(message: Any, sender: Any, recipients: Any, dsn: Any) -> RawMail:
    from ..mail.finished.raw_arguments import raw_mail  # noqa: PLC0415 - with Python's parser, which few programs need

    return raw_mail(message, sender, recipients, dsn, runtime.settings().limits)
