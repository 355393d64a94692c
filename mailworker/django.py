"""Django's mail: `EMAIL_BACKEND = "mailworker.django.EmailBackend"`, or `BACKEND` in `MAILERS` (Django 6.1).

A message leaves as Django built it. Settings stand in Django's (`MAILWORKER_REDIS_URL = …`, or
`MAILWORKER = {"REDIS_URL": …}`) or in the environment, where the worker reads them too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.core.mail.backends.base import BaseEmailBackend

if TYPE_CHECKING:
    from django.core.mail import EmailMessage

    from .mail.arguments import Call


class EmailBackend(BaseEmailBackend):  # type: ignore[misc]  # django has no types
    """Spools the messages; a worker sends them. One that is not safe raises, unless `fail_silently`."""

    def __init__(self, fail_silently: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.fail_silently = fail_silently

    def send_messages(self, email_messages: Iterable[EmailMessage] | None) -> int:
        """All of them with as few steps as can be. Returns how many there are in the spool now: those without a
        recipient are left out, as Django's own backends do.

        Raises `Unsendable` (a `ValueError`) before any is in the spool, `SpoolError` where Redis does not take them.
        """
        calls = [call for message in email_messages or () if (call := self._call(message)) is not None]
        if not calls:
            return 0
        from .errors import SpoolError  # noqa: PLC0415 - Celery is loaded when there is a message
        from .worker.tasks import send_raw  # noqa: PLC0415

        safe = 0
        try:
            for more in send_raw.take_all(calls):
                safe += more
        except SpoolError:
            if not self.fail_silently:
                raise
        return safe

    def _call(self, message: EmailMessage) -> Call | None:
        from . import runtime  # noqa: PLC0415
        from .errors import Unsendable  # noqa: PLC0415
        from .mail.arguments import Call  # noqa: PLC0415
        from .mail.finished.raw_arguments import raw_mail  # noqa: PLC0415

        recipients = [str(address) for address in message.recipients()]
        if not recipients:
            return None
        finished = message.message()
        try:
            return Call(raw_mail(finished, str(message.from_email), recipients, None, runtime.settings().limits))
        except Unsendable:
            if not self.fail_silently:
                raise
            return None
