"""A plain mail and the octets of an entry, or of its record in the spool: read and written by the table of its fields.
Pure."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Final

from ..errors import Unsendable
from . import legacy_fields, payload
from .email import Email, Limits, check_recipients
from .fields import PLAIN, Field, PlainKind
from .formats import php
from .formats.php import Value

logger = logging.getLogger(__name__)

# The table as it is needed here, looked up once: each mail passes through.
_READERS: Final = tuple((field.name, field.name.encode("ascii"), field.kind.from_value) for field in PLAIN)
_SIZES: Final = tuple((attrgetter(field.name), field.kind.size) for field in PLAIN)
_MOST_BETWEEN: Final = 2 + sum(len(field.name) + 6 for field in PLAIN)
"""Octets of the JSON between the contents: names, quotes, colons, commas and braces."""


_AS_PUSHED: Final = ("to", "body", "subject")
"""The order in which the old producers push these. Others come after them."""


def from_entry(raw: bytes, limits: Limits, now: float | None = None) -> Email:
    """The mail in the exact octets of a list entry or a spool record. Raises `Unsendable`.

    `now` is Unix time in seconds, where the mail is to be sent: raises `NotYet` where an entry may say that it waits.
    """
    if len(raw) > limits.mail:
        raise Unsendable("too_large", f"{len(raw)} octets, more than the limit of {limits.mail}")
    if limits.legacy_fields:
        values, ignored = payload.read(raw, limits.mail, legacy_fields.wanted(limits.legacy_fields))
    else:
        values, ignored = payload.read(raw, limits.mail)
    if ignored:
        logger.warning("an entry of %d octets: the last %d follow its value and are ignored", len(raw), ignored)
    email = _plain(values, limits) if values.keys() <= payload.WANTED else _with_more(values, limits, now)
    check_recipients(email, limits)
    return email


def _plain(values: Mapping[bytes, Value], limits: Limits) -> Email:
    contents = []
    for name, key, read in _READERS:
        if key not in values:
            raise Unsendable("missing_field", f"{name}: missing")
        contents.append(read(name, values[key], limits))
    return Email(*contents)


def _with_more(values: Mapping[bytes, Value], limits: Limits, now: float | None) -> Email:
    email = legacy_fields.read(values, limits)
    if now is not None:
        legacy_fields.check_times(values, now)
    return email


def writer(
    fields: Iterable[Field[PlainKind]], mail: type, how: Callable[[PlainKind], Callable[[Any], Any]]
) -> Callable[[Any], list[tuple[str, Any]]]:
    """A function of a `mail` that returns the names of its fields and what is written of each, in their order. A field
    that has its default is left out: who does not know it need not read it."""
    defaults = {attribute.name: attribute.default for attribute in dataclasses.fields(mail)}
    table = tuple((field.name, attrgetter(field.name), defaults[field.name], how(field.kind)) for field in fields)

    def written(email: Any) -> list[tuple[str, Any]]:
        pairs = []
        for name, content_of, default, write in table:
            content = content_of(email)
            if content != default:
                pairs.append((name, write(content)))
        return pairs

    return written


def _position(field: Field[PlainKind]) -> int:
    return _AS_PUSHED.index(field.name) if field.name in _AS_PUSHED else len(_AS_PUSHED)


_as_json: Final = writer(PLAIN, Email, lambda kind: kind.to_json)
_as_php: Final = writer(sorted(PLAIN, key=_position), Email, lambda kind: kind.to_php)


def to_entry(email: Email) -> bytes:
    """The mail as JSON of the legacy shape, for mails of which every text is UTF-8: those of new code."""
    return json.dumps(dict(_as_json(email)), ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def to_php(email: Email) -> bytes:
    """`serialize(["to" => [address => name], "body" => …, "subject" => …])` as PHP writes it."""
    pairs = [php.string(name.encode("ascii")) + value for name, value in _as_php(email)]
    return b"a:%d:{%b}" % (len(pairs), b"".join(pairs))


def check_size(email: Email, limits: Limits) -> None:
    """Raises `Unsendable` where the entry that a plain mail becomes in the spool is larger than the limit."""
    most = _MOST_BETWEEN + 6 * sum([size(content(email)) for content, size in _SIZES])
    if most > limits.mail and len(to_entry(email)) > limits.mail:
        raise Unsendable("too_large", f"more than the limit of {limits.mail} octets")
