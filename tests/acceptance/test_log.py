"""What the log tells of each mail, and what it does not."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest

from mailworker.delivery.log_lines import log_abandoned
from mailworker.errors import where
from mailworker.mail.address import Mailbox
from mailworker.mail.email import Email
from mailworker.mail.entry import to_php
from mailworker.mail.wire import mime
from mailworker.spool import Spool, connect
from mailworker.worker.privacy import FailedTasks
from tests.batches import OWNER, batch_of
from tests.conftest import Inbox, RedisServer, Workers, until
from tests.spools import queries_of, spool_of

QUEUE = "queue:email"
SECRET = "private@example.com"
ANOTHER = """
import os
from celery import Celery
app = Celery(broker=os.environ["MAILWORKER_REDIS_URL"])
"""


def entry(*to: str) -> bytes:
    return to_php(Email(tuple(Mailbox(address) for address in to), b"subject", b"secret words"))


def letters(server: RedisServer, count: int) -> dict[str, str]:
    queries = queries_of(server.client(), [QUEUE])
    found = until(lambda: len(found := list(queries.dead_letters())) == count and found, what=f"{count} dead letters")
    return {letter.id: letter.reason for letter in found}


@pytest.mark.parametrize("together", [1, 30])
def test_each_dead_letter_is_a_warning_with_its_id_and_each_mails_id_is_in_the_log(
    workers: Workers, redis_server: RedisServer, inbox: Inbox, together: int
) -> None:
    inbox.answer_to_rcpt = lambda address: "550 no <private@example.com>" if address == SECRET else "250 OK"
    entries = [entry(SECRET), b"garbage", *[entry(f"a{number}@example.com") for number in range(together)]]
    if together > 1:
        redis_server.client().lpush(QUEUE, *entries)
    workers.start()
    if together == 1:
        for number, one in enumerate(entries):
            redis_server.client().lpush(QUEUE, one)
            until(lambda number=number: settled(redis_server) == number + 1, what="the outcome")  # type: ignore[misc]
    found = letters(redis_server, 2)
    until(lambda: settled(redis_server) == len(entries), what="all outcomes")
    log = until(lambda: (text := workers.log().read_text()).count("is a dead letter") == 2 and text, what="both lines")
    for mail_id, reason in found.items():
        assert re.search(rf"WARNING.*{mail_id} is a dead letter: {reason}", log)
    sent = until(lambda: len(ids := sent_ids(workers)) == together and ids, what="each id")
    assert not sent & set(found)
    assert SECRET not in log
    assert "secret words" not in log


def settled(server: RedisServer) -> int:
    totals: dict[str, int] = queries_of(server.client(), [QUEUE]).status()["totals"]
    return totals["sent"] + totals["failed"]


def sent_ids(workers: Workers) -> set[str]:
    lines = re.findall(r"sent: ([0-9a-f~ ]+)", workers.log().read_text())
    return {mail_id for line in lines for mail_id in line.split()}


def test_refused_recipients_of_a_mail_are_told_by_the_id_of_their_letter(
    workers: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    answers = {SECRET: "550 no", "later@example.com": "450 not now"}
    inbox.answer_to_rcpt = lambda address: answers.get(address, "250 OK")
    workers.start()
    redis_server.client().lpush(QUEUE, entry(SECRET, "later@example.com", "ok@example.com"))
    (split,) = letters(redis_server, 1)
    assert "~1." in split
    until(
        lambda: f"mail {split} is a dead letter: recipient_refused (550" in workers.log().read_text(), what="the line"
    )
    assert f"mail {split.partition('~')[0]} waits (450 at " in workers.log().read_text()
    assert SECRET not in workers.log().read_text()


def test_a_mail_by_name_that_can_never_be_one_is_told(workers: Workers, redis_server: RedisServer) -> None:
    workers.start()
    workers.python(
        ANOTHER + "mail = dict(to='private <@example.com', subject='s', body='b')\n"
        "app.send_task('mailworker.send_email', kwargs=mail, queue='mailworker')"
    )
    (mail_id,) = letters(redis_server, 1)
    until(lambda: f"mail {mail_id} is a dead letter: bad_address" in workers.log().read_text(), what="the line")


@pytest.fixture
def spool(redis_server: RedisServer) -> Spool:
    return spool_of(connect(redis_server.url), [QUEUE], abandoned=log_abandoned)


def test_whoever_releases_a_poisonous_mail_tells_of_it(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    spool.accept("m1", b"{}")
    for _ in range(3):
        spool.take("w/1.0", ["m1"])
        spool.release("w/1.0", died=True)
    assert "mail m1 is a dead letter: poison" in caplog.text


@pytest.mark.parametrize(
    ("policy", "line"), [("resend", "mail m1 is in doubt"), ("hold", "mail m1 is a dead letter: in_doubt")]
)
@pytest.mark.parametrize("finder", ["release", "take"])
def test_a_mail_that_a_dead_worker_left_in_doubt_is_told(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture, policy: str, line: str, finder: str
) -> None:
    spool = spool_of(connect(redis_server.url), [QUEUE], in_doubt=policy, abandoned=log_abandoned)
    spool.accept("m1", b"{}")
    spool.take("w/1.0", ["m1"])
    spool.settle("default", "w/1.0", [], ["m1"])
    if finder == "release":
        spool.release("w/1.0", died=True)
    else:
        spool.take("w/1.0", ["unknown"])
    assert line in caplog.text


def test_a_bug_of_ours_is_told_with_file_line_and_function_and_without_the_mail(
    spool: Spool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*_: Any) -> None:
        raise ValueError(f"cannot handle {SECRET}")

    monkeypatch.setattr(mime, "build", build)
    spool.accept("m1", json.dumps({"to": SECRET, "subject": "s", "body": "b"}).encode())
    journal = batch_of(spool, spool.take(OWNER, ["m1"]))
    assert journal.next(1) == []
    journal.end(blame=False)
    assert re.search(
        r"mail m1 cannot be built: ValueError at test_log.py:\d+ in build < compose.py:\d+ in _built < compose.py",
        caplog.text,
    )
    assert "mail m1 is a dead letter: internal_error" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(("name", "hidden"), [("mailworker.deliver", True), ("host.task", False)])
def test_a_task_that_raised_is_told_by_its_frames_where_it_is_ours(name: str, hidden: bool) -> None:
    try:
        raise ValueError(f"cannot handle {SECRET}")
    except ValueError as error:
        told = (ValueError, error, error.__traceback__)
        args: Any = {"name": name, "id": "1", "exc": repr(error), "description": "raised unexpected"}
    record = logging.LogRecord(
        FailedTasks.LOGGER, logging.ERROR, "", 0, "Task %(name)s[%(id)s] %(description)s: %(exc)s", (args,), told
    )
    FailedTasks().filter(record)
    text = logging.Formatter().format(record)
    assert (SECRET in text) is not hidden
    assert "test_log.py" in text


def test_a_bug_is_told_with_the_error_before_it() -> None:
    try:
        try:
            raise KeyError(SECRET)
        except KeyError:
            raise ValueError(SECRET)  # noqa: B904 - the one before is its context
    except ValueError as error:
        text = where(error)
    assert re.fullmatch(r"ValueError at test_log.py:\d+ in \w+; after KeyError at test_log.py:\d+ in \w+", text)
