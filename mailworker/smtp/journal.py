"""What a session asks of whoever has the mails: the next ones, leave to send them; and what it tells of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from ..envelope import Envelope
from ..errors import SmtpError
from .verdict import Verdict


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A mail that is to be sent, under its id in the spool."""

    id: str
    envelope: Envelope
    own_sender: bool = False
    """Its author is not the site's: what a relay has against the sender is said of this mail."""

    def only(self, recipients: tuple[str, ...]) -> Outgoing:
        """The same for those of its recipients who do not have it yet."""
        return replace(self, envelope=self.envelope.only(recipients))

    def without_content(self) -> Outgoing:
        """What is left of a mail that is sent."""
        return replace(self, envelope=replace(self.envelope, data=b""))


class Journal(Protocol):
    """Where a session takes its mails from, and where it writes down what became of them."""

    def next(self, count: int) -> list[Outgoing]:
        """Up to `count` mails more; none when there are no more, or the caller is to stop."""

    def commit(self, mails: list[Outgoing]) -> list[Outgoing]:
        """Marks these as about to be sent, and gives back those that still may be."""

    def done(self, mail: Outgoing, verdict: Verdict) -> None:
        """The relay's verdict, committed or not. A committed mail without one is in doubt."""

    def left(self, mail: Outgoing) -> Outgoing:
        """All of this large mail has left, and the relay said yes to everybody: `done` is all that is to come. Returns
        it as it is known from now on, without its content where nobody needs that any more."""

    def again(self, mail: Outgoing) -> None:
        """This mail was certainly not sent, committed or not, and is not to blame: it comes again from `next`."""

    def withdraw(self, mail: Outgoing) -> None:
        """This mail was certainly not sent, committed or not; whether it is to blame is not for the session to say."""


def give_back(journal: Journal, mails: Iterable[Outgoing]) -> None:
    """Mails of which nothing left, in the order in which they came."""
    for mail in reversed(list(mails)):
        journal.again(mail)


def content_stayed(journal: Journal, mail: Outgoing, error: BaseException) -> None:
    """No content of this mail had left when the session ended. It comes again where the relay has said why."""
    if isinstance(error, SmtpError) and error.code:
        journal.again(mail)
    else:
        journal.withdraw(mail)
