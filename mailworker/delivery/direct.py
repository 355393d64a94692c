"""Sends one mail there and then, without the spool: what `send_email(...)` does when it is called directly."""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import dataclass
from typing import Final

from ..envelope import Envelope
from ..errors import MailDeferred, MailFailed
from ..mail.author import Author
from ..mail.email import Email, RawMail
from ..mail.finished.raw import message_id_of
from ..outcome import Deferred, Failed
from ..smtp import session
from ..smtp.journal import Outgoing
from ..smtp.relay import Relay
from ..smtp.verdict import Verdict
from ..smtp.warm import WarmConnection
from .back_off import Policy
from .compose import build
from .decide import decide

CONNECTIONS: Final = 3
"""The others are for a relay that turned out not to know what it announced."""


def send_now(mail: Email | RawMail, author: Author, relay: Relay) -> str:
    """Returns the Message-ID once the relay took the mail for every recipient.

    Raises `SmtpError` when there is no session, `MailFailed` for a permanent refusal, `MailDeferred` for a transient
    one: nobody tries again.
    """
    id_of_mail = author.message_id(str(uuid.uuid4()))
    envelope = build(mail, author, id_of_mail, time.time_ns() // 1_000_000)
    journal = _OneMail(Outgoing(id_of_mail, envelope))
    warm = WarmConnection(relay)
    for _ in range(CONNECTIONS):
        try:
            session.send(warm.get(), journal)
        finally:
            warm.drop()
        if journal.todo is None:
            break
    _raise_unless_sent(journal.verdict, envelope)
    return message_id_of(envelope.data)


@dataclass(slots=True)
class _OneMail:
    todo: Outgoing | None
    verdict: Verdict | None = None

    def next(self, count: int) -> list[Outgoing]:
        mail, self.todo = self.todo, None
        return [mail] if mail and count else []

    def commit(self, mails: list[Outgoing]) -> list[Outgoing]:
        return mails

    def done(self, mail: Outgoing, verdict: Verdict) -> None:
        self.verdict = verdict

    def left(self, mail: Outgoing) -> Outgoing:
        return mail

    def again(self, mail: Outgoing) -> None:
        self.todo = mail

    def withdraw(self, mail: Outgoing) -> None:
        """It has no verdict anyway."""


def _raise_unless_sent(verdict: Verdict | None, envelope: Envelope) -> None:
    if verdict is None:
        raise MailDeferred("the session ended before the mail was sent")
    # Not by the site's policy: nothing waits here, so that nothing expires, and nobody but the caller holds it.
    outcome = decide(verdict, envelope.recipients, 1, 0, Policy(), random.random())  # noqa: S311 - spreads load
    if isinstance(outcome, Failed):
        raise MailFailed(outcome.reason)
    if isinstance(outcome, Deferred):
        refused = " (and refused other recipients)" if outcome.refused else ""
        raise MailDeferred(f"{outcome.code} at {outcome.phase}{refused}")
