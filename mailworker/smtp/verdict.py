"""What the relay said to one transaction, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from .replies import Reply


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the relay said to one transaction.

    `recipients` holds its reply to each RCPT, in the envelope's order; it is shorter where the session did not
    come so far. `final` is the reply that ended the transaction and `phase` the command it answers (`MAIL`,
    `RCPT`, `DATA`, `message`). `final` is None where no reply came: with phase `content` the content was cut off, else
    the whole of it had left, so that the mail is in doubt.
    """

    recipients: tuple[Reply, ...]
    final: Reply | None
    phase: str

    @property
    def taken(self) -> bool:
        """For every recipient."""
        if self.final is None or not self.final.positive:
            return False
        for reply in self.recipients:  # noqa: SIM110 - each mail comes here, and `all` costs three times as much
            if not reply.positive:
                return False
        return True
