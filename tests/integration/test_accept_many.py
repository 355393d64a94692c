"""Many mails should be accepted with one script: all of a step or none, and each of them once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from mailworker.errors import IdempotencyError, SpoolError
from mailworker.outcome import Failed, Sent
from mailworker.spool import STEP, New, Queries, Spool, steps
from tests.spools import queries_of, spool_of

QUEUE = "queue:email"
ONE, TWO = b"1" * 16, b"2" * 16


@pytest.fixture
def client(client: redis.Redis) -> Iterator[redis.Redis]:
    """Its limits of memory are as before afterwards."""
    yield client
    client.config_set("maxmemory", 0)


@pytest.fixture
def spool(client: redis.Redis) -> Spool:
    return spool_of(client, [QUEUE], batch=100)


@pytest.fixture
def queries(client: redis.Redis) -> Queries:
    return queries_of(client, [QUEUE])


def keyed(mail_id: str, digest: bytes = ONE, payload: bytes = b"{}") -> New:
    return New(mail_id, payload, keyed=True, digest=digest)


def test_they_are_taken_in_their_order_with_what_each_of_them_asks_for(spool: Spool, queries: Queries) -> None:
    mails = [
        New("a", b"1"), New("b", b"2" * 9000, delay=60, expires=9_999_999_999_999), keyed("c"), New("d", b"4"),
    ]  # fmt: skip
    accepted = spool.accept_many(mails)
    assert [(answer.id, answer.new) for answer in accepted] == [(name, True) for name in "abcd"]
    assert [mail_id for _, mail_id, _ in queries.waiting(dead=False)] == list("abcd")
    assert queries.status()["states"] | {"queued": 3, "deferred": 1} == queries.status()["states"]
    assert queries.status()["totals"]["accepted"] == 4
    taken = spool.take("w/1", ["a", "c", "d"]).records
    assert [(record.payload, record.framed) for record in taken] == [(b"1", True), (b"{}", True), (b"4", True)]


def test_one_of_them_is_rung_for_and_the_bridge_rings_for_the_others(spool: Spool) -> None:
    accepted = spool.accept_many([New("late", b"{}", delay=9), *[New(f"m{number}", b"{}") for number in range(9)]])
    assert [answer.id for answer in accepted if answer.ring] == ["m0"]
    taken = spool.take("w/1", ["m0"])
    assert taken.ring
    claimed = spool.claim("w/2", taken.ring, 100).together
    assert sorted(claimed) == [f"m{number}" for number in range(1, 9)]


def test_a_flood_rings_for_none(spool: Spool) -> None:
    spool.accept_many([New(f"m{number}", b"{}") for number in range(200)])
    spool.claim("w/2", "", 1000)
    assert not any(answer.ring for answer in spool.accept_many([New("n", b"{}"), New("o", b"{}")]))


def test_a_second_call_with_the_same_ids_makes_no_second_mail(spool: Spool, queries: Queries) -> None:
    mails = [keyed(f"m{number}") for number in range(5)]
    spool.accept_many(mails[:3])
    spool.take("w/1", ["m0", "m1"])
    spool.settle("default", "w/1", [("m0", Sent()), ("m1", Failed("refused", "no"))], end=True)
    answers = spool.accept_many(mails)
    assert [(answer.id, answer.new) for answer in answers] == [(f"m{number}", number > 2) for number in range(5)]
    assert queries.status()["totals"]["accepted"] == 5


def test_another_mail_under_a_known_key_is_named_and_nothing_of_its_step_is_accepted(
    spool: Spool, client: redis.Redis, queries: Queries
) -> None:
    spool.accept_many([keyed("a")])
    before = queries.status()
    for mails in ([keyed("b"), keyed("a", TWO)], [keyed("b"), keyed("b", TWO)]):
        with pytest.raises(IdempotencyError) as raised:
            spool.accept_many(mails)
        assert raised.value.index == 1
        assert not client.exists("mailworker:mail:b", "mailworker:day:b")
    assert queries.status()["states"] == before["states"]


def test_the_same_mail_twice_in_a_step_is_one(spool: Spool, queries: Queries) -> None:
    answers = spool.accept_many([keyed("a"), keyed("a"), New("a", b"{}", keyed=True)])
    assert [answer.new for answer in answers] == [True, False, False]
    assert queries.status()["states"]["queued"] == 1


def test_a_dead_letter_of_an_earlier_day_swallows_none_of_them(
    spool: Spool, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.accept_many([keyed("a")])
    spool.take("w/1", ["a"])
    spool.settle("default", "w/1", [("a", Failed("refused", "no"))], end=True)
    client.delete("mailworker:day:a")
    monkeypatch.setattr("mailworker.spool.acceptance.os.urandom", lambda count: b"1" * count)  # the same call
    first, again = ([answer.id for answer in spool.accept_many([keyed("a", TWO), New("b", b"{}")])] for _ in "12")
    assert first == again
    assert first[0].startswith("a~")
    assert [record.id for record in spool.take("w/1", first).records] == first


def test_a_step_whose_answer_was_lost_makes_no_second_mails_though_they_were_sent(
    spool: Spool, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailworker.spool.acceptance.os.urandom", lambda count: b"1" * count)  # the same call
    mails = [New(f"m{number}", b"{}") for number in range(9)]
    spool.accept_many(mails)
    spool.take("w/1", [mail.id for mail in mails])
    spool.settle("default", "w/1", [(mail.id, Sent()) for mail in mails], end=True)
    assert [(answer.id, answer.new, answer.ring) for answer in spool.accept_many(mails)] == [
        (mail.id, True, False) for mail in mails
    ]
    assert queries.status()["totals"]["accepted"] == 9
    assert not any(queries.status()["states"].values())


def test_a_full_redis_takes_none(spool: Spool, client: redis.Redis) -> None:
    client.set("mailworker:format", 3)
    before = sorted(client.keys())  # type: ignore[type-var]
    client.config_set("maxmemory", 1)
    with pytest.raises(SpoolError):
        spool.accept_many([keyed("a"), New("b", b"{}"), New("c", b"{}" * 9000)])
    assert sorted(client.keys()) == before  # type: ignore[type-var]


def test_steps_are_as_large_as_one_script_should_be_and_hold_all() -> None:
    mails = [New(f"m{number}", b"x" * (1 if number % 100 else 700_000)) for number in range(1000)]
    found = list(steps(mails))
    assert [mail for step in found for mail in step] == mails
    assert all(len(step) <= STEP[0] and sum(len(mail.payload) for mail in step) <= STEP[1] for step in found)
    assert [len(step) for step in steps([New("m", b"x" * 2 * STEP[1])] * 2)] == [1, 1]
    assert list(steps([])) == []
    shared, own = {"s": b"x" * 20_000_000}, [{str(number): b"x" * 5_000_000} for number in range(7)]
    assert [len(step) for step in steps([New("m", b"", blobs=shared)] * 9)] == [9]
    assert [len(step) for step in steps([New("m", b"", blobs=blobs) for blobs in own])] == [3, 3, 1]
    assert [len(step) for step in steps([New("m", b"", blobs=shared | blobs) for blobs in own[:2]])] == [1, 1]
    assert len(list(steps([New("m", b"")] * STEP[0]))) == 1
