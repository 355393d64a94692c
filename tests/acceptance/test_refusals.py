"""Whatever Redis says and whatever state it is in, a worker stays, and goes on by itself when Redis is well."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.exceptions import RedisError

from mailworker.mail.address import Mailbox
from mailworker.mail.email import Email
from mailworker.mail.entry import to_php
from tests.acceptance.test_worker import empty, push
from tests.conftest import Inbox, RedisServer, Workers, free_port, settings_for, until

QUEUE = "queue:email"


class State:
    """How Redis is made to say no, and how that ends."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.busy: subprocess.Popen[bytes] | None = None

    def send(self, *command: str) -> object:
        return self.server.client().execute_command(*command)

    def begin(self, name: str) -> None:
        getattr(self, name)(True)

    def end(self, name: str) -> None:
        getattr(self, name)(False)

    def no_replica(self, on: bool) -> None:
        self.send("CONFIG", "SET", "min-replicas-to-write", "1" if on else "0")

    def read_only(self, on: bool) -> None:
        self.send("REPLICAOF", *(("127.0.0.1", str(free_port())) if on else ("NO", "ONE")))

    def master_down(self, on: bool) -> None:
        self.send("CONFIG", "SET", "replica-serve-stale-data", "no" if on else "yes")
        self.read_only(on)

    def cannot_save(self, on: bool) -> None:
        """A folder stands where the file should be: that stops root, too."""
        folder = self.server.folder / "dump.rdb"
        if on:
            folder.unlink(missing_ok=True)
            folder.mkdir()
            (folder / "in the way").touch()
            self.send("CONFIG", "SET", "save", "3600 1")
        else:
            (folder / "in the way").unlink()
            folder.rmdir()
        wanted = "err" if on else "ok"
        self.send("BGSAVE", "SCHEDULE")
        until(lambda: self.info("rdb_last_bgsave_status") == wanted, what="the save's end")

    def info(self, name: str) -> object:
        return self.server.client().info("persistence")[name]  # type: ignore[index]

    def busy_script(self, on: bool) -> None:
        if on:
            self.send("CONFIG", "SET", "lua-time-limit", "50")
            command = [str(self.server.program).replace("redis-server", "redis-cli"), "-p", str(self.server.port)]
            self.busy = subprocess.Popen(
                [*command, "EVAL", "while true do end", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            until(self._is_busy, what="the script")
        else:
            self.send("SCRIPT", "KILL")
            assert self.busy is not None
            self.busy.wait(10)

    def _is_busy(self) -> bool:
        try:
            return not self.server.client().ping()
        except RedisError as error:
            return "BUSY" in str(error)

    def no_right_to_wait(self, on: bool) -> None:
        self.send("ACL", "SETUSER", "default", "-brpop" if on else "+brpop")

    def no_right_to_scripts(self, on: bool) -> None:
        self.send("ACL", "SETUSER", "default", *(("-evalsha", "-eval") if on else ("+evalsha", "+eval")))

    def forgets_scripts(self, on: bool) -> None:
        self.send("SCRIPT", "FLUSH")

    def queue_of_another_type(self, on: bool) -> None:
        self.another_type("mailworker.bridge", on)

    def notes_of_another_type(self, on: bool) -> None:
        self.another_type("unacked", on)

    def bindings_of_another_type(self, on: bool) -> None:
        self.another_type("_kombu.binding.celeryev", on)

    def another_type(self, key: str, on: bool) -> None:
        client = self.server.client()
        client.delete(key)
        if on:
            client.set(key, "a stranger's")

    def garbage_in_the_queue(self, on: bool) -> None:
        if on:
            self.server.client().lpush("mailworker", "no JSON", "17", "[]", '{"body": 1}', b"\xff", "null")


STATES = [
    "no_replica",
    "read_only",
    "master_down",
    "cannot_save",
    "busy_script",
    "no_right_to_wait",
    "no_right_to_scripts",
    "forgets_scripts",
    "queue_of_another_type",
    "notes_of_another_type",
    "bindings_of_another_type",
    "garbage_in_the_queue",
]


@pytest.fixture
def refusing(tmp_path: Path, own_redis: RedisServer, inbox: Inbox) -> Iterator[tuple[Workers, State]]:
    workers = Workers(tmp_path, settings_for(own_redis.url, inbox.url))
    yield workers, State(own_redis)
    workers.stop()


def test_mails_under_way_are_settled_and_the_next_ones_flow(
    refusing: tuple[Workers, State], own_redis: RedisServer, inbox: Inbox
) -> None:
    """Celery ends at an error reply to BRPOP: celery/celery#3773 and many like it."""
    workers, state = refusing
    # One state follows the other here, and the pauses would grow.
    (workers.folder / "celeryconfig.py").write_text("from mailworker.worker import consumer\nconsumer.LONGEST = 1.0\n")
    worker = workers.start()
    wanted: list[str] = []

    def arrived() -> bool:
        assert worker.poll() is None, workers.log().read_text()
        return len(inbox.mails) >= len(wanted)

    for name in STATES:
        inbox.gate.clear()
        begun = inbox.begun
        push(own_redis, f"before {name}")
        until(lambda begun=begun: inbox.begun > begun, 60, "the mail's way to the relay")  # type: ignore[misc]
        state.begin(name)
        inbox.gate.set()
        wanted.append(f"before {name}")
        until(arrived, 60, "the mail")
        time.sleep(1.2)  # longer than any BRPOP: the consumer has met the state
        state.end(name)
        push(own_redis, f"after {name}")
        wanted.append(f"after {name}")
        until(arrived, 60, f"the mail after {name}")
        until(lambda: empty(own_redis), 60, "the end")
    assert sorted(inbox.subjects()) == sorted(wanted)
    log = workers.log().read_text()
    assert "Unrecoverable" not in log
    assert "Redis says NOREPLICAS Not enough good replicas to write" in log


def test_a_worker_that_starts_meanwhile_waits_and_goes_on(
    refusing: tuple[Workers, State], own_redis: RedisServer, inbox: Inbox
) -> None:
    workers, state = refusing
    push(own_redis, "waits")
    for name in ("no_replica", "busy_script"):
        state.begin(name)
        worker = workers.start(ready="Trying again")
        assert worker.poll() is None
        state.end(name)
    until(lambda: inbox.subjects() == ["waits"], 30, "the mail")


@pytest.mark.parametrize(("size", "limit"), [(300, "3mb"), (20_000, "12mb"), (1_000_000, "40mb")])
def test_a_full_redis_drains_by_itself(tmp_path: Path, inbox: Inbox, size: int, limit: str) -> None:
    """The broker is in it, too. Only sending frees memory, and nobody raises the limit."""
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis", "--maxmemory", limit, "--maxmemory-policy", "noeviction")
    server.start()
    workers = Workers(tmp_path, settings_for(server.url, inbox.url))
    try:
        pushed = _fill(server, size)
        worker = workers.start("-c", "2")
        until(lambda: empty(server), 90, "the end")
        assert worker.poll() is None
        assert sorted(inbox.subjects()) == sorted(pushed)
        assert "Traceback" not in workers.log().read_text()
    finally:
        workers.stop()
        server.stop()


def test_what_becomes_full_meanwhile_drains_and_control_answers(
    tmp_path: Path, own_redis: RedisServer, inbox: Inbox
) -> None:
    workers = Workers(tmp_path, settings_for(own_redis.url, inbox.url))
    try:
        inbox.gate.clear()
        workers.start()
        own_redis.client().config_set("maxmemory", "4mb")
        pushed = _fill(own_redis, 3000)
        answer = workers.run("celery", "-A", "mailworker", "inspect", "ping", "-t", "5")
        assert "1 node online" in answer.stdout, answer.stdout + answer.stderr
        inbox.gate.set()
        until(lambda: empty(own_redis), 90, "the end")
        assert sorted(inbox.subjects()) == sorted(pushed)
    finally:
        inbox.gate.set()
        workers.stop()


def _fill(server: RedisServer, size: int) -> list[str]:
    """Pushes as producers do until Redis says that it is full, then small ones until it says so again."""
    client = server.client()
    subjects: list[str] = []
    for body in (b"x" * size, b"x"):
        while True:
            subject = f"mail {len(subjects)}"
            try:
                client.lpush(QUEUE, to_php(Email((Mailbox("a@example.com"),), subject.encode(), body)))
            except redis.exceptions.OutOfMemoryError:
                break
            subjects.append(subject)
    return subjects
