"""What the spool knows of a relay should be that relay's alone: another one is another name."""

from __future__ import annotations

import pytest
import redis

from mailworker.outcome import Failed, Sent
from mailworker.spool import Spool
from tests.spools import queries_of, spool_of

QUEUE = "queue:email"
BRIDGE, CHILD, OTHER = "w:1/1.1.0", "w:1/2.1.0", "w:1/3.1.0"


@pytest.fixture
def spool(client: redis.Redis) -> Spool:
    spool = spool_of(client, [QUEUE], relays=["one", "two"])
    spool.beat("w:1", 5, [])
    return spool


def status(client: redis.Redis, relay: str) -> dict[str, object]:
    found: dict[str, object] = queries_of(client, [QUEUE], ["one", "two"]).status()["relays"][relay]
    return found


def test_the_breaker_of_one_keeps_no_mail_from_the_other(spool: Spool, client: redis.Redis) -> None:
    client.lpush(QUEUE, b"x")
    spool.relay_failed("one", "535 no", configuration=True)
    assert (status(client, "one")["open"], status(client, "two")["open"]) == (True, False)
    assert spool.look("t").ring
    mails = spool.claim(BRIDGE, "t", 10).together
    taken = spool.take(CHILD, mails)
    assert (taken.relay, len(taken.records), taken.relay_was_down) == ("two", 1, False)


def test_nothing_is_claimed_while_no_relay_takes_mail(spool: Spool, client: redis.Redis) -> None:
    client.lpush(QUEUE, b"x")
    for relay in ("one", "two"):
        spool.relay_failed(relay, "535 no", configuration=True)
    assert not spool.look("t").ring
    assert spool.claim(BRIDGE, "", 10).together == []
    spool.unlock(BRIDGE)
    assert spool.hasten()[1]  # both are probed now
    assert spool.look("t").ring


def test_one_mail_probes_the_relay_whose_turn_it_is(spool: Spool, client: redis.Redis) -> None:
    client.lpush(QUEUE, b"x", b"y")
    for relay in ("one", "two"):
        spool.relay_failed(relay, "535 no", configuration=True)
    client.hset("mailworker:relay:two", "open_until", 1)
    mails = spool.claim(BRIDGE, "", 10).together
    assert len(mails) == 1
    assert client.exists("mailworker:probe:two")
    assert not client.exists("mailworker:probe:one")
    taken = spool.take(CHILD, mails)
    assert (taken.relay, len(taken.records), taken.relay_was_down) == ("two", 1, True)
    assert spool.relay_works("two")
    assert status(client, "one")["open"]


def test_each_has_its_own_limit_of_connections(spool: Spool, client: redis.Redis) -> None:
    spool.beat("w:1", 5, [CHILD, OTHER])
    for owner in (CHILD, OTHER):
        client.hincrby("mailworker:owners", owner, 1)
    spool.connected("one", CHILD)
    assert spool.relay_full("one", OTHER, wordless=False).bears == 1
    assert not spool.may_connect("one", OTHER).free
    assert spool.may_connect("two", OTHER).free
    assert (status(client, "one")["connections"], status(client, "two")["connections"]) == (1, 0)


def test_a_run_of_refusals_is_one_relays(spool: Spool, client: redis.Redis) -> None:
    client.hset("mailworker:counts", mapping={"sent:one": 1, "sent:two": 1})
    for number, relay in enumerate(("one", "two", "one", "two")):
        mail = f"m{number}"
        spool.accept(mail, b"{}")
        spool.take(CHILD, [mail])
        spool.settle(relay, CHILD, [(mail, Failed("refused", "550 no"))], end=True)
        assert not spool.refused(relay, mail, "550 no", 3, "550 no", "mail:25").configuration
    assert client.smembers("mailworker:refused_ids:one") == {b"m0", b"m2"}


def send(spool: Spool, mail: str, relay: str) -> None:
    spool.accept(mail, b"{}")
    spool.take(CHILD, [mail])
    spool.settle(relay, CHILD, [(mail, Sent())], end=True)


def refuse(spool: Spool, mail: str, relay: str, enough: int = 3) -> bool:
    spool.accept(mail, b"{}")
    spool.take(CHILD, [mail])
    spool.settle(relay, CHILD, [(mail, Failed("refused", "550 no"))], end=True)
    return spool.refused(relay, mail, "550 no", enough, "550 no", "mail:25").configuration


def test_what_the_other_sends_does_not_hide_the_failures_of_one(spool: Spool) -> None:
    opened = []
    for number in range(3):
        opened.append(spool.relay_failed("one", "connect: refused", configuration=False)[0])
        send(spool, f"m{number}", "two")
    assert opened == [False, False, True]
    assert not spool.relay_failed("two", "connect: refused", configuration=False)[0]


def test_what_one_sends_itself_shows_that_it_works(spool: Spool) -> None:
    for number in range(5):
        assert not spool.relay_failed("one", "connect: refused", configuration=False)[0]
        send(spool, f"m{number}", "one")


def test_what_the_other_sends_does_not_end_a_run_of_refusals(spool: Spool) -> None:
    send(spool, "first", "one")
    found = []
    for number in range(3):
        found.append(refuse(spool, f"m{number}", "one"))
        send(spool, f"sent{number}", "two")
    assert found == [False, False, True]


def test_the_first_word_of_a_relay_that_never_took_a_mail_counts_whatever_the_other_took(spool: Spool) -> None:
    send(spool, "first", "two")
    assert not refuse(spool, "m1", "two")
    assert refuse(spool, "m2", "one")


def test_a_mail_that_one_refused_wrongly_is_not_meant_by_the_others_first_word(
    spool: Spool, client: redis.Redis
) -> None:
    for relay in ("one", "two"):
        send(spool, f"first-{relay}", relay)
    assert [refuse(spool, f"m{number}", "one", enough=5) for number in range(5)] == [False] * 4 + [True]
    client.hset("mailworker:relay:one", "open_until", 1)
    spool.relay_works("one")
    send(spool, "another", "two")
    assert not refuse(spool, "m0", "two", enough=5)
    assert client.smembers("mailworker:refused_ids:two") == {b"m0"}  # the first of a run there


def test_an_owner_that_is_gone_leaves_the_places_and_probes_of_all(spool: Spool, client: redis.Redis) -> None:
    client.hincrby("mailworker:owners", CHILD, 1)
    for relay in ("one", "two"):
        spool.connected(relay, CHILD)
        client.set(f"mailworker:probe:{relay}", CHILD)
    spool.release(CHILD, died=True)
    assert not client.keys("mailworker:probe:*")
    assert not client.keys("mailworker:places:*")
