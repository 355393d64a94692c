"""Values become an `Email`, or an `Unsendable` that says why not. Pure; nothing here knows Redis or SMTP."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..errors import Unsendable
from . import address, payload, php
from .address import Mailbox
from .php import Opaque, Value

logger = logging.getLogger(__name__)

MAX_SUBJECT: Final = 64 * 1024
"""Octets. Relays cut or refuse longer headers (Postfix, header_size_limit: 102,400)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest mail that is sent, in octets: the whole entry, and its recipients' addresses and names."""

    mail: int = 25 * 1024 * 1024
    recipients: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Email:
    """One mail as its author meant it. Text is octets: what is not UTF-8 arrives as it came."""

    to: tuple[Mailbox, ...]
    subject: bytes
    body: bytes


def from_entry(raw: bytes, limits: Limits) -> Email:
    """The mail in the exact octets of a list entry or a spool record. Raises `Unsendable`."""
    if len(raw) > limits.mail:
        raise Unsendable("too_large", f"{len(raw)} octets, more than the limit of {limits.mail}")
    fields, trailing = payload.read(raw, limits.mail)
    if trailing:
        logger.warning("an entry of %d octets: the last %d follow its value and are ignored", len(raw), trailing)
    return Email(
        to=_recipients(_field(fields, b"to"), limits),
        subject=_subject(_text(fields, b"subject")),
        body=_text(fields, b"body"),
    )


def from_arguments(to: Any, subject: Any, body: Any, limits: Limits) -> Email:
    """The mail in the arguments of `send_email`. Raises `TypeError` for a wrong type, else `Unsendable`."""
    for name, value in (("subject", subject), ("body", body)):
        if not isinstance(value, str):
            raise TypeError(f"{name}: expected str, got {type(value).__name__}")
    mailboxes = _unique(_argument_mailboxes(to))
    if not mailboxes:
        raise Unsendable("no_recipient", "to: no recipient")
    email = Email(mailboxes, _subject(_utf8(subject, "subject")), _utf8(body, "body"))
    _check_size(mailboxes, limits)
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


def _field(fields: Mapping[bytes, Value], name: bytes) -> Value:
    try:
        return fields[name]
    except KeyError:
        raise Unsendable("missing_field", f"{name.decode()}: missing") from None


def _text(fields: Mapping[bytes, Value], name: bytes) -> bytes:
    value = _field(fields, name)
    if isinstance(value, dict | Opaque):
        raise Unsendable("bad_field", f"{name.decode()}: an array, where text is expected")
    return php.text_of(value)


def _subject(text: bytes) -> bytes:
    if len(text) > MAX_SUBJECT:
        raise Unsendable("too_large", f"subject: {len(text)} octets, more than {MAX_SUBJECT}")
    return text


def _recipients(value: Value, limits: Limits) -> tuple[Mailbox, ...]:
    if isinstance(value, bytes):
        mailboxes: tuple[Mailbox, ...] = (_mailbox(value, None),)
    elif isinstance(value, dict):
        mailboxes = _unique([_entry(key, item) for key, item in value.items()])
    elif value is None:
        mailboxes = ()
    else:
        raise Unsendable("bad_field", "to: neither an address nor an array of addresses")
    if not mailboxes:
        raise Unsendable("no_recipient", "to: no recipient")
    _check_size(mailboxes, limits)
    return mailboxes


def _entry(key: php.Key, item: Value) -> Mailbox:
    if isinstance(key, bytes):
        if isinstance(item, dict | Opaque):
            raise Unsendable("bad_field", "to: the name of a recipient is an array")
        return _mailbox(key, item)
    if not isinstance(item, bytes):
        raise Unsendable("bad_address", "to: a recipient is not text")
    return _mailbox(item, None)


def _mailbox(raw: bytes, name: php.Scalar) -> Mailbox:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Unsendable("bad_address", "to: an address is not valid UTF-8") from None
    return Mailbox(address.check(text), php.text_of(name))


def _unique(mailboxes: list[Mailbox]) -> tuple[Mailbox, ...]:
    """Each address once, where it first stood, with the last name given to it."""
    return tuple({mailbox.address: mailbox for mailbox in mailboxes}.values())


def _check_size(mailboxes: tuple[Mailbox, ...], limits: Limits) -> None:
    size = sum(len(mailbox.address) + len(mailbox.name) for mailbox in mailboxes)
    if size > limits.recipients:
        raise Unsendable("too_many_recipients", f"to: {size} octets of recipients, more than {limits.recipients}")
