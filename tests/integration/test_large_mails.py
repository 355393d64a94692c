"""A batch should read large payloads when their turn comes: those that fit with one call, a larger one alone."""

from __future__ import annotations

import json

import pytest

from mailworker.delivery.batch import Batch
from mailworker.outcome import Failed
from mailworker.spool import Spool, connect
from tests.batches import OWNER
from tests.batches import batch_of as made_of
from tests.conftest import RedisServer
from tests.spools import spool_of


@pytest.fixture
def spool(redis_server: RedisServer) -> Spool:
    return spool_of(connect(redis_server.url), ["queue:email"])


def batch_of(spool: Spool, *sizes: int) -> tuple[Batch, list[list[str]]]:
    """A batch of mails with bodies of these sizes, and a list of what it reads in each call."""
    ids = [f"m{number}" for number in range(len(sizes))]
    for mail_id, size in zip(ids, sizes, strict=True):
        fields = {"to": "someone@example.com", "subject": mail_id, "body": "x" * size}
        spool.accept(mail_id, json.dumps(fields).encode())
    calls: list[list[str]] = []
    read = spool.payloads

    def payloads(wanted: list[str]) -> dict[str, bytes]:
        calls.append(list(wanted))
        return read(wanted)

    spool.payloads = payloads  # type: ignore[method-assign, assignment]
    return made_of(spool, spool.take(OWNER, ids)), calls


def test_those_that_fit_are_read_together(spool: Spool) -> None:
    batch, calls = batch_of(spool, 100_000, 10, 100_000, 100_000, 0, 20_000, 20_000)
    mails = batch.next(100)
    assert [mail.id for mail in mails] == [f"m{number}" for number in range(7)]
    assert [len(mail.envelope.data) // 10_000 for mail in mails] == [10, 0, 10, 10, 0, 2, 2]
    assert calls == [["m0", "m2"], ["m3", "m5", "m6"]]


def test_one_that_is_larger_than_that_is_read_alone(spool: Spool) -> None:
    batch, calls = batch_of(spool, 300_000, 20_000, 300_000)
    assert [mail.id for mail in batch.next(100)] == ["m0", "m1", "m2"]
    assert calls == [["m0"], ["m1"], ["m2"]]


def test_one_that_is_gone_costs_the_others_nothing(spool: Spool) -> None:
    batch, _ = batch_of(spool, 20_000, 20_000, 20_000)
    spool.client.delete("mailworker:payload:m1")
    assert [mail.id for mail in batch.next(100)] == ["m0", "m2"]
    outcome = batch.attempts["m1"].outcome
    assert isinstance(outcome, Failed)
    assert outcome.reason == "gone"
