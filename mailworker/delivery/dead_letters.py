"""Dead letters: which of them a person means, and how they are shown to people and programs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..errors import Unsendable
from ..mail.email import Limits
from ..mail.entry import from_entry
from ..spool import DeadLetter, Queries


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


def select(queries: Queries, wanted: Selection, now: float, payloads: bool = False) -> Iterator[DeadLetter]:
    """Oldest first. `now` is a Unix time. Payloads are read only where they are wanted, and of those that fit."""
    for letter in queries.dead_letters(wanted.ids or None, payloads=False):
        if not _fits(letter, wanted, now):
            continue
        with_payload = payloads or (wanted.recipient and not letter.recipients)
        whole = queries.whole(letter) if with_payload else letter
        if whole is not None and (not wanted.recipient or wanted.recipient.lower() in addresses(whole)):
            yield whole


def _fits(letter: DeadLetter, wanted: Selection, now: float) -> bool:
    """As far as that can be said without its payload."""
    if wanted.reason and letter.reason != wanted.reason:
        return False
    return wanted.age is None or now - letter.ended / 1000 >= wanted.age


def addresses(letter: DeadLetter) -> set[str]:
    """Whom it would have gone to, as far as that can be read."""
    if letter.recipients:
        return {address.lower() for address in json.loads(letter.recipients)}
    try:
        return {mailbox.address.lower() for mailbox in from_entry(letter.raw, Limits()).recipients}
    except Unsendable:
        return set()


def as_fields(letter: DeadLetter) -> dict[str, Any]:
    """The public shape of a dead letter: times are ISO 8601 in UTC. `at` is `ended` under its first name."""
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
    }


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
