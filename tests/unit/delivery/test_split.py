"""A mail with more recipients than the relay takes at once: nobody is forgotten, and nobody gets it twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworker.delivery.split import Remainder, SplitMails, TooManyRecipients, outcome_so_far, too_many
from mailworker.envelope import Envelope
from mailworker.outcome import Deferred, Failed, Further, Held, Outcome, OutcomeSoFar, Sent
from mailworker.smtp.journal import Outgoing
from mailworker.smtp.replies import Reply
from mailworker.smtp.verdict import Verdict

A, B, C, D = "a@x.y", "b@x.y", "c@x.y", "d@x.y"
OK, NO, LATER = Reply(250, "ok"), Reply(550, "no such user"), Reply(451, "try later")
FULL, BYE = Reply(452, "4.5.3 too many recipients"), Reply(421, "4.5.3 Too many recipients")
WAITS = Deferred(10, 451, "RCPT", "451 try later", (B,))
WAITS_LONG = Deferred(60, 451, "RCPT", "451 try later", (B,))


def mail(*recipients: str) -> Outgoing:
    return Outgoing("m", Envelope("site@x.y", recipients, b"x"))


@pytest.mark.parametrize(
    ("verdict", "recipients", "found"),
    [
        (Verdict((OK, OK), OK, "message"), (A, B), None),
        (Verdict((OK, NO), OK, "message"), (A, B), None),  # refused, and not for want of room
        (Verdict((FULL, FULL), FULL, "RCPT"), (A, B), None),  # not even one: it means something else
        (Verdict((), FULL, "MAIL"), (A, B), None),
        (Verdict((OK,), None, "message"), (A,), None),
        (Verdict((OK, FULL), NO, "message"), (A, B), None),  # the message was refused: for everybody
        # The others have it, these come again.
        (Verdict((OK, FULL), OK, "message"), (A, B), TooManyRecipients(1, (A,), Verdict((OK,), OK, "message"), (B,))),
        (
            Verdict((OK, NO, FULL), OK, "message"), (A, B, C, D),
            TooManyRecipients(1, (A, B), Verdict((OK, NO), OK, "message"), (C, D)),
        ),
        # Nobody has it: all come again.
        (Verdict((OK, OK), FULL, "DATA"), (A, B), TooManyRecipients(1, (), None, (A, B))),
        (Verdict((OK, OK, BYE), BYE, "RCPT"), (A, B, C), TooManyRecipients(2, (), None, (A, B, C))),
    ],
)  # fmt: skip
def test_what_a_verdict_teaches_about_the_recipients_of_one_transaction(
    verdict: Verdict, recipients: tuple[str, ...], found: TooManyRecipients | None
) -> None:
    assert too_many(verdict, recipients) == found


@pytest.mark.parametrize(
    ("outcome", "before", "step", "after"),
    [
        # It goes on for those who were not told yet.
        (Sent(), Remainder((C,)), Further((C,)), Remainder((C,))),
        (
            Failed("recipient_refused", "550", 550, (A,)), Remainder((C,)),
            Further((C,), Failed("recipient_refused", "550", 550, (A,))), Remainder((C,)),
        ),
        (
            Failed("recipient_refused", "550", 550), Remainder((C,)),
            Further((C,), Failed("recipient_refused", "550", 550, (A, B))), Remainder((C,)),
        ),
        (WAITS, Remainder((C,)), Further((C, B)), Remainder((C,), (B,), WAITS)),
        # What befell the message or the session concerns those behind, too.
        (
            Failed("message_refused", "554", 554), Remainder((C,), (D,)),
            Failed("message_refused", "554", 554, (A, B, C, D)), Remainder((C,), (D,)),
        ),
        (
            Deferred(10, 451, "message", "451"), Remainder((C,)),
            Deferred(10, 451, "message", "451", (A, B, C)), Remainder((C,)),
        ),
        (
            Deferred(10, 0, "message", "?", in_doubt=True), Remainder((C,)),
            Deferred(10, 0, "message", "?", (A, B, C), in_doubt=True), Remainder((C,)),
        ),
        (Held("in_doubt", "?"), Remainder((C,)), Held("in_doubt", "?"), Remainder((C,))),
        # The end: whoever was put off is tried again, as late as the one who waits longest.
        (Sent(), Remainder(), Sent(), Remainder()),
        (Sent(), Remainder((), (B,), WAITS), WAITS, Remainder((), (B,), WAITS)),
        (
            WAITS, Remainder((), (D,), WAITS_LONG),
            Deferred(60, 451, "RCPT", "451 try later", (D, B)), Remainder((), (D, B), WAITS_LONG),
        ),
        (
            Failed("recipient_refused", "550", 550, (A,)), Remainder(),
            Failed("recipient_refused", "550", 550, (A,)), Remainder(),
        ),
    ],
)  # fmt: skip
def test_the_outcome_of_a_transaction_for_the_whole_mail(
    outcome: Outcome, before: Remainder, step: OutcomeSoFar, after: Remainder
) -> None:
    assert outcome_so_far(outcome, (A, B), before) == (step, after)


def test_a_mail_is_narrowed_to_what_the_relay_takes_and_joined_when_it_comes_again() -> None:
    split = SplitMails()
    assert split.narrow(mail(A, B), 2) == mail(A, B)
    assert split.narrow(mail(A, B, C), 2) == mail(A, B)
    assert split.narrow(mail(A, B), 1) == mail(A)  # it takes fewer than it was thought to
    assert split.join(mail(A)) == mail(A, B, C)
    assert split.join(mail(A)) == mail(A)


def test_a_mail_that_was_not_split_keeps_its_outcome() -> None:
    split = SplitMails()
    assert split.so_far(mail(A, B), WAITS) is WAITS
    assert not split.remainders


@given(st.lists(st.sampled_from(["sent", "refused", "put_off"]), min_size=1, max_size=9), st.integers(1, 4))
def test_everybody_has_one_fate_whatever_becomes_of_each_transaction(fates: list[str], most: int) -> None:
    everyone = tuple(f"{number}@x.y" for number in range(len(fates)))
    fate = dict(zip(everyone, fates, strict=True))
    split, have, refused = SplitMails(), set[str](), set[str]()
    going = split.narrow(mail(*everyone), most)
    while True:
        told = going.envelope.recipients
        replies = tuple({"sent": OK, "refused": NO, "put_off": LATER}[fate[one]] for one in told)
        have |= {one for one in told if fate[one] == "sent"}
        step = split.so_far(going, _decided(told, replies))
        dead = step if isinstance(step, Failed) else getattr(step, "refused", None)
        refused |= {*((dead.recipients or told) if dead else ())}
        if not isinstance(step, Further):
            break
        assert not have & {*step.recipients}
        going = split.narrow(split.next_transaction(going), most)
    later = {*((step.recipients or told) if isinstance(step, Deferred) else ())}
    assert have == {one for one in everyone if fate[one] == "sent"}
    assert refused == {one for one in everyone if fate[one] == "refused"}
    assert later == {one for one in everyone if fate[one] == "put_off"}


def _decided(told: tuple[str, ...], replies: tuple[Reply, ...]) -> Outcome:
    from mailworker.delivery.back_off import Policy
    from mailworker.delivery.decide import decide

    final = OK if OK in replies else replies[0]
    return decide(Verdict(replies, final, "message" if final is OK else "RCPT"), told, 1, 0, Policy(), 0.5)
