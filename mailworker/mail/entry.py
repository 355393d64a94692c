"""A mail and the octets of an entry, or of a record in the spool: read and written by the table of its fields. Pure."""

from __future__ import annotations

import json
import logging
from operator import attrgetter
from typing import Final

from ..errors import Unsendable
from . import payload, php
from .email import Email, Limits, check_recipients
from .fields import FIELDS, NEEDED

logger = logging.getLogger(__name__)

# The table as it is needed here, looked up once: each mail passes through.
_READERS: Final = tuple((field.name, field.name.encode("ascii"), field.kind.from_value) for field in FIELDS)
_JSON: Final = tuple((field.name, attrgetter(field.name), field.kind.to_json) for field in FIELDS)
_PHP: Final = tuple(
    (php.string(field.name.encode("ascii")), attrgetter(field.name), field.kind.to_php) for field in FIELDS
)
_SIZES: Final = tuple((attrgetter(field.name), field.kind.size) for field in FIELDS)
_MOST_BETWEEN: Final = 2 + sum(len(field.name) + 6 for field in FIELDS)
"""Octets of the JSON between the contents: names, quotes, colons, commas and braces."""


def from_entry(raw: bytes, limits: Limits) -> Email:
    """The mail in the exact octets of a list entry or a spool record. Raises `Unsendable`."""
    if len(raw) > limits.mail:
        raise Unsendable("too_large", f"{len(raw)} octets, more than the limit of {limits.mail}")
    values, ignored = payload.read(raw, limits.mail)
    if ignored:
        logger.warning("an entry of %d octets: the last %d follow its value and are ignored", len(raw), ignored)
    contents = {}
    for name, key, read in _READERS:
        if key in values:
            contents[name] = read(name, values[key])
        elif name in NEEDED:
            raise Unsendable("missing_field", f"{name}: missing")
    email = Email(**contents)
    check_recipients(email, limits)
    return email


def to_entry(email: Email) -> bytes:
    """The mail as JSON of the legacy shape, for mails of which every text is UTF-8: those of new code."""
    values = {name: write(content(email)) for name, content, write in _JSON}
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def to_php(email: Email) -> bytes:
    """`serialize(["to" => [address => name], "subject" => …, "body" => …])` as PHP writes it."""
    pairs = b"".join(key + write(content(email)) for key, content, write in _PHP)
    return b"a:%d:{%s}" % (len(_PHP), pairs)


def check_size(email: Email, limits: Limits) -> None:
    """Raises `Unsendable` where the entry that the mail becomes in the spool is larger than the limit."""
    most = _MOST_BETWEEN + 6 * sum(size(content(email)) for content, size in _SIZES)
    if most > limits.mail and len(to_entry(email)) > limits.mail:
        raise Unsendable("too_large", f"more than the limit of {limits.mail} octets")
