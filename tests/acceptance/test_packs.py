"""What phpredis compressed and packed should reach the inbox through a real worker, and go back as it was."""

from __future__ import annotations

from ..conftest import Inbox, RedisServer, Workers, until
from ..unit.mail.test_packs import golden

NAMES = [
    "lzf-of-none-text-long", "lzf-of-igbinary-array-long", "zstd-of-php-array-short", "zstd-of-msgpack-array-huge",
    "lz4-of-json-text-short", "lz4-of-igbinary-spread-array-long", "none-of-msgpack-array-short",
]  # fmt: skip


def test_packed_entries_reach_the_inbox(redis_server: RedisServer, workers: Workers, inbox: Inbox) -> None:
    workers.start()
    for name in NAMES:
        redis_server.client().lpush("queue:email", golden(name))
    until(lambda: len(inbox.mails) == len(NAMES), what="all mails in the inbox")
    assert all(recipients == ["someone@example.com"] for recipients, _ in inbox.mails)
    assert sum(b"Content-Transfer-Encoding" in octets for _, octets in inbox.mails) == len(NAMES)
    assert redis_server.client().zcard("mailworker:dead") == 0


def test_packed_entries_go_back_as_they_were(redis_server: RedisServer, workers: Workers, inbox: Inbox) -> None:
    inbox.answer_to_rcpt = lambda _: "451 try again later"
    workers.start()
    for name in NAMES:
        redis_server.client().lpush("queue:email", golden(name))
    until(lambda: int(redis_server.client().hget("mailworker:counts", "deferred") or 0) == len(NAMES), what="deferred")
    workers.stop()
    result = workers.run("mailworker", "giveback", "--yes")
    assert result.returncode == 0, result.stderr
    assert redis_server.client().lrange("queue:email", 0, -1)[::-1] == [golden(name) for name in NAMES]
