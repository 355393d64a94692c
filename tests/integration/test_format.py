"""A spool of an older version should be migrated with all that is in it, and one of a newer version be left alone."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
import redis

from mailworker.errors import NewerFormat, SpoolError, WrongFormat
from mailworker.outcome import Failed, Sent
from mailworker.spool import Queries, Spool
from mailworker.spool.constants import SPOOL_FORMAT
from mailworker.worker.pulse import Pulse
from tests.spools import queries_of, spool_of

QUEUE = "queue:email"
NEWER = SPOOL_FORMAT + 1


@pytest.fixture
def spool(client: redis.Redis) -> Spool:
    return spool_of(client, [QUEUE])


@pytest.fixture
def queries(client: redis.Redis) -> Queries:
    return queries_of(client, [QUEUE])


def now(client: redis.Redis) -> int:
    seconds, micros = client.time()  # type: ignore[misc]
    return int(seconds * 1000 + micros // 1000)


def an_older_spool(client: redis.Redis) -> None:
    """As format 1 has it: two mails that wait, a deferred one, two dead letters, an open breaker, and a limit."""
    at = now(client) - 60_000
    records: dict[str, dict[str, Any]] = {
        "1": {"state": "queued", "payload": b"one\0", "queue": QUEUE},
        "2": {"state": "queued", "payload": b"two", "queue": "", "sequence": 2, "keyed": 1},
        "3": {"state": "deferred", "size": 9000, "queue": QUEUE, "tries": 4, "reason": "deferred",
              "detail": "450 later"},
        "4": {"state": "failed", "payload": b"four", "queue": QUEUE, "reason": "refused", "detail": "550", "code": 550,
              "ended": at, "tries": 1, "alone": 1, "revived": 2},
        "5": {"state": "held", "payload": b"five", "queue": "", "reason": "in_doubt", "detail": "?", "ended": at,
              "sequence": 5},
    }  # fmt: skip
    for mail_id, record in records.items():
        client.hset(f"mailworker:mail:{mail_id:>012}", mapping=record | {"at": at})
        dead = record["state"] in ("failed", "held")
        client.zadd("mailworker:dead" if dead else "mailworker:due", {f"{mail_id:>012}": at})
    client.zadd("mailworker:due", {f"{3:012}": now(client) + 60_000})
    client.rpush(f"mailworker:payload:{3:012}", b"x" * 9000)
    counts = {"queued": 2, "deferred": 1, "failed": 1, "held": 1, "total:sent": 7, "total:claimed": 10}
    client.hset("mailworker:counts", mapping=counts)
    client.set("mailworker:sequence", 5)
    breaker = {"failures": 3, "since": at, "open_until": now(client) + 40_000, "interval": 60_000, "text": "535 no"}
    client.hset("mailworker:relay", mapping=breaker | {"configuration": 1, "place": "mail:25", "sent": 7, "slower": 0})
    client.hset("mailworker:limit", mapping={"connections": 3, "interval": 1000, "try_at": at, "refused": 0})
    client.set("mailworker:ring", "gone:1/2 abc", px=5000)
    client.set("mailworker:probe", "gone:1/2", px=20_000)
    client.hset("mailworker:refused", mapping={"said": "no", "sent": 7})
    client.sadd("mailworker:refused:ids", f"{4:012}")
    client.zadd("mailworker:places", {"gone:1/2": at})
    client.zadd("mailworker:late", {"a call": at})


def test_an_empty_redis_gets_the_format_of_this_version(spool: Spool, client: redis.Redis) -> None:
    assert spool.accept("m", b"{}").new
    assert client.get("mailworker:format") == str(SPOOL_FORMAT).encode()


def test_an_older_spool_is_migrated_with_all_that_is_in_it(
    spool: Spool, queries: Queries, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    an_older_spool(client)
    spool.beat("w:1", 5, [])
    assert "migrated, with 5 mails" in caplog.text
    status = queries.status()
    assert status["states"] == {"queued": 2, "leased": 0, "committing": 0, "deferred": 1, "failed": 1, "held": 1}
    assert status["totals"]["sent"] == 7
    assert client.hget("mailworker:counts", "sent:default") == b"7"
    relay = status["relays"]["default"]
    assert (relay["open"], relay["needs_operator"], relay["connections"]) == (True, True, 3)
    assert (relay["last_error"], relay["place"]) == ("535 no", "mail:25")
    assert [(letter.id[-1], letter.source, letter.raw) for letter in queries.dead_letters()] == [
        ("4", QUEUE, b"four"), ("5", "delay", b"five"),
    ]  # fmt: skip
    assert [(mail.source, len(mail.payload)) for _, _, mail in queries.waiting(dead=False)] == [
        (QUEUE, 4), ("", 3), (QUEUE, 9000),
    ]  # fmt: skip
    old = {
        b"mailworker:" + name for name in (b"relay", b"limit", b"ring", b"probe", b"refused", b"refused:ids", b"places")
    }
    assert not old & set(client.keys())  # type: ignore[arg-type]
    assert 0 < client.ttl("mailworker:late") <= 86_400  # type: ignore[operator]
    for number in range(1, 6):
        record = client.hgetall(f"mailworker:mail:{number:012}")
        assert not {b"queue", b"revived"} & set(record)  # type: ignore[arg-type]


def test_the_mails_of_an_older_spool_are_sent_afterwards(spool: Spool, client: redis.Redis) -> None:
    an_older_spool(client)
    client.delete("mailworker:relay", "mailworker:probe")
    spool.hasten()
    claimed = spool.claim("w:1/1.1.0", "", 10).together
    taken = spool.take("w:1/2.1.0", claimed).records
    assert sorted(record.id[-1] for record in taken) == ["1", "2", "3"]
    assert [record.tries for record in taken if record.size == 9000] == [4]
    spool.settle("default", "w:1/2.1.0", [(record.id, Sent()) for record in taken], end=True)
    assert spool.retry([f"{4:012}"]) == 1
    assert not client.exists(f"mailworker:payload:{3:012}")
    assert not client.hexists(f"mailworker:mail:{4:012}", "alone")


def test_a_mail_that_an_older_program_still_puts_in_is_sent_like_the_others(spool: Spool, client: redis.Redis) -> None:
    spool.beat("w:1", 5, [])
    record = {"state": "queued", "payload": b"{}", "at": now(client), "queue": "", "sequence": 1}
    client.hset("mailworker:mail:late", mapping=record)
    client.hincrby("mailworker:counts", "queued", 1)
    client.zadd("mailworker:due", {"late": now(client)})
    assert spool.claim("w:1/1.1.0", "", 10).together == ["late"]
    assert [record.id for record in spool.take("w:1/1.1.0", ["late"]).records] == ["late"]


def test_format_2_is_migrated_by_its_number_alone(spool: Spool, client: redis.Redis) -> None:
    for name in ("waits", "dead"):
        spool.accept(name, b"{}", keyed=True)
    spool.take("w:1/1.1.0", ["dead"])
    spool.settle("default", "w:1/1.1.0", [("dead", Failed("refused", "no"))], end=True)
    client.hdel("mailworker:owners", "w:1/1.1.0")
    client.set("mailworker:format", 2)
    before = {key: client.dump(key) for key in client.scan_iter() if key != b"mailworker:format"}
    client.hset("mailworker:heard", "old:1", now(client) - 2000)
    with pytest.raises(WrongFormat, match="1 workers of the older version"):
        spool.accept("m", b"{}")
    client.delete("mailworker:heard")
    spool.runner.migrate()
    assert client.get("mailworker:format") == str(SPOOL_FORMAT).encode()
    assert {key: client.dump(key) for key in client.scan_iter() if key != b"mailworker:format"} == before
    assert spool.accept("m", b"{}").new


def test_nothing_is_migrated_while_a_worker_of_the_older_version_is_at_work(spool: Spool, client: redis.Redis) -> None:
    an_older_spool(client)
    client.hset("mailworker:heard", mapping={"old:1": now(client) - 2000, " moved": now(client)})
    with pytest.raises(WrongFormat, match="1 workers of the older version") as raised:
        spool.beat("w:1", 5, [])
    assert not isinstance(raised.value, NewerFormat)
    assert client.exists("mailworker:relay")
    client.hset("mailworker:heard", "old:1", now(client) - 11_000)
    spool.beat("w:1", 5, [])
    assert client.exists("mailworker:relay:default")


def test_a_migration_is_done_once_however_often_it_is_asked_for(spool: Spool, client: redis.Redis) -> None:
    an_older_spool(client)
    spool.beat("w:1", 5, [])
    before = {key: client.dump(key) for key in client.keys("mailworker:mail:*")}  # type: ignore[union-attr]
    client.delete("mailworker:format")
    client.hdel("mailworker:heard", "w:1")
    spool.wake([])
    assert {key: client.dump(key) for key in client.keys("mailworker:mail:*")} == before  # type: ignore[union-attr]
    assert client.hget("mailworker:relay:default", "text") == b"535 no"


def test_a_newer_spool_is_left_alone(spool: Spool, client: redis.Redis) -> None:
    ids = [spool.accept("m", b"{}").id]
    client.lpush(QUEUE, b"x")
    client.set("mailworker:format", NEWER)
    before = {key: client.dump(key) for key in client.scan_iter()}  # type: ignore[union-attr]
    calls: list[Any] = [
        lambda: spool.beat("w:1", 5, []), lambda: spool.claim("w:1/1.1.0", "", 10),
        lambda: spool.take("w:1/1.1.0", ids), lambda: spool.accept("n", b"{}"), lambda: spool.look("t"),
        lambda: spool.release("w:1", died=True), lambda: spool.retry(ids), spool.hasten,
        lambda: spool.relay_works("default"),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(NewerFormat, match=rf"format {NEWER}, and this one knows {SPOOL_FORMAT}"):
            call()
    assert {key: client.dump(key) for key in client.scan_iter()} == before  # type: ignore[union-attr]


def test_what_was_taken_before_is_settled_in_a_newer_spool_too(spool: Spool, client: redis.Redis) -> None:
    """No version migrates while a worker is at work; but what the relay has is told, or it would be mailed again."""
    spool.accept("m", b"{}")
    spool.take("w:1/1.1.0", ["m"])
    client.set("mailworker:format", NEWER)
    spool.runner._lost = {b"an answer": None}
    spool.settle("default", "w:1/1.1.0", [("m", Sent())])
    assert not client.exists("mailworker:mail:m")
    assert not spool.runner._lost


def test_who_only_reads_says_what_is_wrong_with_the_format(queries: Queries, client: redis.Redis) -> None:
    an_older_spool(client)
    assert queries.status()["totals"]["sent"] == 7
    for read in (lambda: list(queries.dead_letters()), lambda: queries.waiting(dead=True), queries.doubts):
        with pytest.raises(WrongFormat, match="older format"):
            read()
    client.set("mailworker:format", NEWER)
    for read in (queries.status, lambda: list(queries.dead_letters()), lambda: queries.waiting(dead=True)):
        with pytest.raises(NewerFormat):
            read()


def test_the_pulse_ends_a_worker_that_meets_a_newer_spool(spool: Spool, client: redis.Redis) -> None:
    stop, told = threading.Event(), list[SpoolError]()

    def end(error: NewerFormat) -> None:
        told.append(error)
        stop.set()

    pulse = Pulse(spool, "w:1", lambda: 1, end)
    client.set("mailworker:format", NEWER)
    pulse.run(stop)
    assert [type(error) for error in told] == [NewerFormat]
    assert json.loads(client.get("mailworker:format") or "0") == NEWER  # type: ignore[arg-type]
