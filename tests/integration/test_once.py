"""The same id within its window should be one mail, another mail under it an error, whatever became of the first."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import redis

from mailworker.errors import IdempotencyError
from mailworker.outcome import Deferred, Failed, OutcomeSoFar, Sent
from mailworker.spool import Spool
from tests.spools import spool_of

QUEUE = "queue:email"
ONE, TWO = b"1" * 16, b"2" * 16
WINDOW = 7200


@pytest.fixture
def spool(client: redis.Redis) -> Spool:
    return spool_of(client, [QUEUE], idempotency_seconds=WINDOW)


def settle(spool: Spool, outcome: OutcomeSoFar) -> None:
    spool.take("w/1", ["k"])
    spool.settle("default", "w/1", [("k", outcome)], end=True)


def drop(spool: Spool) -> None:
    settle(spool, Failed("refused", "no"))
    spool.drop(["k"])


FATES: dict[str, Callable[[Spool], object]] = {
    "waits": lambda _: None,
    "is in hand": lambda spool: spool.take("w/1", ["k"]),
    "was put off": lambda spool: settle(spool, Deferred(60, 451, "RCPT", "later")),
    "is a dead letter": lambda spool: settle(spool, Failed("refused", "no")),
    "was sent": lambda spool: settle(spool, Sent()),
    "was dropped": drop,
    "was given back": lambda spool: spool.give_back([("k", QUEUE, b"{}")]),
}


@pytest.mark.parametrize("fate", FATES)
def test_the_same_mail_is_harmless_and_another_one_an_error(
    fate: str, spool: Spool, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    spool.accept("k", b"{}", keyed=True, digest=ONE)
    FATES[fate](spool)
    before = {key: client.dump(key) for key in client.scan_iter()}
    again = spool.accept("k", b"{}", keyed=True, digest=ONE)
    assert (again.id, again.new, again.ring) == ("k", False, False)
    with pytest.raises(IdempotencyError) as raised:
        spool.accept("k", b"other", keyed=True, digest=TWO)
    assert "idempotency_key" in str(raised.value)
    assert {key: client.dump(key) for key in client.scan_iter()} == before
    assert caplog.text == ""


@pytest.mark.parametrize("fate", ["waits", "was put off", "was sent"])
def test_what_waits_or_was_sent_lately_is_compared_though_it_was_accepted_long_ago(
    fate: str, spool: Spool, client: redis.Redis
) -> None:
    """It waited for longer than the window: another mail must not be swallowed without a word."""
    spool.accept("k", b"{}", keyed=True, digest=ONE)
    FATES[fate](spool)
    client.delete("mailworker:day:k")
    assert not spool.accept("k", b"{}", keyed=True, digest=ONE).new
    with pytest.raises(IdempotencyError):
        spool.accept("k", b"other", keyed=True, digest=TWO)


def test_a_key_without_a_digest_is_compared_with_nothing(spool: Spool, client: redis.Redis) -> None:
    """Those that an older version wrote have none, and neither has a mail whose id Celery's caller chose by name."""
    spool.accept("k", b"{}", keyed=True)
    assert not spool.accept("k", b"{}", keyed=True, digest=ONE).new
    settle(spool, Sent())
    client.delete("mailworker:day:k")
    assert not spool.accept("k", b"{}", keyed=True, digest=ONE).new


@pytest.mark.parametrize("sent", [True, False])
def test_the_window_is_the_site_s(sent: bool, spool: Spool, client: redis.Redis) -> None:
    spool.accept("k", b"{}", keyed=True, digest=ONE)
    assert WINDOW - 5 < client.ttl("mailworker:day:k") <= WINDOW  # type: ignore[operator]
    if sent:
        settle(spool, Sent())
        assert WINDOW - 5 < client.ttl("mailworker:mail:k") <= WINDOW  # type: ignore[operator]
    client.delete("mailworker:day:k", "mailworker:mail:k")  # it is over
    assert spool.accept("k", b"other", keyed=True, digest=TWO).new
