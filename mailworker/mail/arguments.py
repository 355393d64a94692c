"""What a message with a mail in it carries: the arguments of `send_email`, for one mail or for several. Pure."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ..errors import Unsendable
from . import address, php
from .address import Mailbox
from .email import Email, Limits
from .entry import check_size, subject_of, unique


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
    return from_arguments(**bound.arguments, limits=limits)


def as_they_came(args: Any, kwargs: Any) -> bytes:
    """The payload of what is no mail, for the dead letter."""
    return json.dumps({"args": args, "kwargs": kwargs}).encode("utf-8")


def each(task_id: str, items: Sequence[Any], starred: bool) -> Iterator[tuple[str, Any]]:
    """The id and the arguments of each mail of a carrier: the same whenever it is asked."""
    for number, item in enumerate(items):
        yield f"{readable(task_id)}-{number}", item if starred else [item]


def from_arguments(to: Any, subject: Any, body: Any, limits: Limits) -> Email:
    """The mail in the arguments of `send_email`. Raises `TypeError` for a wrong type, else `Unsendable`."""
    for name, value in (("subject", subject), ("body", body)):
        if not isinstance(value, str):
            raise TypeError(f"{name}: expected str, got {type(value).__name__}")
    mailboxes = unique(_argument_mailboxes(to))
    if not mailboxes:
        raise Unsendable("no_recipient", "to: no recipient")
    email = Email(mailboxes, subject_of(_utf8(subject, "subject")), _utf8(body, "body"))
    check_size(mailboxes, limits)
    if _size_as_entry(email, subject, body, limits) > limits.mail:
        raise Unsendable("too_large", f"more than the limit of {limits.mail} octets")
    return email


def _size_as_entry(email: Email, subject: str, body: str, limits: Limits) -> int:
    """The octets of the JSON that the mail becomes in the spool, or fewer where it is far from the limit."""
    others = 64 + 8 * len(email.to) + sum(len(mailbox.address) + 6 * len(mailbox.name) for mailbox in email.to)
    size = len(email.subject) + len(email.body)
    if others + 6 * size <= limits.mail:  # JSON makes six octets of one at most
        return size
    return others + len(json.dumps([subject, body], ensure_ascii=False).encode("utf-8"))


def _utf8(text: str, field: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise Unsendable("bad_text", f"{field}: holds a lone surrogate, which is not text") from None


def _argument_mailboxes(to: Any) -> list[Mailbox]:
    if isinstance(to, str):
        return [address.parse(to, "to")]
    if isinstance(to, Mapping):
        return [_argument_pair(key, name) for key, name in to.items()]
    if isinstance(to, list | tuple | set | frozenset):
        return [mailbox for item in to for mailbox in [_argument_item(item)]]
    raise TypeError(f"to: expected str, list or dict, got {type(to).__name__}")


def _argument_item(item: Any) -> Mailbox:
    if not isinstance(item, str):
        raise TypeError(f"to: expected addresses as str, got {type(item).__name__}")
    return address.parse(item, "to")


def _argument_pair(key: Any, name: Any) -> Mailbox:
    if isinstance(key, int):  # what PHP makes of a list, when a producer hands it on
        return _argument_item(name)
    if not isinstance(key, str) or not (name is None or isinstance(name, str | int | float)):
        raise TypeError("to: expected {address: name}")
    if isinstance(name, str):
        return Mailbox(address.check(key), _utf8(name, "to"))
    return Mailbox(address.check(key), php.text_of(name))
