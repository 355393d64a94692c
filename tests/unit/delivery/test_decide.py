"""What the relay said, the attempt and the age become one outcome."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailworker.delivery.back_off import Policy
from mailworker.delivery.decide import decide
from mailworker.outcome import Deferred, Failed, Held, Sent
from mailworker.smtp.replies import Reply
from mailworker.smtp.verdict import Verdict

POLICY = Policy(delays=(10, 60, 300), max_age=1000, jitter=0.1)
A, B, C = "a@x.y", "b@x.y", "c@x.y"
OK, LATER, NO = Reply(250, "ok"), Reply(451, "try later"), Reply(550, "no such user")
SPAM = Reply(554, "spam")
UNKNOWN_A = Failed("recipient_refused", "550 no such user", 550, (A,))
UNKNOWN_B = Failed("recipient_refused", "550 no such user", 550, (B,))
GREY = Reply(450, "4.2.0 Greylisted, try again in 300 seconds")


def outcome_of(verdict: Verdict, recipients: tuple[str, ...] = (A, B), attempt: int = 1, age: float = 0) -> object:
    return decide(verdict, recipients, attempt, age, POLICY, 0.5)


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        (Verdict((OK, OK), OK, "message"), Sent()),
        # Refused for good.
        (Verdict((OK, NO), OK, "message"), UNKNOWN_B),
        (Verdict((NO, OK), SPAM, "message"), Failed("message_refused", "554 spam", 554)),
        (Verdict((NO, OK), SPAM, "DATA"), Failed("message_refused", "554 spam", 554)),
        (Verdict((NO, NO), NO, "RCPT"), Failed("recipient_refused", "550 no such user", 550)),
        (Verdict((), NO, "MAIL"), Failed("sender_refused", "550 no such user", 550)),
        (Verdict((OK, OK), NO, "DATA"), Failed("message_refused", "550 no such user", 550)),
        (Verdict((OK, OK), NO, "message"), Failed("message_refused", "550 no such user", 550)),
        (Verdict((), NO, "SMTPUTF8"), Failed("smtputf8", "550 no such user", 550)),
        # Tried again.
        (Verdict((), LATER, "MAIL"), Deferred(10, 451, "MAIL", "451 try later")),
        (Verdict((LATER, LATER), LATER, "RCPT"), Deferred(10, 451, "RCPT", "451 try later")),
        (Verdict((OK, OK), LATER, "DATA"), Deferred(10, 451, "DATA", "451 try later")),
        (Verdict((OK, OK), LATER, "message"), Deferred(10, 451, "message", "451 try later")),
        (Verdict((OK, LATER), OK, "message"), Deferred(10, 451, "message", "451 try later", (B,))),
        (Verdict((OK, OK), Reply(421, "bye"), "message"), Deferred(10, 421, "message", "421 bye")),
        # Both at once: the one waits, the other is a dead letter beside it.
        (
            Verdict((LATER, NO), NO, "RCPT"),
            Deferred(10, 451, "RCPT", "451 try later", (A,), UNKNOWN_B),
        ),
        (
            Verdict((NO, OK), LATER, "message"),
            Deferred(10, 451, "message", "451 try later", (B,), UNKNOWN_A),
        ),
        # The content was on its way and no reply came.
        (
            Verdict((), None, "message"),
            Deferred(10, 0, "message", "no reply after the message was sent", None, in_doubt=True),
        ),
        # The relay says when.
        (
            Verdict((GREY, GREY), GREY, "RCPT"),
            Deferred(300, 450, "RCPT", "450 4.2.0 Greylisted, try again in 300 seconds"),
        ),
    ],
)  # fmt: skip
def test_each_reply_has_its_outcome(verdict: Verdict, outcome: object) -> None:
    assert outcome_of(verdict) == outcome


TOO_FAST = Reply(454, "Throttling failure: Maximum sending rate exceeded.")
TOO_FAST_FOR_A_MINUTE = Reply(451, "4.7.1 Error: too much mail from 192.0.2.1, try again in 60 seconds")


@pytest.mark.parametrize(
    ("reply", "attempt", "delay"), [(TOO_FAST, 3, 10), (TOO_FAST_FOR_A_MINUTE, 1, 60), (LATER, 3, 300)]
)
def test_a_relay_that_has_had_enough_for_a_while_makes_no_mail_wait_long(
    reply: Reply, attempt: int, delay: float
) -> None:
    outcome = outcome_of(Verdict((), reply, "MAIL"), attempt=attempt)
    assert isinstance(outcome, Deferred)
    assert outcome.delay == delay


@pytest.mark.parametrize(
    ("phase", "age", "outcome"),
    [
        ("message", 0, Held("in_doubt", "no reply after the message was sent")),
        ("message", 2000, Held("in_doubt", "no reply after the message was sent")),
        ("content", 0, Deferred(10, 0, "content", "the session broke inside the message")),
        ("content", 2000, Failed("expired", "the session broke inside the message")),
    ],
)
def test_a_mail_in_doubt_waits_for_a_person_where_the_site_wants_that(phase: str, age: float, outcome: object) -> None:
    policy = replace(POLICY, hold_in_doubt=True)
    assert decide(Verdict((), None, phase), (A, B), 1, age, policy, 0.5) == outcome


def test_accepted_refused_and_deferred_recipients_each_get_their_own() -> None:
    outcome = outcome_of(Verdict((OK, NO, LATER), OK, "message"), (A, B, C))
    assert isinstance(outcome, Deferred)
    assert outcome.recipients == (C,)
    assert outcome.refused is not None
    assert outcome.refused.recipients == (B,)


def test_who_was_answered_does_not_depend_on_the_words() -> None:
    """The same text to a RCPT and to the content: one recipient was refused, and the message was."""
    outcome = outcome_of(Verdict((NO, OK), NO, "message"), (A, B))
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.recipients) == ("message_refused", None)
    refused = outcome_of(Verdict((NO, OK), OK, "message"), (A, B))
    assert isinstance(refused, Failed)
    assert (refused.reason, refused.recipients) == ("recipient_refused", (A,))


@pytest.mark.parametrize(
    ("age", "attempt", "delay"),
    [(0, 1, 10), (0, 2, 60), (0, 3, 300), (0, 99, 300), (700, 3, 300), (990, 1, 10)],
)
def test_the_wait_grows_with_the_attempts(age: float, attempt: int, delay: float) -> None:
    outcome = outcome_of(Verdict((), LATER, "MAIL"), attempt=attempt, age=age)
    assert isinstance(outcome, Deferred)
    assert outcome.delay == delay


def test_a_mail_that_would_wait_beyond_its_age_is_a_dead_letter_for_all_who_do_not_have_it() -> None:
    outcome = outcome_of(Verdict((LATER, NO, OK), OK, "message"), (A, B, C), attempt=3, age=701)
    assert outcome == Failed("expired", "not accepted in 1000 s; last: 451 try later", 451, (A, B))


def test_a_mail_in_doubt_expires_too() -> None:
    outcome = outcome_of(Verdict((), None, "message"), attempt=3, age=701)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.recipients) == ("expired", None)


def test_a_wait_that_is_asked_for_beyond_the_mails_age_ends_with_one_last_try() -> None:
    never = Reply(451, "try again in 9999 hours")
    outcome = outcome_of(Verdict((), never, "MAIL"), age=400)
    assert isinstance(outcome, Deferred)
    assert outcome.delay == 600


def test_a_shorter_wait_than_the_back_off_is_not_obeyed() -> None:
    outcome = outcome_of(Verdict((), Reply(451, "try again in 1 second"), "MAIL"))
    assert isinstance(outcome, Deferred)
    assert outcome.delay == 10


def test_what_the_relay_said_is_kept_but_not_without_end() -> None:
    outcome = outcome_of(Verdict((), Reply(550, "x" * 60_000), "MAIL"))
    assert isinstance(outcome, Failed)
    assert len(outcome.detail) == 500


REPLIES = st.sampled_from([OK, LATER, NO, GREY, Reply(421, "bye"), Reply(354, "go")])


@given(
    st.lists(REPLIES, min_size=0, max_size=4),
    REPLIES | st.none(),
    st.sampled_from(["MAIL", "RCPT", "DATA", "message", "SMTPUTF8"]),
    st.integers(1, 9),
    st.floats(0, 2000),
)
def test_nobody_is_forgotten_and_nobody_stands_in_two_places(
    replies: list[Reply], final: Reply | None, phase: str, attempt: int, age: float
) -> None:
    recipients = tuple(f"{number}@x.y" for number in range(4))
    outcome = outcome_of(Verdict(tuple(replies), final, phase), recipients, attempt, age)
    if isinstance(outcome, Deferred):
        assert 0 <= outcome.delay <= POLICY.max_age
        dead = outcome.refused.recipients or () if outcome.refused else ()
        assert not {*dead} & {*(outcome.recipients or ())}
    if isinstance(outcome, Sent):
        assert final is not None
        assert final.positive
