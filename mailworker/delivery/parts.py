"""Pure: a mail with more recipients than the relay takes at once goes out in several transactions. Who is not told yet
waits, who was put off waits for the end, and whoever has the mail is never mailed again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..outcome import Deferred, Failed, Further, Outcome, Sent, Step
from ..smtp.refusals import likely_too_many_recipients, too_many_recipients
from ..smtp.replies import Reply
from ..smtp.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Part:
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


@dataclass(frozen=True, slots=True)
class Lesson:
    """The relay had enough of this mail's recipients. `took` is how many it takes in one transaction; `verdict` is
    about those in `kept`, None where nobody has the mail and all are told again, fewer at once."""

    took: int
    kept: tuple[str, ...]
    verdict: Verdict | None
    rest: tuple[str, ...]


def lesson(verdict: Verdict, recipients: tuple[str, ...]) -> Lesson | None:
    """None where the relay had not too many recipients, or not for want of room."""
    final, replies = verdict.final, verdict.recipients
    if final is None or verdict.phase in ("MAIL", "SMTPUTF8"):
        return None
    taken = sum(reply.positive for reply in replies)
    if verdict.phase in ("DATA", "message") and too_many_recipients(final) and taken > 1:
        return Lesson(taken // 2, (), None, recipients)
    first = _first_too_many(replies)
    if first is None:
        return None
    took = sum(reply.positive for reply in replies[:first])
    if took == 0:
        return None
    if final.code == 421 and verdict.phase == "RCPT":
        return Lesson(took, (), None, recipients)
    if not final.positive:
        return None  # a refusal of the message, which concerns everybody
    over = [number for number, reply in enumerate(replies) if number >= first and _over(reply)]
    kept = [number for number in range(len(replies)) if number not in set(over)]
    return Lesson(
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


def combine(outcome: Outcome, told: tuple[str, ...], part: Part) -> tuple[Step, Part]:
    """The outcome for the whole mail of a transaction with the recipients `told`, and what is left if it goes on."""
    match outcome:
        case Sent():
            return _next(None, None, (), part)
        case Failed(recipients=recipients) if not _whole(outcome):
            return _next(replace(outcome, recipients=told if recipients is None else recipients), None, (), part)
        case Deferred(recipients=recipients) if not outcome.in_doubt and (
            recipients is not None or outcome.phase == "RCPT"
        ):
            return _next(outcome.refused, outcome, told if recipients is None else recipients, part)
        case Deferred(recipients=recipients) | Failed(recipients=recipients):
            return replace(outcome, recipients=(told if recipients is None else recipients) + part.behind), part
    return outcome, part


def _whole(failed: Failed) -> bool:
    """It concerns those behind as well."""
    return failed.reason != "recipient_refused" or failed.in_doubt


def _next(refused: Failed | None, later: Deferred | None, put_off: tuple[str, ...], part: Part) -> tuple[Step, Part]:
    waits = later if part.waits is None or (later is not None and later.delay > part.waits.delay) else part.waits
    left = Part(part.rest, part.put_off + put_off, waits)
    if left.rest:
        return Further(left.behind, refused), left
    if left.put_off and waits is not None:
        return replace(waits, recipients=left.put_off, refused=refused), left
    return refused or Sent(), left
