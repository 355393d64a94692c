"""Pure: what the relay answered, the attempts so far and the mail's age become an outcome. Decided only here.

But for what no process is left to decide: a mail whose owner died while it was sent is in doubt, and one whose owners
died three times is poison. The script that releases what a dead owner had in hand decides that (`abandon` in
`spool/lua/lib/owner.lua`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ..outcome import Deferred, Failed, Held, Outcome, Sent
from ..smtp.refusals import throttled
from ..smtp.replies import Reply
from ..smtp.retry_after import asked_delay
from ..smtp.verdict import Verdict
from .back_off import Policy, back_off

SOON: Final = 10.0
"""Seconds at most until a mail is tried again that came when the relay had had enough for a while."""


def decide(
    verdict: Verdict, recipients: tuple[str, ...], attempt: int, age: float, policy: Policy, chance: float
) -> Outcome:
    """The outcome of attempt number `attempt` (from 1) of a mail that is `age` seconds old.

    `chance` is a random number from 0 to 1: the jitter. The outcome's recipients are None where it concerns them all.
    """
    final = verdict.final
    if verdict.taken:
        return Sent()
    delay = back_off(attempt, policy, chance)
    left = policy.max_age - age
    if final is None:
        return _unanswered(verdict.phase, delay, left, policy)
    refused, later = _sort(verdict, final, recipients)
    dead = _dead_letter(refused, verdict, recipients) if refused else None
    if not later:
        return dead or Sent()
    reply = later[0].reply
    remaining = tuple(answer.address for answer in later)
    if delay > left:
        everyone = remaining + tuple(answer.address for answer in refused)
        said = f"not accepted in {policy.max_age:.0f} s; last: {_said(reply)}"
        return Failed("expired", said, reply.code, _some(everyone, recipients))
    delay = _obeyed(delay, left, verdict, final, reply)
    return Deferred(delay, reply.code, verdict.phase, _said(reply), _some(remaining, recipients), dead)


def _unanswered(phase: str, delay: float, left: float, policy: Policy) -> Outcome:
    """Cut off inside its content, the mail cannot have been taken; once all of it had left, nobody knows."""
    in_doubt = phase != "content"
    said = "no reply after the message was sent" if in_doubt else "the session broke inside the message"
    if in_doubt and policy.hold_in_doubt:
        return Held("in_doubt", said)
    if delay > left:
        return Failed("expired", said, in_doubt=in_doubt)
    return Deferred(delay, 0, phase, said, in_doubt=in_doubt)


def _obeyed(delay: float, left: float, verdict: Verdict, final: Reply, reply: Reply) -> float:
    """The back-off, or what the relay asks for. Asked to wait beyond its life, a mail is tried once more at the end of
    it. Where the relay has had enough for a while, and did not say for how long, that is no fault of the mail."""
    delay = min(max(delay, asked_delay(reply.text) or 0), left)
    if throttled(verdict) and asked_delay(final.text) is None:
        return min(delay, SOON)
    return delay


def _some(concerned: tuple[str, ...], recipients: tuple[str, ...]) -> tuple[str, ...] | None:
    """None for all of them: nobody has the mail yet, and it need not be split."""
    return None if concerned == recipients else concerned


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


def _dead_letter(refused: list[_Answer], verdict: Verdict, recipients: tuple[str, ...]) -> Failed:
    reply = refused[0].reply
    reason = {"MAIL": "sender_refused", "SMTPUTF8": "smtputf8"}.get(verdict.phase, "recipient_refused")
    if verdict.phase in ("DATA", "message"):
        for answer in refused:
            if answer.to_all:
                reply, reason = answer.reply, "message_refused"
    concerned = tuple(answer.address for answer in refused)
    return Failed(reason, _said(reply), reply.code, _some(concerned, recipients))


def _said(reply: Reply) -> str:
    return f"{reply.code} {reply.text}"[:500]
