"""A legacy list that is none, or that may not be touched, stops no other list, and is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.test_worker import entry
from tests.conftest import Inbox, RedisServer, Workers, settings_for, until

TYPES = {
    "string": ("SET", "{}", "x"),
    "hash": ("HSET", "{}", "x", "x"),
    "set": ("SADD", "{}", "x"),
    "zset": ("ZADD", "{}", "1", "x"),
    "stream": ("XADD", "{}", "*", "x", "x"),
}


def test_keys_of_other_types_stop_no_list(tmp_path: Path, redis_server: RedisServer, inbox: Inbox) -> None:
    client = redis_server.client()
    names = ["good:1", *TYPES, "good:2"]
    for kind, command in TYPES.items():
        client.execute_command(*[part.format(kind) for part in command])
    workers = Workers(
        tmp_path, settings_for(redis_server.url, inbox.url) | {"MAILWORKER_LEGACY_QUEUES": ",".join(names)}
    )
    try:
        workers.start()
        for number in range(3):
            client.lpush("good:1", entry(f"one {number}"))
            client.lpush("good:2", entry(f"two {number}"))
            until(lambda number=number: len(inbox.mails) == 2 * (number + 1), what="the mails of both lists")  # type: ignore[misc]
        log = workers.log().read_text()
        for kind in TYPES:
            assert log.count(f"{kind} is not drained, it is of type {kind}: Redis says WRONGTYPE") == 1
        status = workers.run("mailworker", "status")
        assert "string" in status.stdout.splitlines()[0]
        assert {kind: client.type(kind).decode() for kind in TYPES} == {kind: kind for kind in TYPES}  # type: ignore[union-attr]

        client.delete("string")  # mended: it flows without a new start; and another goes wrong at run time
        client.delete("good:2")
        client.set("good:2", "x")
        client.lpush("string", entry("mended"))
        client.lpush("good:1", entry("still"))
        until(lambda: len(inbox.mails) == 8, what="the mended list's mail")
    finally:
        workers.stop()


@pytest.mark.parametrize("order", ["open,closed", "closed,open"])
def test_a_list_that_may_not_be_touched_stops_no_other(
    tmp_path: Path, own_redis: RedisServer, inbox: Inbox, order: str
) -> None:
    client = own_redis.client()
    client.execute_command("ACL", "SETUSER", "worker", "on", ">worker", "resetkeys", "&*", "+@all", "~open",
                           "~mailworker*", "~_kombu*", "~unacked*", "~*celery*")  # fmt: skip
    url = own_redis.url.replace("//", "//worker:worker@")
    workers = Workers(tmp_path, settings_for(url, inbox.url) | {"MAILWORKER_LEGACY_QUEUES": order})
    try:
        workers.start()
        client.lpush("closed", entry("never"))
        client.lpush("open", *[entry(f"mail {number}") for number in range(5)])
        until(lambda: len(inbox.mails) == 5, what="the mails of the open list")
        until(lambda: "closed is not drained: Redis says NOPERM" in workers.log().read_text(), what="the word")
        assert client.llen("closed") == 1
    finally:
        workers.stop()
