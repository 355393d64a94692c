"""What both sides of the spool know by name, Python and the scripts. What one side alone needs stands there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final

SPOOL_FORMAT: Final = 3
"""Counts up when a key, or a field of a record, changes so that an older version would misread it; see `format`."""

BATCH: Final = 200
IDEMPOTENCY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Constants:
    """The same for each call of a process, so that no call carries it. A script knows `in_doubt` as `IN_DOUBT`."""

    relays: tuple[str, ...]
    """The names of all relays that this process sends through."""
    batch: int = BATCH
    """Mails in a full doorbell."""
    in_doubt: str = "resend"
    """What is done with a mail whose sender died in between: `resend` or `hold`."""
    largest: int = 25 * 1024 * 1024
    """Octets of a mail, at most."""
    spool_format: str = str(SPOOL_FORMAT)
    certain_refusals: int = 3
    """As in `smtp.refusals`: where more refusals in a row are wanted, their words may be meant for the mail."""
    idempotency_seconds: int = IDEMPOTENCY_SECONDS
    """For so long an id that a caller chose accepts no second mail, and a mail that has it is known to be sent."""

    def as_lua(self, literal: Callable[[Any], str]) -> dict[str, str]:
        return {field.name.upper(): literal(getattr(self, field.name)) for field in fields(self)}
