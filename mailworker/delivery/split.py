"""Pure: a mail with more recipients than the relay takes at once goes out in several transactions. Recipients whom the
relay was not told yet wait, those who were put off wait for the end, and whoever has the mail is never mailed again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..outcome import Deferred, Failed, Further, Outcome, OutcomeSoFar, Sent
from ..smtp.journal import Outgoing
from ..smtp.refusals import likely_too_many_recipients, too_many_recipients
from ..smtp.replies import Reply
from ..smtp.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Remainder:
    """What is left of a mail beside the recipients of the transaction that is under way."""

    rest: tuple[str, ...] = ()
    """Not told to the relay yet."""
    put_off: tuple[str, ...] = ()
    """Told, and to be tried again later."""
    waits: Deferred | None = None
    """Why and how long."""

    @property
    def behind(self) -> tuple[str, ...]:
        return self.rest + self.put_off


class SplitMails:
    """Those of one batch that go out in several transactions, and what is left of each."""

    def __init__(self) -> None:
        self.remainders: dict[str, Remainder] = {}

    def narrow(self, mail: Outgoing, most: int) -> Outgoing:
        """With no more than `most` recipients; the others wait."""
        recipients = mail.envelope.recipients
        if len(recipients) <= most:
            return mail
        self.postpone(mail.id, recipients[most:])
        return mail.only(recipients[:most])

    def postpone(self, mail_id: str, recipients: tuple[str, ...]) -> None:
        """These come in a later transaction, and before those that wait already."""
        remainder = self.remainders.get(mail_id, Remainder())
        self.remainders[mail_id] = replace(remainder, rest=recipients + remainder.rest)

    def join(self, mail: Outgoing) -> Outgoing:
        """The mail for all who were not told: what a transaction takes may have changed."""
        remainder = self.remainders.get(mail.id)
        if remainder is None or not remainder.rest:
            return mail
        self.remainders[mail.id] = replace(remainder, rest=())
        return mail.only(mail.envelope.recipients + remainder.rest)

    def so_far(self, mail: Outgoing, outcome: Outcome) -> OutcomeSoFar:
        """What a transaction's outcome means for the whole mail."""
        remainder = self.remainders.get(mail.id)
        if remainder is None:
            return outcome
        step, self.remainders[mail.id] = outcome_so_far(outcome, mail.envelope.recipients, remainder)
        return step

    def next_transaction(self, mail: Outgoing) -> Outgoing:
        """For all who were not told yet."""
        remainder = self.remainders[mail.id]
        self.remainders[mail.id] = replace(remainder, rest=())
        return mail.only(remainder.rest)


@dataclass(frozen=True, slots=True)
class TooManyRecipients:
    """The relay had enough of this mail's recipients."""

    took: int
    """How many it takes in one transaction."""
    kept: tuple[str, ...]
    verdict: Verdict | None
    """About those in `kept`; None where nobody has the mail and all are told again, fewer at once."""
    rest: tuple[str, ...]
    """Those who come in a later transaction."""


def too_many(verdict: Verdict, recipients: tuple[str, ...]) -> TooManyRecipients | None:
    """None where the relay had not too many recipients, or not for want of room."""
    final, replies = verdict.final, verdict.recipients
    if final is None or verdict.phase in ("MAIL", "SMTPUTF8"):
        return None
    taken = sum(reply.positive for reply in replies)
    if verdict.phase in ("DATA", "message") and too_many_recipients(final) and taken > 1:
        return TooManyRecipients(taken // 2, (), None, recipients)
    first = _first_too_many(replies)
    if first is None:
        return None
    took = sum(reply.positive for reply in replies[:first])
    if took == 0:
        return None
    if final.code == 421 and verdict.phase == "RCPT":
        return TooManyRecipients(took, (), None, recipients)
    if not final.positive:
        return None  # a refusal of the message, which concerns everybody
    over = [number for number, reply in enumerate(replies) if number >= first and _over(reply)]
    kept = [number for number in range(len(replies)) if number not in set(over)]
    return TooManyRecipients(
        took,
        tuple(recipients[number] for number in kept),
        replace(verdict, recipients=tuple(replies[number] for number in kept)),
        tuple(recipients[number] for number in over) + recipients[len(replies) :],
    )


def _over(reply: Reply) -> bool:
    return too_many_recipients(reply) or likely_too_many_recipients(reply)


def _first_too_many(replies: tuple[Reply, ...]) -> int | None:
    """Where the relay had enough: from there on nobody is taken, unless it says in words what it has enough of."""
    last = max((number for number, reply in enumerate(replies) if reply.positive), default=-1)
    for number, reply in enumerate(replies):
        if too_many_recipients(reply) or (number > last and likely_too_many_recipients(reply)):
            return number
    return None


def outcome_so_far(outcome: Outcome, told: tuple[str, ...], remainder: Remainder) -> tuple[OutcomeSoFar, Remainder]:
    """The outcome for the whole mail of a transaction with the recipients `told`, and what is left if it goes on."""
    match outcome:
        case Sent():
            return _go_on(None, None, (), remainder)
        case Failed(recipients=recipients) if not _concerns_those_behind(outcome):
            refused = replace(outcome, recipients=told if recipients is None else recipients)
            return _go_on(refused, None, (), remainder)
        case Deferred(recipients=recipients) if not outcome.in_doubt and (
            recipients is not None or outcome.phase == "RCPT"
        ):
            return _go_on(outcome.refused, outcome, told if recipients is None else recipients, remainder)
        case Deferred(recipients=recipients) | Failed(recipients=recipients):
            everyone = (told if recipients is None else recipients) + remainder.behind
            return replace(outcome, recipients=everyone), remainder
    return outcome, remainder


def _concerns_those_behind(failed: Failed) -> bool:
    return failed.reason != "recipient_refused" or failed.in_doubt


def _go_on(
    refused: Failed | None, later: Deferred | None, put_off: tuple[str, ...], remainder: Remainder
) -> tuple[OutcomeSoFar, Remainder]:
    """With those who were not told yet. When there are none, what is still to be said of the mail: those who were put
    off wait for as long as the one who waits longest."""
    waits = remainder.waits
    if waits is None or (later is not None and later.delay > waits.delay):
        waits = later
    left = Remainder(remainder.rest, remainder.put_off + put_off, waits)
    if left.rest:
        return Further(left.behind, refused), left
    if left.put_off and waits is not None:
        return replace(waits, recipients=left.put_off, refused=refused), left
    return refused or Sent(), left
