"""A verdict, the mail's record and the time make one attempt."""

from __future__ import annotations

from typing import Any

import pytest

from mailworker.delivery import judge
from mailworker.delivery.back_off import Policy
from mailworker.delivery.judge import Judge
from mailworker.delivery.split import SplitMails
from mailworker.envelope import Envelope
from mailworker.outcome import Deferred, Failed, Further, Held, Sent
from mailworker.smtp.journal import Outgoing
from mailworker.smtp.replies import Reply
from mailworker.smtp.verdict import Verdict
from mailworker.spool import Record, Taken

A, B, C = "a@x.y", "b@x.y", "c@x.y"
OK, LATER, NO = Reply(250, "ok"), Reply(451, "try later"), Reply(550, "no such user")
POLICY = Policy(delays=(10, 60), max_age=1000, jitter=0, hold_in_doubt=True)
REDIS_NOW = 5_000_000


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    now = {"now": 100.0}
    monkeypatch.setattr(judge.time, "monotonic", lambda: now["now"])
    return now


def judging(tries: int = 0, age: float = 0, split: SplitMails | None = None, expires: int = 0) -> Judge:
    since = REDIS_NOW - round(age * 1000)
    record = Record("m", b"", 0, since, tries, None, since, "m", expires=expires)
    taken = Taken([record], "default", False, None, REDIS_NOW)
    return Judge(taken, "bulk", POLICY, split or SplitMails())


def mail(*recipients: str) -> Outgoing:
    return Outgoing("m", Envelope("site@x.y", recipients, b"x"))


@pytest.mark.parametrize(
    ("verdict", "kind", "code"),
    [
        (Verdict((OK, OK), OK, "message"), Sent, 250),
        (Verdict((OK, LATER), OK, "message"), Deferred, 451),  # of the reply that decided
        (Verdict((OK, NO), OK, "message"), Failed, 550),
        (Verdict((LATER, NO), NO, "RCPT"), Deferred, 451),
        (Verdict((OK, OK), None, "message"), Held, 0),
        (Verdict((OK, OK), None, "content"), Deferred, 0),
    ],
)
def test_it_says_what_was_decided_by_which_reply(verdict: Verdict, kind: type, code: int) -> None:
    attempt = judging()(mail(A, B), verdict, 97.5)
    assert type(attempt.outcome) is kind
    assert (attempt.id, attempt.relay, attempt.code, attempt.phase) == ("m", "bulk", code, verdict.phase)
    assert attempt.seconds == 2.5


@pytest.mark.parametrize(("tries", "delay"), [(0, 10), (1, 60), (7, 60)])
def test_the_attempts_that_ended_count(tries: int, delay: float) -> None:
    outcome: Any = judging(tries)(mail(A), Verdict((LATER,), LATER, "RCPT"), 0).outcome
    assert outcome.delay == delay


def test_a_mail_ages_by_redis_s_clock_and_while_it_is_in_hand(clock: dict[str, float]) -> None:
    judge_of = judging(age=980)
    later = Verdict((LATER,), LATER, "RCPT")
    assert isinstance(judge_of(mail(A), later, 100).outcome, Deferred)
    clock["now"] += 11
    assert judge_of(mail(A), later, 100).outcome == Failed(
        "expired", "not accepted in 1000 s; last: 451 try later", 451
    )


@pytest.mark.parametrize(
    ("tries", "seconds", "kind", "detail"),
    [
        (0, 11, Deferred, "451 try later"),
        (0, 9, Failed, "not accepted in 29 s; last: 451 try later"),
        (1, 59, Failed, "not accepted in 79 s; last: 451 try later"),
        (0, 5000, Deferred, "451 try later"),
        (3, 5000, Deferred, "451 try later"),
    ],
)
def test_what_would_be_tried_again_after_it_has_expired_is_a_dead_letter_now(
    tries: int, seconds: float, kind: type, detail: str
) -> None:
    """The back-off waits 10 s, and 60 s after later attempts."""
    judge_of = judging(tries, age=20, expires=REDIS_NOW + round(seconds * 1000))
    outcome: Any = judge_of(mail(A), Verdict((LATER,), LATER, "RCPT"), 97.5).outcome
    assert (type(outcome), outcome.detail) == (kind, detail)


def test_a_longer_life_than_the_sites_is_the_sites() -> None:
    outcome = judging(age=995, expires=REDIS_NOW + 90_000)(mail(A), Verdict((LATER,), LATER, "RCPT"), 97.5).outcome
    assert outcome == Failed("expired", "not accepted in 1000 s; last: 451 try later", 451)


def test_it_knows_what_has_expired_meanwhile(clock: dict[str, float]) -> None:
    judge_of = judging(expires=REDIS_NOW + 3000)
    assert not judge_of.has_expired("m")
    clock["now"] += 3.1
    assert judge_of.has_expired("m")
    assert not judge_of.has_expired("another")
    assert not judging().has_expired("m")


def test_a_mail_that_was_split_goes_on() -> None:
    split = SplitMails()
    first = split.narrow(mail(A, B, C), 2)
    attempt = judging(split=split)(first, Verdict((OK, NO), OK, "message"), 0)
    assert attempt.outcome == Further((C,), Failed("recipient_refused", "550 no such user", 550, (B,)))
