"""A site may want hundreds of connections in one process: threads and greenlets should do what processes do."""

from __future__ import annotations

import pytest

from mailworker.mail.address import Mailbox
from mailworker.mail.email import Email
from mailworker.mail.entry import to_php
from tests.conftest import Inbox, RedisServer, Workers, until
from tests.spools import queries_of

QUEUE = "queue:email"


@pytest.mark.parametrize("pool", ["threads", "gevent", "solo"])
def test_every_mail_arrives_once_and_a_stop_leaves_nothing_in_hand(
    workers: Workers, redis_server: RedisServer, inbox: Inbox, pool: str
) -> None:
    worker = workers.start("-P", pool, "-c", "20")
    subjects = [f"mail {number}" for number in range(200)]
    mails = [Email((Mailbox("someone@example.com"),), subject.encode(), b"body") for subject in subjects]
    redis_server.client().lpush(QUEUE, *map(to_php, mails))
    workers.python("from mailworker import send_email; send_email.delay(to='a@b.org', subject='new', body='b')")
    until(lambda: len(inbox.mails) >= 201, what="every mail")
    worker.terminate()
    worker.wait(20)
    assert sorted(inbox.subjects()) == sorted([*subjects, "new"])
    queries = queries_of(redis_server.client(), [QUEUE])
    assert not any(queries.status()["states"].values())
    assert queries.beats() == {}


def test_greenlets_that_were_all_at_work_go_on_at_once(
    workers: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    """Stock Celery sleeps for two seconds after each time: these twenty doorbells would take it forty."""
    workers.environment["MAILWORKER_BATCH"] = "10"
    workers.start("-P", "gevent", "-c", "1")
    mails = [Email((Mailbox("someone@example.com"),), b"subject", b"body")] * 200
    redis_server.client().lpush(QUEUE, *map(to_php, mails))
    until(lambda: len(inbox.mails) >= 200, 15, "every mail")
