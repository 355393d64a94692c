"""Pure: what the relay answered, the attempts so far and the mail's age become an outcome. Decided only here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..outcome import Deferred, Failed, Outcome, Sent
from ..smtp.replies import Reply
from ..smtp.retry_after import asked_delay
from ..smtp.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Policy:
    """Back-off: seconds after the first, second, … failed attempt, the last one repeated; all until `max_age`."""

    delays: tuple[float, ...] = (10, 60, 300, 900, 3600)
    max_age: float = 2 * 86_400
    jitter: float = 0.1


def decide(
    verdict: Verdict, recipients: tuple[str, ...], attempt: int, age: float, policy: Policy, chance: float
) -> Outcome:
    """The outcome of attempt number `attempt` (from 1) of a mail that is `age` seconds old.

    `chance` is a random number from 0 to 1: the jitter.
    """
    final = verdict.final
    if verdict.taken:
        return Sent()
    delay = back_off(attempt, policy, chance)
    left = policy.max_age - age
    if final is None:
        # Cut off inside its content, it cannot have been taken; once all of it had left, nobody knows.
        in_doubt = verdict.phase != "content"
        said = "no reply after the message was sent" if in_doubt else "the session broke inside the message"
        if delay > left:
            return Failed("expired", said, in_doubt=in_doubt)
        return Deferred(delay, 0, verdict.phase, said, in_doubt=in_doubt)
    refused, later = _sort(verdict, final, recipients)
    dead = _dead_letter(refused, verdict) if refused else None
    if not later:
        return dead or Sent()
    reply = later[0].reply
    remaining = tuple(answer.address for answer in later)
    if delay > left:
        everyone = remaining + (dead.recipients or () if dead else ())
        return Failed("expired", f"not accepted in {policy.max_age:.0f} s; last: {_said(reply)}", reply.code, everyone)
    # Asked to wait beyond its life, a mail is tried once more at the end of it.
    delay = min(max(delay, asked_delay(reply.text) or 0), left)
    return Deferred(delay, reply.code, verdict.phase, _said(reply), remaining, dead)


class _Answer(NamedTuple):
    address: str
    reply: Reply
    to_all: bool
    """The reply ended the transaction, and did not answer this recipient's RCPT."""


def _sort(verdict: Verdict, final: Reply, recipients: tuple[str, ...]) -> tuple[list[_Answer], list[_Answer]]:
    """Recipients that are refused for good, and those to be tried again; the accepted ones are in neither."""
    refused: list[_Answer] = []
    later: list[_Answer] = []
    for index, address in enumerate(recipients):
        said = verdict.recipients[index] if index < len(verdict.recipients) else None
        to_all = said is None or said.positive or verdict.phase in ("MAIL", "SMTPUTF8")
        reply = final if said is None or to_all else said
        if reply.transient:
            later.append(_Answer(address, reply, to_all))
        elif not reply.positive:
            refused.append(_Answer(address, reply, to_all))
    return refused, later


def _dead_letter(refused: list[_Answer], verdict: Verdict) -> Failed:
    reply = refused[0].reply
    reason = {"MAIL": "sender_refused", "SMTPUTF8": "smtputf8"}.get(verdict.phase, "recipient_refused")
    if verdict.phase in ("DATA", "message"):
        for answer in refused:
            if answer.to_all:
                reply, reason = answer.reply, "message_refused"
    return Failed(reason, _said(reply), reply.code, tuple(answer.address for answer in refused))


def _said(reply: Reply) -> str:
    return f"{reply.code} {reply.text}"[:500]


def back_off(attempt: int, policy: Policy, chance: float) -> float:
    """Seconds to wait after failed attempt number `attempt`, spread by the jitter to either side."""
    delay = policy.delays[min(max(attempt, 1), len(policy.delays)) - 1]
    return delay * (1 + policy.jitter * (2 * chance - 1))
