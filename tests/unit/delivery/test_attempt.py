"""Who is told of attempts hangs on the side: without anybody, and with somebody who fails, the mail flows as well."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mailworker.delivery.attempt import Attempt, Observer, returned, tell
from mailworker.delivery.log_lines import AttemptLog
from mailworker.delivery.settle import TOGETHER
from mailworker.errors import SpoolError
from mailworker.outcome import Deferred, Failed, Further, Held, OutcomeSoFar, Returned, Sent
from mailworker.smtp.journal import Outgoing
from mailworker.smtp.replies import Reply
from mailworker.smtp.verdict import Verdict
from mailworker.spool import Record, Settled, Taken
from tests.batches import batch_of

OK, LATER, NO = Reply(250, "ok"), Reply(451, "try later"), Reply(550, "5.1.1 no such user")
TAKEN = Verdict((OK,), OK, "message")


class Written:
    """A spool that writes down every outcome; while `away`, it raises."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[str, OutcomeSoFar]] = []
        self.away = False

    def settle(
        self, _: str, __: str, outcomes: Sequence[tuple[str, OutcomeSoFar]], commit: Sequence[str], *___: Any
    ) -> Settled:
        if self.away:
            raise SpoolError("Redis: away")
        self.outcomes += outcomes
        return Settled(list(commit), 0)

    def part_of(self, mail_id: str) -> str:
        return f"{mail_id}~1.7"


def record(number: int, *to: str) -> Record:
    payload = json.dumps({"to": list(to) or ["a@x.org"], "subject": "s", "body": "b"}).encode()
    return Record(f"m{number}", payload, len(payload), 1000, 0, None, 1000, f"m{number}")


def deliver(
    spool: Written, observers: list[Observer], verdict_of: Callable[[Outgoing], Verdict], count: int = 4
) -> dict[str, Attempt]:
    """A batch of so many mails, in the hands of a session that gets these verdicts."""
    batch = batch_of(
        spool, Taken([record(number) for number in range(count)], "default", False, None, 2000), None, observers
    )
    while mails := batch.next(2):
        for mail in batch.commit(mails):
            batch.done(mail, verdict_of(mail))
    batch.end(blame=False)
    return batch.attempts


def verdict_of(mail: Outgoing) -> Verdict:
    return {
        "m1": Verdict((LATER,), LATER, "RCPT"),
        "m2": Verdict((NO,), NO, "RCPT"),
        "m3": Verdict((OK,), None, "message"),
    }.get(mail.id, TAKEN)


def bug(_: Sequence[Attempt]) -> None:
    raise ValueError("of some@body.example")


def test_without_observers_and_with_one_that_fails_the_mail_flows_as_well(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Attempt] = []
    alone, watched = Written(), Written()
    assert [*deliver(alone, [], verdict_of)] == [*deliver(watched, [bug, told.extend], verdict_of)]
    kinds = {mail_id: type(outcome) for mail_id, outcome in watched.outcomes}
    assert kinds == {"m0": Sent, "m1": Deferred, "m2": Failed, "m3": Deferred}
    assert kinds == {mail_id: type(outcome) for mail_id, outcome in alone.outcomes}
    assert [attempt.id for attempt in told] == ["m0", "m1", "m2", "m3"]
    assert "an observer of attempts failed: ValueError at test_attempt.py" in caplog.text
    assert "some@body.example" not in caplog.text


def test_an_attempt_says_which_mail_which_relay_what_and_for_how_long() -> None:
    attempts = deliver(Written(), [], verdict_of)
    assert [attempt[:2] + attempt[3:5] for attempt in attempts.values()] == [
        ("m0", "default", 250, "message"),
        ("m1", "default", 451, "RCPT"),
        ("m2", "default", 550, "RCPT"),
        ("m3", "default", 0, "message"),
    ]
    assert all(0 <= attempt.seconds < 5 for attempt in attempts.values())


def test_an_attempt_is_told_once_it_is_written_and_not_before() -> None:
    told: list[Attempt] = []
    spool = Written()
    batch = batch_of(spool, Taken([record(0), record(1)], "default", False, None, 2000), None, [told.extend])
    [mail] = batch.commit(batch.next(1))
    spool.away = True
    batch.done(mail, Verdict((NO,), NO, "RCPT"))
    assert batch.commit(batch.next(1)) == []
    assert told == []
    spool.away = False
    batch.end(blame=False)
    assert [type(attempt.outcome) for attempt in told] == [Failed, Returned]


def test_mails_that_were_sent_are_told_together() -> None:
    groups: list[int] = []
    deliver(Written(), [lambda attempts: groups.append(len(attempts))], lambda _: TAKEN, 2 * TOGETHER + 10)
    assert groups == [TOGETHER, TOGETHER, 10]


def test_mails_to_which_nothing_happened() -> None:
    assert returned(["a", "b"], "bulk", 1.5) == {name: Attempt(name, "bulk", Returned(1.5)) for name in "ab"}


def test_what_an_observer_raises_does_not_keep_it_from_the_next_one() -> None:
    told: list[Sequence[Attempt]] = []
    tell([bug, told.append, bug], [Attempt("m", "default", Sent())])
    assert len(told) == 1


PART = Failed("recipient_refused", "550 <a@x.org>: no such user", 550, ("a@x.org",))


@pytest.mark.parametrize(
    ("outcome", "level", "line"),
    [
        (Sent(), logging.INFO, "sent: m"),
        (Deferred(60, 451, "RCPT", "451 <a@x.org>"), logging.INFO, "mail m waits (451 at RCPT); next attempt in 60 s"),
        (
            Deferred(60, 0, "message", "?", in_doubt=True), logging.WARNING,
            "mail m is in doubt (no reply at message); sent again in 60 s",
        ),
        (Failed("format", "x"), logging.WARNING, "mail m is a dead letter: format"),
        (Failed("message_refused", "554", 554), logging.WARNING, "mail m is a dead letter: message_refused (554)"),
        (Held("in_doubt", "?"), logging.WARNING, "mail m is a dead letter: in_doubt"),
        (
            Further(("b@x.org",), PART), logging.WARNING,
            "mail m~1.7 is a dead letter: recipient_refused (550 to some of m)",
        ),
    ],
)  # fmt: skip
def test_the_log_tells_ids_and_codes(
    outcome: OutcomeSoFar, level: int, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    AttemptLog(Written().part_of)([Attempt("m", "default", outcome)])
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(level, line)]


def test_the_log_is_silent_of_what_did_not_happen(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    AttemptLog(Written().part_of)([Attempt("m", "default", Returned()), Attempt("n", "default", Further(("b@x.org",)))])
    assert not caplog.records


def test_a_deferred_mail_tells_of_the_dead_letter_beside_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outcome = Deferred(60, 451, "RCPT", "451", ("b@x.org",), PART)
    AttemptLog(Written().part_of)([Attempt("m", "default", outcome), Attempt("n", "default", Sent())])
    assert [record.getMessage() for record in caplog.records] == [
        "mail m waits (451 at RCPT); next attempt in 60 s",
        "mail m~1.7 is a dead letter: recipient_refused (550 to some of m)",
        "sent: n",
    ]
