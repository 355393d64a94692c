"""A worker of an older version should stop, with one line, where a newer one has the spool: no mail is touched."""

from __future__ import annotations

import pytest

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
