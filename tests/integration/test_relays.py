"""What the spool knows of a relay should be that relay's alone: another one is another name."""

from __future__ import annotations

import pytest
import redis

from mailworker.outcome import Failed
from mailworker.spool import Queries, Spool, connect
from tests.conftest import RedisServer

QUEUE = "queue:email"
BRIDGE, CHILD, OTHER = "w:1/1.1.0", "w:1/2.1.0", "w:1/3.1.0"


@pytest.fixture
def client(redis_server: RedisServer) -> redis.Redis:
    client = connect(redis_server.url)
    client.flushall()
    return client


@pytest.fixture
def spool(client: redis.Redis) -> Spool:
    spool = Spool(client, [QUEUE], relays=["one", "two"])
    spool.beat("w:1", 5, [])
    return spool


def status(client: redis.Redis, relay: str) -> dict[str, object]:
    found: dict[str, object] = Queries(client, [QUEUE], "mailworker:", relay).status()["relay"]
    return found


def test_the_breaker_of_one_keeps_no_mail_from_the_other(spool: Spool, client: redis.Redis) -> None:
    client.lpush(QUEUE, b"x")
    spool.relay_failed("one", "535 no", configuration=True)
    assert (status(client, "one")["open"], status(client, "two")["open"]) == (True, False)
    assert spool.look("t").ring
    mails = spool.claim(BRIDGE, "t", 10).together
    assert spool.take(CHILD, mails, "one").closed
    assert len(spool.take(CHILD, mails, "two").records) == 1


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
    assert len(spool.take(CHILD, mails, "two").records) == 1
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
    client.hset("mailworker:counts", "total:sent", 1)
    for number, relay in enumerate(("one", "two", "one", "two")):
        mail = f"m{number}"
        spool.accept(mail, b"{}")
        spool.take(CHILD, [mail], relay)
        spool.settle(CHILD, [(mail, Failed("refused", "550 no"))], end=True, relay=relay)
        assert not spool.refused(relay, mail, "550 no", 3, "550 no", "mail:25").configuration
    assert client.smembers("mailworker:refused_ids:one") == {b"m0", b"m2"}


def test_an_owner_that_is_gone_leaves_the_places_and_probes_of_all(spool: Spool, client: redis.Redis) -> None:
    client.hincrby("mailworker:owners", CHILD, 1)
    for relay in ("one", "two"):
        spool.connected(relay, CHILD)
        client.set(f"mailworker:probe:{relay}", CHILD)
    spool.release(CHILD, died=True)
    assert not client.keys("mailworker:probe:*")
    assert not client.keys("mailworker:places:*")
