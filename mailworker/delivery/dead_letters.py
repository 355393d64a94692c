"""Dead letters: which of them a person means, and how they are shown to people and programs."""

from __future__ import annotations

import base64
import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ..errors import Unsendable
from ..mail.author import Author
from ..mail.email import Email, Limits, RawMail
from ..mail.entry import from_entry
from ..mail.frame import digests, from_record, with_blobs
from ..spool import DeadLetter, Queries
from .compose import build

NO_BLOBS: Final[Mapping[str, bytes]] = {}


@dataclass(frozen=True, slots=True)
class Selection:
    """Whatever is given must hold."""

    ids: tuple[str, ...] = ()
    reason: str | None = None
    age: float | None = None
    """Seconds at least since it became a dead letter."""
    recipient: str | None = None


def missing(queries: Queries, ids: Sequence[str]) -> list[str]:
    """Those that are no dead letters."""
    return sorted(set(ids) - {letter.id for letter in queries.dead_letters(ids, payloads=False)})


def select(
    queries: Queries, wanted: Selection, now: float, limits: Limits, payloads: bool = False
) -> Iterator[DeadLetter]:
    """Oldest first. `now` is a Unix time. Payloads are read only where they are wanted, and of those that fit."""
    for letter in queries.dead_letters(wanted.ids or None, payloads=False):
        if not _fits(letter, wanted, now):
            continue
        with_payload = payloads or (wanted.recipient and not letter.recipients)
        whole = queries.whole(letter) if with_payload else letter
        if whole is not None and (not wanted.recipient or wanted.recipient.lower() in addresses(whole, limits)):
            yield whole


def _fits(letter: DeadLetter, wanted: Selection, now: float) -> bool:
    """As far as that can be said without its payload."""
    if wanted.reason and letter.reason != wanted.reason:
        return False
    return wanted.age is None or now - letter.ended / 1000 >= wanted.age


def addresses(letter: DeadLetter, limits: Limits) -> set[str]:
    """Whom it would have gone to, as far as that can be read."""
    if letter.recipients:
        return {address.lower() for address in json.loads(letter.recipients)}
    mail = mail_of(letter, limits)
    if isinstance(mail, Email):
        return {mailbox.address.lower() for mailbox in mail.recipients}
    return {address.lower() for address in mail.recipients} if mail else set()


def mail_of(letter: DeadLetter, limits: Limits) -> Email | RawMail | None:
    """None where it cannot be read. Large files are without their content."""
    try:
        return _read(letter, limits)
    except Unsendable:
        return None


def _read(letter: DeadLetter, limits: Limits) -> Email | RawMail:
    """Raises `Unsendable`."""
    return from_record(letter.raw, limits) if letter.framed else from_entry(letter.raw, limits)


def blobs_of(queries: Queries, letter: DeadLetter, limits: Limits, but: Container[str] = ()) -> dict[str, bytes]:
    """The large files that go with it, by digest, as far as Redis has them, but for those. Raises `SpoolError`."""
    mail = mail_of(letter, limits) if letter.framed else None
    wanted = [digest for digest in digests(mail) if digest not in but] if mail else []
    return queries.blobs(wanted) if wanted else {}


def message_of(letter: DeadLetter, blobs: Mapping[str, bytes], author: Author, limits: Limits) -> bytes:
    """Its octets as they would be sent, but for signatures. Raises `Unsendable`, also where a file is gone from
    Redis."""
    mail = _read(letter, limits)
    if isinstance(mail, Email):
        mail = with_blobs(mail, blobs)
    return build(mail, author.unsigned, author.message_id(letter.origin or letter.id), letter.accepted).data


def as_fields(letter: DeadLetter, blobs: Mapping[str, bytes] = NO_BLOBS) -> dict[str, Any]:
    """The public shape of a dead letter: times are ISO 8601 in UTC. `at` is `ended` under its first name. `blobs` are
    files beside its payload."""
    files = {digest: base64.b64encode(octets).decode("ascii") for digest, octets in blobs.items()}
    return {
        "id": letter.id,
        "reason": letter.reason,
        "detail": letter.detail,
        "source": letter.source,
        "attempts": letter.attempts,
        "recipients": json.loads(letter.recipients) if letter.recipients else None,
        "raw_base64": base64.b64encode(letter.raw).decode("ascii"),
        "at": _moment(letter.ended),
        "accepted": _moment(letter.accepted),
        "ended": _moment(letter.ended),
        **({"files_base64": files} if files else {}),
    }


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
