"""Two sites that share a Redis database, or a RabbitMQ, do not meet: in no doorbell, key, event or command."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from mailworker.mail.address import Mailbox
from mailworker.mail.email import Email
from mailworker.mail.entry import to_php
from tests.conftest import Inbox, RedisServer, Workers, settings_for, until

SITES = ("mailworker:", "shop:")
QUEUES = {"mailworker:": "queue:email", "shop:": "shop:email"}


@pytest.fixture(params=["redis", "rabbitmq"])
def sites(
    request: pytest.FixtureRequest, tmp_path: Path, redis_server: RedisServer, inbox: Inbox
) -> Iterator[dict[str, Workers]]:
    """A worker for each site, in a folder of its own."""
    found = {}
    for site in SITES:
        folder = tmp_path / site.strip(":")
        folder.mkdir()
        environment = settings_for(redis_server.url, inbox.url)
        environment |= {"MAILWORKER_SPOOL_PREFIX": site, "MAILWORKER_LEGACY_QUEUES": QUEUES[site]}
        if request.param == "rabbitmq":
            environment["MAILWORKER_BROKER_URL"] = request.getfixturevalue("rabbitmq")
        found[site] = Workers(folder, environment)
    yield found
    for workers in found.values():
        workers.stop()


def push(server: RedisServer, site: str, subject: str) -> None:
    mail = Email((Mailbox("a@example.com"),), subject.encode(), b"body")
    server.client().lpush(QUEUES[site], to_php(mail))


SENDING = (
    "import sys; from mailworker import send_email\n"
    "for line in sys.argv[1:]: send_email.delay('a@example.com', line, 'b')"
)


def test_each_site_s_mail_is_at_once_with_the_relay_and_each_sees_its_own_workers_alone(
    sites: dict[str, Workers], redis_server: RedisServer, inbox: Inbox
) -> None:
    for number, (site, workers) in enumerate(sites.items()):
        workers.start("-n", f"{site.strip(':')}@test", "-c", "1" if number else "2")
    slowest = 0.0
    for round_ in range(10):
        for site in SITES:
            before = len(inbox.mails)
            begun = time.monotonic()
            push(redis_server, site, f"{site} {round_}")
            until(lambda enough=before + 1: len(inbox.mails) >= enough, 5, f"the mail of {site}")
            slowest = max(slowest, time.monotonic() - begun)
    for site in SITES:  # each call is rung for by the program
        before = len(inbox.mails)
        sites[site].run("python", "-c", SENDING, *[f"{site} new {number}" for number in range(10)])
        until(lambda enough=before + 10: len(inbox.mails) >= enough, 5, f"ten calls of {site}")
    assert slowest < 2
    assert len(set(inbox.subjects())) == len(inbox.mails) == 40

    client: redis.Redis = redis_server.client()
    for site in SITES:
        own = json.loads(sites[site].run("celery", "-A", "mailworker", "inspect", "ping", "--json", "-t", "3").stdout)
        assert list(own) == [f"{site.strip(':')}@test"]
    keys: list[bytes] = client.keys("*")  # type: ignore[assignment]
    named = re.compile(rb"(mailworker|shop:).*|\S+\.(mailworker|shop):celery\.pidbox.*")
    assert [key for key in keys if not named.fullmatch(key)] == []
    ours, theirs = ([key for key in keys if site in key] for site in (b"mailworker:", b"shop:"))
    assert not {*ours} & {*theirs}
    for key in ours:  # the tables of bindings name exchanges and queues
        assert client.type(key) != b"set" or not [member for member in client.smembers(key) if b"shop" in member]


@pytest.mark.parametrize("sites", ["redis"], indirect=True)
def test_a_doorbell_that_came_to_the_wrong_site_is_not_acted_on(
    sites: dict[str, Workers], redis_server: RedisServer, inbox: Inbox
) -> None:
    """Both know the id: programs choose them. And a ring that is another's claims nothing."""
    client: redis.Redis = redis_server.client()
    mail = "from mailworker import send_email; send_email.apply_async(('a@b.org', '{}', 'b'), task_id='order-7')"
    sites["shop:"].python(mail.format("of the shop"))
    message = client.rpop("shop:mailworker")
    assert message is not None
    sites["mailworker:"].python(mail.format("ours"))
    client.delete("mailworker")
    client.lpush("mailworker", message)
    sites["mailworker:"].start()
    until(lambda: client.llen("mailworker") == 0, what="the doorbell is answered")
    sites["mailworker:"].python("from mailworker import send_email; send_email.delay('a@b.org', 'another', 'b')")
    until(lambda: inbox.subjects() == ["another"], what="another mail")
    assert client.hget("mailworker:mail:order-7", "state") == b"queued"
    assert client.hget("shop:mail:order-7", "state") == b"queued"
