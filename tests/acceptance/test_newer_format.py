"""A worker should stop, with one line, where a newer version has the spool: no mail is touched. Where an older version
is at work it should leave that its work, and migrate the spool when it has ended."""

from __future__ import annotations

import signal
import time

import pytest
import redis

from mailworker.spool.constants import SPOOL_FORMAT
from tests.conftest import Inbox, RedisServer, Workers, until

ENTRY = b'a:3:{s:2:"to";s:13:"a@example.com";s:7:"subject";s:1:"s";s:4:"body";s:1:"b";}'
NEWER = SPOOL_FORMAT + 1
LINE = f"a newer version wrote the spool in Redis (format {NEWER}, and this one knows {SPOOL_FORMAT})"


@pytest.mark.parametrize("when", ["at its start", "while it runs"])
def test_a_worker_that_meets_a_newer_spool_stops_and_says_why(
    when: str, workers: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    client = redis_server.client()
    if when == "at its start":
        client.set("mailworker:format", NEWER)
        client.lpush("queue:email", ENTRY)
    worker = workers.start(ready=LINE if when == "at its start" else "ready.")
    if when == "while it runs":
        until(lambda: client.hlen("mailworker:pools"), what="the pulse")
        client.set("mailworker:format", NEWER)
        client.lpush("queue:email", ENTRY)
    assert worker.wait(30) == 1
    said = [line for line in workers.log().read_text().splitlines() if "format" in line or "ERROR" in line]
    assert len(said) == 1
    assert "CRITICAL" in said[0]
    assert LINE in said[0]
    assert "Traceback" not in workers.log().read_text()
    assert client.lrange("queue:email", 0, -1) == [ENTRY]
    assert not inbox.mails


@pytest.mark.parametrize("command", [["status"], ["dead", "list"], ["giveback", "--yes"], ["retry-now"], ["doubts"]])
def test_a_command_says_in_one_line_that_the_spool_is_newer(
    command: list[str], workers: Workers, redis_server: RedisServer
) -> None:
    redis_server.client().set("mailworker:format", NEWER)
    result = workers.run("mailworker", *command)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"mailworker: {LINE}")
    assert result.stderr.count("\n") == 1


def of_an_older_version(client: redis.Redis, heard_before: float) -> None:
    """What a worker of format 1 leaves in Redis, which was last heard of so many seconds ago."""
    client.hset("mailworker:counts", "queued", 0)
    client.hset("mailworker:pools", "old", 5)
    client.hset("mailworker:heard", "old", str(round((time.time() - heard_before) * 1000)))
    client.lpush("queue:email", ENTRY)


def test_a_worker_leaves_an_older_one_its_work_and_goes_on_when_that_has_ended(
    workers: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    client = redis_server.client()
    of_an_older_version(client, heard_before=6)
    client.lpush("mailworker", "a doorbell of the older version")
    workers.start(ready="until then this worker waits")
    assert (client.llen("queue:email"), client.llen("mailworker")) == (1, 1)
    until(lambda: "ready." in workers.log().read_text(), what="the end of the older one")
    until(lambda: inbox.mails, what="the mail")
    assert client.get("mailworker:format") == str(SPOOL_FORMAT).encode()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGQUIT])
def test_a_worker_that_waits_for_an_older_one_can_be_stopped(
    how: signal.Signals, workers: Workers, redis_server: RedisServer
) -> None:
    of_an_older_version(redis_server.client(), heard_before=0)
    worker = workers.start(ready="until then this worker waits")
    worker.send_signal(how)
    worker.wait(15)
    assert redis_server.client().llen("queue:email") == 1
