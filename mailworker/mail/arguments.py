"""What a message with a mail in it carries: the arguments of `send_email`, for one mail or for several. Pure."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from . import message
from .message import Email, Limits


def _send_email(to: Any, subject: Any, body: Any) -> None:
    """The signature, to bind what a caller passes."""


_SIGNATURE: Final = inspect.signature(_send_email)

CARRIERS: Final[Mapping[str, bool]] = {"celery.map": False, "celery.starmap": True, "celery.chunks": True}
"""Celery's tasks that carry the arguments of several calls; True where each item holds several arguments."""


def readable(task_id: Any) -> str:
    """Another program's id may be any text; what is no UTF-8 is written out."""
    return str(task_id).encode("utf-8", "backslashreplace").decode()


def email_of(args: Any, kwargs: Any, limits: Limits) -> Email:
    """Raises `TypeError` for wrong arguments, `Unsendable` for what can never be a mail."""
    try:
        bound = _SIGNATURE.bind(*(args or ()), **(kwargs or {}))
    except TypeError as error:
        raise TypeError(f"send_email: {error}") from None
    return message.from_arguments(**bound.arguments, limits=limits)


def payload_of(email: Email) -> bytes:
    """The mail as JSON of the legacy shape."""
    recipients = {mailbox.address: mailbox.name.decode("utf-8") or None for mailbox in email.to}
    fields = {"to": recipients, "subject": email.subject.decode("utf-8"), "body": email.body.decode("utf-8")}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def as_they_came(args: Any, kwargs: Any) -> bytes:
    """The payload of what is no mail, for the dead letter."""
    return json.dumps({"args": args, "kwargs": kwargs}).encode("utf-8")


def each(task_id: str, items: Sequence[Any], starred: bool) -> Iterator[tuple[str, Any]]:
    """The id and the arguments of each mail of a carrier: the same whenever it is asked."""
    for number, item in enumerate(items):
        yield f"{readable(task_id)}-{number}", item if starred else [item]
