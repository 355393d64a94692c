"""A pool child that dies with a task in hand should lose no mail, also where the mail was in the message alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from billiard.exceptions import WorkerLostError

from mailworker import runtime
from mailworker.mail.email import Limits
from mailworker.spool import Spool
from mailworker.worker import child_lost as lost
from tests.conftest import RedisServer
from tests.spools import spool_of

MAIL = ["Anna <a@example.com>", "subject", "body"]
PAYLOAD = b'{"to":{"a@example.com":"Anna"},"subject":"subject","body":"body"}'
MAP = {"task": "mailworker.send_email"}


@pytest.fixture
def spool(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Spool:
    made = spool_of(redis_server.client(), ["queue:email"])
    monkeypatch.setattr(runtime, "spool", lambda: made)
    monkeypatch.setattr(runtime, "settings", lambda: SimpleNamespace(limits=Limits()))
    return made


def dies(name: str, args: Any, kwargs: Any, task_id: str = "i", eta: Any = None) -> None:
    lost.wake(name, task_id, args, kwargs, (None, eta, None), WorkerLostError("killed"))


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "ids"),
    [
        ("mailworker.send_email", MAIL, {}, ["i"]),
        ("mailworker.send_email", MAIL[:1], {"subject": "subject", "body": "body"}, ["i"]),
        ("mailworker.send_email", (), {"to": MAIL[0], "subject": "subject", "body": "body"}, ["i"]),
        ("celery.starmap", (MAP, [MAIL, MAIL]), {}, ["i-0", "i-1"]),
        ("celery.starmap", (), {"task": MAP, "it": [MAIL]}, ["i-0"]),
        ("celery.chunks", (MAP, [MAIL], 1), {}, ["i-0"]),
    ],
)
def test_each_mail_of_the_message_is_safe_and_due_at_once(
    name: str, args: Any, kwargs: Any, ids: list[str], spool: Spool
) -> None:
    for _ in range(2):  # it may have been safe before the child died
        dies(name, args, kwargs)
        assert sorted(spool.claim("w/b", "", 10).together) == ids
        spool.unlock("w/b")
    assert [record.payload for record in spool.take("w/0", ids).records] == [PAYLOAD] * len(ids)


@pytest.mark.parametrize("args", [["nobody"], [["a@example.com"], "s", "b", "and more"]])
def test_what_is_no_mail_is_kept_as_it_came(args: list[Any], spool: Spool) -> None:
    dies("mailworker.send_email", args, {})
    (record,) = spool.take("w/0", ["i"]).records
    assert b"nobody" in record.payload or b"and more" in record.payload


@pytest.mark.parametrize(
    ("name", "args"), [("mailworker.deliver", ()), ("celery.map", ()), ("celery.map", (MAP, 7)), ("else", ())]
)
def test_a_message_that_none_of_ours_wrote_ends_nothing(name: str, args: Any, spool: Spool) -> None:
    dies(name, args, {})
    dies("mailworker.send_email", MAIL, {}, "of another program \udcff")
    assert spool.claim("w/b", "", 10).together == ["of another program \\udcff"]


@pytest.mark.parametrize(
    ("name", "args", "ids"),
    [("mailworker.send_email", MAIL, ["i"]), ("celery.starmap", (MAP, [MAIL, MAIL]), ["i-0", "i-1"])],
)
def test_a_mail_that_was_to_wait_waits_all_the_same(name: str, args: Any, ids: list[str], spool: Spool) -> None:
    for _ in range(2):  # it may have been safe before the child died
        dies(name, args, {}, eta="2999-01-01T00:00:00+00:00")
        assert not spool.claim("w/b", "", 10).together
        spool.unlock("w/b")
    assert spool.client.zcard("mailworker:due") == len(ids)


def test_what_is_no_time_keeps_no_mail_waiting(spool: Spool) -> None:
    dies("mailworker.send_email", MAIL, {}, eta="tomorrow")
    assert spool.claim("w/b", "", 10).together == ["i"]
