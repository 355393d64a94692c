"""A file that many mails have should be in Redis once, as long as a record needs it, and not a moment longer."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from mailworker.delivery.giveback import give_back
from mailworker.errors import SpoolError
from mailworker.mail.email import Limits
from mailworker.outcome import Deferred, Failed, Further, Held, OutcomeSoFar, Returned, Sent
from mailworker.spool import New, Queries, Spool
from tests.spools import PREFIX, queries_of, spool_of
from trials.files import faults

QUEUE = "queue:email"
FILE, OTHER = b"%PDF" * 5000, b"GIF" * 5000
DIGEST, DIGEST_OF_OTHER = (hashlib.sha256(octets).hexdigest() for octets in (FILE, OTHER))
BLOBS = {DIGEST: FILE}
BOTH = {DIGEST: FILE, DIGEST_OF_OTHER: OTHER}
KEY = f"mailworker:blob:{DIGEST}"


@pytest.fixture
def client(client: redis.Redis) -> Iterator[redis.Redis]:
    """Its limits of memory are as before afterwards."""
    yield client
    client.config_set("maxmemory", 0)
    client.config_set("maxmemory-policy", "noeviction")


@pytest.fixture
def spool(client: redis.Redis) -> Spool:
    return spool_of(client, [QUEUE], batch=10)


@pytest.fixture
def queries(client: redis.Redis) -> Queries:
    return queries_of(client, [QUEUE])


def end(spool: Spool, mail_id: str, outcome: Any) -> None:
    assert spool.take("w/1", [mail_id]).records
    spool.settle("default", "w/1", [], [mail_id])
    spool.settle("default", "w/1", [(mail_id, outcome)], end=True)


def nothing_is_left(client: redis.Redis) -> bool:
    return not client.keys("mailworker:blob*")


def test_a_file_is_stored_once_and_gone_with_the_last_mail_that_needs_it(spool: Spool, client: redis.Redis) -> None:
    for name in "abc":
        assert spool.accept(name, b"{}", blobs=BLOBS).new
    assert spool.blobs([DIGEST, "f" * 64]) == {DIGEST: FILE}
    assert spool.blob_uses([DIGEST, "f" * 64]) == {DIGEST: 3, "f" * 64: 0}
    assert client.ttl(KEY) == -1
    end(spool, "a", Sent())
    end(spool, "b", Sent())
    assert spool.blobs([DIGEST]) == BLOBS
    end(spool, "c", Sent())
    assert nothing_is_left(client)
    assert spool.accept("d", b"{}", blobs=BLOBS).new
    assert spool.blobs([DIGEST]) == BLOBS


def test_a_file_is_sent_to_redis_where_it_is_missing_and_not_else(spool: Spool, client: redis.Redis) -> None:
    spool.accept("a", b"{}", blobs=BLOBS)
    client.config_resetstat()
    spool.accept("b", b"{}", blobs=BOTH)
    spool.accept_many([New(f"m{number}", b"{}", blobs=BOTH) for number in range(20)])
    assert client.info("commandstats")["cmdstat_set"]["calls"] <= 2  # the other file, and the sign of the step
    assert spool.blob_uses([DIGEST, DIGEST_OF_OTHER]) == {DIGEST: 22, DIGEST_OF_OTHER: 21}


@pytest.mark.parametrize("keyed", [True, False])
def test_every_way_a_record_ends_frees_its_file(
    keyed: bool, spool: Spool, client: redis.Redis, queries: Queries
) -> None:
    ends = {
        "sent": lambda: end(spool, "sent", Sent()),
        "dropped": lambda: (end(spool, "dropped", Failed("refused", "no")), spool.drop(["dropped"])),
        "held": lambda: (end(spool, "held", Held("in_doubt", "?")), spool.drop(["held"])),
        "retried": lambda: (
            end(spool, "retried", Failed("refused", "no")), spool.retry(["retried"]), end(spool, "retried", Sent()),
        ),
        "late": lambda: (
            spool.take("w/2", ["late"]), spool.settle("default", "w/2", [], ["late"]), spool.release("w/2", died=True),
            spool.settle("default", "w/2", [("late", Sent())], end=True),
        ),
        "given": lambda: spool.give_back([("given", QUEUE, b"{}")]),
    }  # fmt: skip
    for name in ends:
        spool.accept(name, b"x" * (9000 if name == "sent" else 1), keyed=keyed, blobs=BLOBS)
    assert spool.blob_uses([DIGEST]) == {DIGEST: len(ends)}
    for left, act in reversed(list(enumerate(ends.values()))):
        act()
        assert spool.blob_uses([DIGEST]) == {DIGEST: left}
    assert nothing_is_left(client)
    assert not any(queries.status()["states"].values())


def test_the_dead_letter_of_some_recipients_needs_the_file_too(spool: Spool, client: redis.Redis) -> None:
    spool.accept("m", b"{}", blobs=BLOBS)
    refused = Failed("recipient_refused", "550", recipients=("a@example.com",))
    later = Deferred(0, 451, "RCPT", "later", recipients=("b@example.com",), refused=refused)
    end(spool, "m", later)
    assert spool.blob_uses([DIGEST]) == {DIGEST: 2}
    (part,) = [letter.decode() for letter in client.zrange("mailworker:dead", 0, -1)]
    spool.claim("w/2", "", 10)
    end(spool, "m", Sent())
    assert spool.blobs([DIGEST]) == BLOBS
    spool.retry([part])
    end(spool, part, Sent())
    assert nothing_is_left(client)


def test_what_is_given_up_before_it_is_accepted_is_gone_after_a_minute(spool: Spool, client: redis.Redis) -> None:
    spool._acceptance._stage([DIGEST], BLOBS)
    assert 0 < client.ttl(KEY) <= 60  # type: ignore[operator]
    spool.accept("m", b"{}", blobs=BLOBS)
    spool._acceptance._stage([DIGEST], BLOBS)  # another program, which comes too late
    assert client.ttl(KEY) == -1


def test_many_small_files_are_uploaded_with_few_round_trips(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    read_many, trips = spool.runner.read_many, []

    def counted(commands: Any) -> Any:
        trips.append(len(commands))
        return read_many(commands)

    monkeypatch.setattr(spool.runner, "read_many", counted)
    files = [b"%d" % number + b"x" * size for number, size in enumerate([20_000] * 100 + [3_000_000] * 2)]
    blobs = {hashlib.sha256(octets).hexdigest(): octets for octets in files}
    assert spool.accept("m", b"{}", blobs=blobs).new
    assert trips == [52, 48, 1, 1]
    assert spool.blobs(list(blobs)) == blobs


def test_a_file_that_vanishes_between_upload_and_accept_is_uploaded_again(
    spool: Spool, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, vanish = spool._acceptance._stage, [True, True, False]

    def stage_it(digests: Any, blobs: Any) -> None:
        stage(digests, blobs)
        if vanish.pop(0):
            client.delete(KEY)

    monkeypatch.setattr(spool._acceptance, "_stage", stage_it)
    assert spool.accept("m", b"{}", blobs=BLOBS).new
    assert (spool.blob_uses([DIGEST]), spool.blobs([DIGEST])) == ({DIGEST: 1}, BLOBS)
    vanish += [True] * 100
    client.delete(KEY)
    with pytest.raises(SpoolError, match="does not keep a file"):
        spool.accept_many([New("n", b"{}", blobs=BLOBS)])
    assert not client.exists("mailworker:mail:n")


@pytest.mark.parametrize("many", [True, False])
def test_a_call_that_is_repeated_counts_once(
    many: bool, spool: Spool, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailworker.spool.acceptance.os.urandom", lambda count: b"1" * count)  # the same call
    answers = []
    for _ in range(3):
        if many:
            answers += spool.accept_many([New("m", b"{}", blobs=BLOBS)])
        else:
            answers.append(spool.accept("m", b"{}", blobs=BLOBS))
    assert {(answer.id, answer.new, answer.ring) for answer in answers} == {("m", True, True)}
    assert spool.blob_uses([DIGEST]) == {DIGEST: 1}


def test_a_full_redis_refuses_the_file_and_the_mail_and_still_frees(spool: Spool, client: redis.Redis) -> None:
    spool.accept("m", b"{}", blobs=BLOBS)
    spool.accept("dead", b"{}", blobs=BOTH)
    end(spool, "dead", Failed("refused", "no"))
    client.config_set("maxmemory", 1)
    for blobs in (BLOBS, {"0" * 64: b"new"}):
        with pytest.raises(SpoolError):
            spool.accept("n", b"{}", blobs=blobs)
        with pytest.raises(SpoolError):
            spool.accept_many([New("n", b"{}", blobs=blobs), New("o", b"{}")])
    end(spool, "m", Sent())
    assert spool.blob_uses([DIGEST]) == {DIGEST: 1}
    assert spool.drop(["dead"]) == 1
    assert nothing_is_left(client)


def test_a_redis_that_evicts_what_expires_leaves_what_is_counted(spool: Spool, client: redis.Redis) -> None:
    spool.accept("m", b"{}", blobs=BLOBS)
    spool._acceptance._stage([DIGEST_OF_OTHER], BOTH)
    client.config_set("maxmemory-policy", "volatile-lru")
    client.config_set("maxmemory", 1)
    with pytest.raises(SpoolError):
        spool.accept("n", b"{}", blobs=BOTH)
    assert spool.blobs([DIGEST, DIGEST_OF_OTHER]) == BLOBS


def test_an_expired_file_that_redis_has_not_removed_yet_is_missing(spool: Spool, client: redis.Redis) -> None:
    client.set(KEY, FILE, px=1)
    time.sleep(0.01)  # to ask whether it has expired would remove it
    assert spool.accept("m", b"{}", blobs=BLOBS).new
    assert spool.blobs([DIGEST]) == BLOBS


def test_giving_back_frees_the_files_of_what_goes(spool: Spool, queries: Queries, client: redis.Redis) -> None:
    spool.accept("m", b'{"to":"a@example.com","subject":"s","body":"b"}', blobs=BLOBS)
    spool.give_back([("m", QUEUE, b"x")])
    assert nothing_is_left(client)
    assert give_back(spool, queries, Limits(), dead=True, progress=lambda *_: None).given == 0


class Walk:
    """Whatever may happen to mails with files, at random; to be had again from its seed."""

    SHARED = 3

    def __init__(self, spool: Spool, seed: int) -> None:
        self.spool, self.chance = spool, random.Random(seed)
        self.number = 0

    def blobs(self) -> dict[str, bytes]:
        names = self.chance.sample(range(self.SHARED), self.chance.randint(0, 2))
        names += [self.number] * self.chance.randint(0, 1)
        files = [b"%d" % name * 10 for name in names]
        return {hashlib.sha256(octets).hexdigest(): octets for octets in files}

    def new(self) -> New:
        self.number += 1
        again = self.chance.randint(1, self.number)
        keyed = self.chance.random() < 0.5
        mail_id = f"k{again}" if keyed else f"m{self.number}"
        expires = round((time.time() + self.chance.choice((-1, 60))) * 1000) if self.chance.random() < 0.2 else 0
        return New(mail_id, b"x" * self.chance.choice((5, 9000)), 0, keyed, self.blobs(), expires)

    def outcome(self) -> OutcomeSoFar:
        refused = Failed("recipient_refused", "550", recipients=("a@example.com",))
        return self.chance.choice(
            (
                Sent(), Sent(), Returned(0), Failed("message_refused", "554"), Held("in_doubt", "?"),
                Deferred(0, 451, "RCPT", "later"), Deferred(0, 451, "RCPT", "later", ("b@example.com",), refused),
                Further(("b@example.com",), refused),
            )
        )  # fmt: skip

    def deliver(self) -> None:
        claimed = self.spool.claim("w/1.0", "", 20)
        self.spool.unlock("w/1.0")
        rung: Any = self.spool.client.zrange("mailworker:due", 0, 9)
        ids = sorted({*claimed.together, *claimed.alone, *[mail_id.decode() for mail_id in rung]})
        taken = [record.id for record in self.spool.take("w/2.0", ids).records]
        self.spool.settle("default", "w/2.0", [], taken)
        left = [mail_id for mail_id in taken if self.chance.random() < 0.8]
        self.spool.settle("default", "w/2.0", [(mail_id, self.outcome()) for mail_id in left], end=False)
        self.chance.choice((
            lambda: self.spool.settle("default", "w/2.0", [], end=True), lambda: self.spool.release("w/2.0", died=True),
        ))()  # fmt: skip
        self.spool.settle("default", "w/2.0", [(mail_id, Sent()) for mail_id in taken if self.chance.random() < 0.1])

    def dead(self) -> list[str]:
        found: Any = self.spool.client.zrange("mailworker:dead", 0, -1)
        return [mail_id.decode() for mail_id in found if self.chance.random() < 0.4]

    def give_back(self) -> None:
        found: Any = self.spool.client.zrange("mailworker:due", 0, 1)
        self.spool.give_back([(mail_id.decode(), "old", b"x") for mail_id in found])

    def step(self) -> None:
        self.chance.choice((
            lambda: self.spool.accept_many([self.new() for _ in range(self.chance.randint(1, 6))]),
            lambda: self.spool.accept(**self._arguments(self.new())),
            self.deliver, self.deliver, self.deliver,
            lambda: self.spool.drop(self.dead()), lambda: self.spool.retry(self.dead()), self.give_back,
            lambda: self.spool._acceptance._stage(["e" * 64], {"e" * 64: b"given up"}),
        ))()  # fmt: skip

    @staticmethod
    def _arguments(new: New) -> dict[str, Any]:
        return {"mail_id": new.id, **{name: value for name, value in new._asdict().items() if name != "id"}}


@pytest.mark.parametrize("seed", range(3))
def test_counts_records_and_files_agree_wherever_a_mail_has_been(
    seed: int, spool: Spool, client: redis.Redis, queries: Queries
) -> None:
    walk = Walk(spool, seed)
    for _ in range(15):
        for _ in range(20):
            walk.step()
        assert faults(client, PREFIX) == []
    assert queries.status()["totals"]["sent"] > 10
    while client.zcard("mailworker:due") or client.zcard("mailworker:dead"):
        spool.hasten()
        walk.deliver()
        everything: Any = client.zrange("mailworker:dead", 0, -1)
        spool.drop([mail_id.decode() for mail_id in everything])
    assert not client.exists("mailworker:blobs")
    assert client.keys("mailworker:blob:*") in ([], [b"mailworker:blob:" + b"e" * 64])
