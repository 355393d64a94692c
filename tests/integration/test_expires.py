"""A mail whose caller wants it by a time should be a dead letter once that is over, and never be sent later."""

from __future__ import annotations

import time

import pytest
import redis

from mailworker.outcome import Deferred, Failed
from mailworker.spool import Abandoned, Queries, Spool
from tests.spools import queries_of, spool_of

QUEUE = "queue:email"


@pytest.fixture
def told() -> list[Abandoned]:
    return []


@pytest.fixture
def spool(client: redis.Redis, told: list[Abandoned]) -> Spool:
    return spool_of(client, [QUEUE], told.append)


@pytest.fixture
def queries(client: redis.Redis) -> Queries:
    return queries_of(client, [QUEUE])


def in_ms(seconds: float) -> int:
    return round((time.time() + seconds) * 1000)


def dead(queries: Queries) -> list[tuple[str, str]]:
    return [(letter.id, letter.reason) for letter in queries.dead_letters()]


def test_who_takes_it_in_time_is_told_when_it_ends(spool: Spool) -> None:
    expires = in_ms(60)
    spool.accept("m", b"{}", expires=expires)
    spool.accept("n", b"{}")
    spool.client.lpush(QUEUE, b"{}")
    (listed,) = spool.claim("w/1", "", 10).together
    taken = spool.take("w/1", ["m", "n", listed]).records
    assert [(record.expires, record.framed) for record in taken] == [(expires, True), (0, True), (0, False)]


@pytest.mark.parametrize("relay_is_down", [True, False])
def test_taken_too_late_it_is_a_dead_letter(
    relay_is_down: bool, spool: Spool, queries: Queries, told: list[Abandoned]
) -> None:
    if relay_is_down:
        spool.relay_failed("default", "535", configuration=True)
    spool.accept("m", b"{}", expires=in_ms(-1))
    assert spool.take("w/1", ["m"]).records == []
    assert dead(queries) == [("m", "expired")]
    assert told == [Abandoned("m", "expired")]
    assert queries.status()["totals"]["failed"] == 1
    assert spool.client.zcard("mailworker:due") == 0


@pytest.mark.parametrize("state", ["queued", "deferred"])
def test_no_doorbell_is_rung_for_what_is_over(state: str, spool: Spool, queries: Queries) -> None:
    spool.accept("m", b"{}", expires=in_ms(0.2))
    if state == "deferred":
        spool.take("w/1", ["m"])
        spool.settle("default", "w/1", [("m", Deferred(0.1, 451, "RCPT", "later"))], end=True)
    else:
        spool.wake(["m"])
    time.sleep(0.25)
    claimed = spool.claim("w/1", "", 10)
    assert claimed.together + claimed.alone == []
    assert dead(queries) == [("m", "expired")]


def test_who_has_it_tried_again_wants_it_sent(spool: Spool, queries: Queries) -> None:
    spool.accept("over", b"{}", expires=in_ms(-1))
    spool.accept("not yet", b"{}", expires=in_ms(60))
    spool.take("w/1", ["over", "not yet"])
    spool.settle("default", "w/1", [("not yet", Failed("refused", "no"))], end=True)
    assert spool.retry(["over", "not yet"]) == 2
    taken = spool.take("w/1", ["over", "not yet"]).records
    assert [(record.id, bool(record.expires)) for record in taken] == [("over", False), ("not yet", True)]


def test_a_part_of_it_is_wanted_by_the_same_time(spool: Spool) -> None:
    spool.accept("m", b"{}", expires=in_ms(60))
    spool.take("w/1", ["m"])
    refused = Failed("recipient_refused", "no", 550, ("a@x.org",))
    spool.settle("default", "w/1", [("m", Deferred(9, 451, "RCPT", "later", ("b@x.org",), refused))], end=True)
    part = spool.part_of("m")
    assert spool.retry([part]) == 1
    (record,) = spool.take("w/1", [part]).records
    assert record.expires
