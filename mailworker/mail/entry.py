"""Values become an `Email`, or an `Unsendable` that says why not. Pure; nothing here knows Redis or SMTP."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Final

from ..errors import Unsendable
from . import address, payload, php
from .address import Mailbox
from .email import Email, Limits
from .php import Opaque, Value

logger = logging.getLogger(__name__)

MAX_SUBJECT: Final = 64 * 1024
"""Octets. Relays cut or refuse longer headers (Postfix, header_size_limit: 102,400)."""


def from_entry(raw: bytes, limits: Limits) -> Email:
    """The mail in the exact octets of a list entry or a spool record. Raises `Unsendable`."""
    if len(raw) > limits.mail:
        raise Unsendable("too_large", f"{len(raw)} octets, more than the limit of {limits.mail}")
    fields, trailing = payload.read(raw, limits.mail)
    if trailing:
        logger.warning("an entry of %d octets: the last %d follow its value and are ignored", len(raw), trailing)
    return Email(
        to=_recipients(_field(fields, b"to"), limits),
        subject=subject_of(_text(fields, b"subject")),
        body=_text(fields, b"body"),
    )


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


def subject_of(text: bytes) -> bytes:
    if len(text) > MAX_SUBJECT:
        raise Unsendable("too_large", f"subject: {len(text)} octets, more than {MAX_SUBJECT}")
    return text


def _recipients(value: Value, limits: Limits) -> tuple[Mailbox, ...]:
    if isinstance(value, bytes):
        mailboxes: tuple[Mailbox, ...] = (_mailbox(value, None),)
    elif isinstance(value, dict):
        mailboxes = unique([_entry(key, item) for key, item in value.items()])
    elif value is None:
        mailboxes = ()
    else:
        raise Unsendable("bad_field", "to: neither an address nor an array of addresses")
    if not mailboxes:
        raise Unsendable("no_recipient", "to: no recipient")
    check_size(mailboxes, limits)
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


def unique(mailboxes: list[Mailbox]) -> tuple[Mailbox, ...]:
    """Each address once, where it first stood, with the last name given to it."""
    return tuple({mailbox.address: mailbox for mailbox in mailboxes}.values())


def check_size(mailboxes: tuple[Mailbox, ...], limits: Limits) -> None:
    size = sum(len(mailbox.address) + len(mailbox.name) for mailbox in mailboxes)
    if size > limits.recipients:
        raise Unsendable("too_many_recipients", f"to: {size} octets of recipients, more than {limits.recipients}")


def to_entry(email: Email) -> bytes:
    """The mail as JSON of the legacy shape."""
    recipients = {mailbox.address: mailbox.name.decode("utf-8") or None for mailbox in email.to}
    fields = {"to": recipients, "subject": email.subject.decode("utf-8"), "body": email.body.decode("utf-8")}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def to_php(email: Email) -> bytes:
    """`serialize(["to" => [address => name], "body" => …, "subject" => …])` as PHP writes it."""
    recipients = b"".join(
        _string(mailbox.address.encode()) + (_string(mailbox.name) if mailbox.name else b"N;") for mailbox in email.to
    )
    to = b"a:%d:{%s}" % (len(email.to), recipients)
    fields = _string(b"to") + to + _string(b"body") + _string(email.body) + _string(b"subject") + _string(email.subject)
    return b"a:3:{%s}" % fields


def _string(octets: bytes) -> bytes:
    return b's:%d:"%s";' % (len(octets), octets)
