"""A batch ends with its outcomes written, or with the end of a stop that Redis holds up."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from mailworker.delivery import settle
from mailworker.delivery.batch_limits import BatchLimits
from mailworker.errors import SpoolError
from mailworker.mail.email import Limits
from mailworker.outcome import Failed, Returned
from mailworker.smtp.replies import Reply
from mailworker.smtp.verdict import Verdict
from mailworker.spool import Record, Settled, Taken
from tests.batches import batch_of


class Away:
    """A spool whose Redis comes back after so many calls."""

    def __init__(self, calls: int) -> None:
        self.left = calls
        self.settled: list[Any] = []

    def settle(self, _: str, __: str, outcomes: Any, commit: Any = (), *___: Any) -> Settled:
        self.left -= 1
        if self.left >= 0:
            raise SpoolError("Redis: away")
        self.settled += [mail_id for mail_id, _ in outcomes]
        return Settled(list(commit), 0)

    def part_of(self, mail_id: str) -> str:
        return mail_id


@pytest.mark.parametrize(
    ("stopping", "hurried", "seconds", "calls", "written"),
    [
        (False, False, 0.0, 3, ["m"]),  # nobody stops: it waits for Redis however long that takes
        (True, False, 9.0, 3, ["m"]),
        (True, False, 0.0, 3, []),
        (True, True, 9.0, 3, []),
        (True, True, 9.0, 0, ["m"]),  # Redis is there
    ],
)
def test_a_stop_waits_for_redis_for_a_time_and_not_for_ever(
    stopping: bool, hurried: bool, seconds: float, calls: int, written: list[str],
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(settle, "STOP_SECONDS", seconds)
    monkeypatch.setattr(settle.time, "sleep", lambda _: None)
    spool: Any = Away(calls)
    record = Record("m", b"{}", 2, 0, 0, None, 0, "m")
    limits = BatchLimits(60, stopping=lambda: stopping, hurried=lambda: hurried)
    batch_of(spool, Taken([record], "default", False, None, 0), limits).end(blame=False)
    assert spool.settled == written
    assert ("Redis took no outcomes of 1 mails" in caplog.text) is (not written)


ENOUGH = Reply(450, "4.7.1 Error: too much mail from 192.0.2.1")


@pytest.mark.parametrize("part", [1, 2, 3])
def test_a_relay_that_has_had_enough_between_the_parts_of_a_mail_is_told_no_further_part(part: int) -> None:
    spool: Any = Away(0)
    payload = json.dumps({"to": [f"{number}@x.org" for number in range(3)], "subject": "s", "body": "b"}).encode()
    batch = batch_of(spool, Taken([Record("m", payload, len(payload), 0, 0, None, 0, "m")], "default", False, None, 0))
    batch._warm.lessons.takes_recipients(1)
    told = 0
    while mails := batch.next(1):
        told += 1
        batch.commit(mails)
        reply = ENOUGH if told == part else Reply(250, "ok")
        batch.done(mails[0], Verdict((reply,), reply, "RCPT" if reply is ENOUGH else "message"))
    assert told == part
    assert batch.slower is not None


def test_what_expires_while_it_waits_in_a_batch_is_not_begun() -> None:
    entry = b'{"to":"a@x.org","subject":"s","body":"t"}'
    over, good = (Record(name, entry, len(entry), 1, 0, None, 1, name, expires=expires) for name, expires in
                  (("over", 4_999), ("good", 90_000)))  # fmt: skip
    batch = batch_of(Away(0), Taken([over, good], "default", False, None, 5_000))
    assert [mail.id for mail in batch.next(2)] == ["good"]
    outcome = batch.attempts["over"].outcome
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.recipients) == ("expired", None)


def test_an_entry_that_says_that_it_waits_goes_back_until_then_and_its_age_counts_from_there() -> None:
    entry = b'{"to":"a@x.org","subject":"s","body":"t","send_at":%d}' % (time.time() + 3600)
    taken = Taken([Record("m", entry, len(entry), 1, 0, None, 1, "m")], "default", False, None, 1)
    batch = batch_of(Away(0), taken, mail=Limits(legacy_fields=frozenset({"send_at"})))
    assert batch.next(1) == []
    outcome = batch.attempts["m"].outcome
    assert isinstance(outcome, Returned)
    assert 3500 < outcome.delay <= 3600
    assert outcome.waits


def test_a_large_mail_that_left_is_let_go_but_where_it_goes_on_to_others() -> None:
    entry = b'{"to":["a@x.org","b@x.org"],"subject":"s","body":"t"}'
    records = [Record(name, entry, len(entry), 1, 0, None, 1, name) for name in ("whole", "split")]
    batch = batch_of(Away(0), Taken(records, "default", False, None, 1))
    (whole,) = batch.next(1)
    batch._warm.lessons.takes_recipients(1)
    (split,) = batch.next(1)
    batch.commit([whole, split])
    assert batch.left(whole).envelope.data == b""
    assert batch.under_way["whole"][0].envelope.data == b""
    assert batch.left(split) is split
    yes = Reply(250, "ok")
    batch.done(split, Verdict((yes,), yes, "message"))
    (rest,) = batch.next(1)
    assert (rest.envelope.recipients, rest.envelope.data) == (("b@x.org",), split.envelope.data)
