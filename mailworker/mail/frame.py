"""A mail of new code as it is kept in the spool, and read again. Pure.

A plain text to some people is kept as an entry of the legacy list would be, as JSON. Anything else is a *frame*: the
number of octets of its header in decimal, a line feed, the header as JSON, and then, one behind the other as they are,
the octets that the header tells the lengths of: text, HTML, small files. A file of more than `BLOB` octets is named by
its digest, and its octets are a blob of the spool.

Nobody but this package writes one: it is only read of a record that came from no list.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Container, Mapping
from operator import attrgetter
from typing import Any, Final

from ..envelope import Dsn
from ..errors import Unsendable
from . import given_file
from .dsn import DsnOptions
from .email import Email, Limits, RawMail
from .entry import from_entry, to_entry
from .fields import FIELDS, PLAIN_NAMES
from .file import BLOB, File
from .parts import Parts

VERSION: Final = 1

_MOST_A_CHARACTER: Final = 6
"""Octets of one in JSON, where it is a control character."""
_APART: Final = ("body", "html", "attachments", "inline")
"""What is not, or hardly, in a frame's header."""
_HEAD: Final = 1024
_SIZES: Final = tuple((field.name, attrgetter(field.name), field.kind.size) for field in FIELDS)
_LONGEST_NUMBER: Final = 10
_DSN: Final = DsnOptions()
_READERS: Final = tuple((field.name, field.kind.from_frame) for field in FIELDS)
_MORE: Final = tuple(field.name for field in FIELDS if field.name not in PLAIN_NAMES)
_more_of: Final = attrgetter(*_MORE)
_DEFAULTS: Final = {attribute.name: attribute.default for attribute in dataclasses.fields(Email)}
_NOTHING_MORE: Final = tuple(_DEFAULTS[name] for name in _MORE)


def to_record(mail: Email | RawMail) -> bytes:
    """The octets that the spool keeps of a mail of new code."""
    return to_entry(mail) if isinstance(mail, Email) and is_plain(mail) else to_frame(mail)


def is_plain(email: Email) -> bool:
    """A text to some people, and nothing else."""
    return email.body is not None and bool(_more_of(email) == _NOTHING_MORE)


def is_frame(raw: bytes) -> bool:
    """Of what new code wrote: is it more than a text to some people?"""
    return raw[:1].isdigit()


def from_record(raw: bytes, limits: Limits) -> Email | RawMail:
    """The mail that `to_record` wrote, a file that is a blob without its content. Raises `Unsendable`."""
    return from_frame(raw) if is_frame(raw) else from_entry(raw, limits)


def to_frame(mail: Email | RawMail) -> bytes:
    """The frame without the octets of large files: see `blobs`."""
    parts: list[bytes] = []
    header = _raw_header(mail, parts) if isinstance(mail, RawMail) else _header(mail, parts)
    head = json.dumps({"v": VERSION, **header}, ensure_ascii=False, separators=(",", ":"))
    octets = head.encode("utf-8", "surrogateescape")
    return b"".join((b"%d\n" % len(octets), octets, *parts))


def from_frame(raw: bytes) -> Email | RawMail:
    """Raises `Unsendable`."""
    number, found, _ = raw[: _LONGEST_NUMBER + 1].partition(b"\n")
    if not found or not number.isdigit():
        raise Unsendable("format", "begins like a frame and is none")
    parts = Parts(raw, len(number) + 1)
    header = _json(parts.take(int(number)))
    if header.get("v") != VERSION:
        raise Unsendable("format", f"a frame of version {header.get('v')!r:.20}, and this version knows {VERSION}")
    try:
        return _raw_mail(header, parts) if "raw" in header else _email(header, parts)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, Unsendable):
            raise
        raise Unsendable("format", f"a frame that is damaged: {type(error).__name__}") from None


def check_size(email: Email, limits: Limits) -> None:
    """Raises `Unsendable` where the mail as a relay is given it, or its frame, is larger than the limit."""
    sizes = {name: size(content_of(email)) for name, content_of, size in _SIZES}
    size = sum(sizes.values())
    if size + _MOST_A_CHARACTER * (size - sum([sizes[name] for name in _APART])) + _HEAD <= limits.mail:
        return
    largest = max(sizes, key=lambda name: sizes[name])
    given_file.check_size(largest, max(size, len(to_frame(email))), limits.mail)


def blobs(mail: Email | RawMail) -> dict[str, bytes]:
    """By digest, the octets that are kept beside the frame, and of which other mails may be the owners as well."""
    files = mail.files if isinstance(mail, Email) else ()
    return {file.digest: file.content for file in files if file.content is not None and len(file.content) > BLOB}


def digests(mail: Email | RawMail) -> tuple[str, ...]:
    """Of the files whose octets are not read yet, each once."""
    files = mail.files if isinstance(mail, Email) else ()
    return tuple(dict.fromkeys([file.digest for file in files if file.content is None]))


def with_blobs(email: Email, contents: Mapping[str, bytes], but: Container[str] = ()) -> Email:
    """The mail with the contents of its files, but for those. Raises `Unsendable` where one is not there."""

    def filled(file: File) -> File:
        if file.content is not None or file.digest in but:
            return file
        if file.digest not in contents:  # where somebody else has the mail by now, this outcome is not written
            raise Unsendable("gone", "a file of it is gone from Redis")
        return dataclasses.replace(file, content=contents[file.digest])

    attachments, inline = ([filled(file) for file in files] for files in (email.attachments, email.inline))
    return dataclasses.replace(email, attachments=tuple(attachments), inline=tuple(inline))


def _json(octets: bytes) -> dict[str, Any]:
    try:
        header = json.loads(octets.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise Unsendable("format", "a frame whose header is no JSON")
    return header


_header_pairs: Final = {field.name: (attrgetter(field.name), field.kind.to_frame) for field in FIELDS}


def _header(email: Email, parts: list[bytes]) -> dict[str, Any]:
    header = {}
    for name, (content_of, write) in _header_pairs.items():
        content = content_of(email)
        if content != _DEFAULTS[name]:
            header[name] = write(content, parts)
    return header


def _email(header: dict[str, Any], parts: Parts) -> Email:
    return Email(**{name: read(header[name], parts) for name, read in _READERS if name in header})


def _raw_header(mail: RawMail, parts: list[bytes]) -> dict[str, Any]:
    parts.append(mail.message)
    header = {"raw": len(mail.message), "recipients": mail.recipients, "return_path": mail.return_path}
    return header if mail.dsn is None else {**header, "dsn": _DSN.to_frame(mail.dsn, parts)}


def _raw_mail(header: dict[str, Any], parts: Parts) -> RawMail:
    dsn: Dsn | None = _DSN.from_frame(header["dsn"], parts) if "dsn" in header else None
    recipients = tuple([str(address) for address in header["recipients"]])
    return RawMail(recipients, str(header["return_path"]), parts.take(header["raw"]), dsn)
