"""What an operator sees at once: `mailworker status`, its exit codes, `retry-now`, what a worker says at its start."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from mailworker.outcome import Deferred
from mailworker.spool import Spool, connect
from tests.conftest import Inbox, RedisServer, Workers, free_port, settings_for, until
from tests.spools import queries_of, spool_of

QUEUE = "queue:email"
LOGIN_REFUSED = "AUTH: 535 5.7.8 no"


@pytest.fixture
def spool(redis_server: RedisServer) -> Spool:
    return spool_of(connect(redis_server.url), [QUEUE])


def code(workers: Workers, *words: str) -> int:
    return workers.run("mailworker", *words).returncode


def test_before_any_worker_ran_status_says_so(workers: Workers) -> None:
    result = workers.run("mailworker", "status")
    assert result.stdout.startswith("No worker is running; start one: celery -A mailworker worker\n")
    assert result.returncode == 1


def test_a_worker_that_was_killed_is_not_counted_as_alive(workers: Workers, redis_server: RedisServer) -> None:
    process = workers.start()
    until(lambda: code(workers, "status") == 0, what="the first pulse")
    assert "last heard of" in workers.run("mailworker", "status").stdout
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert code(workers, "status") == 1  # on its own machine that is seen at once
    client = redis_server.client()
    for name in client.hkeys("mailworker:heard"):  # minutes later
        if not name.startswith(b" "):
            client.hincrby("mailworker:heard", name, -300_000)
    result = workers.run("mailworker", "status")
    assert "No worker is alive: last heard of 5 min ago" in result.stdout.splitlines()[0]
    assert "workers                          0 with 0 pool children" in result.stdout
    assert result.returncode == 1
    report = json.loads(workers.run("mailworker", "status", "--json").stdout)
    assert report["workers"] == {}
    assert len(report["silent"]) == 1


def test_one_living_worker_beside_a_dead_one_is_enough(spool: Spool, workers: Workers) -> None:
    spool.beat("dead:1:2:abc", 5, ())
    spool.client.hincrby("mailworker:heard", "dead:1:2:abc", -300_000)
    spool.beat("living:1:3:abc", 2, ())
    result = workers.run("mailworker", "status")
    assert result.returncode == 0
    assert "workers                          1 with 2 pool children" in result.stdout
    assert "dead (process 2): last heard of 5 min ago: taken to be gone" in result.stdout


def test_a_clock_that_was_set_back_does_not_revive_a_dead_worker(spool: Spool, workers: Workers) -> None:
    spool.beat("dead:1:2:abc", 5, ())
    spool.client.hincrby("mailworker:heard", "dead:1:2:abc", 3_600_000)
    assert code(workers, "status") == 1


def test_a_relay_that_refuses_the_login_is_named_with_the_setting(spool: Spool, workers: Workers) -> None:
    spool.beat("w:1:2:abc", 5, ())
    spool.relay_failed("default", LOGIN_REFUSED, True, "mail.example.com:587")
    result = workers.run("mailworker", "status")
    first = result.stdout.splitlines()[0]
    assert result.returncode == 1
    for words in ("mail.example.com:587", " s now; ", "next probe in", "password in MAILWORKER_SMTP_URL", "535"):
        assert words in first


def test_a_relay_that_is_away_is_something_that_passes(spool: Spool, workers: Workers) -> None:
    spool.beat("w:1:2:abc", 5, ())
    for _ in range(3):
        spool.relay_failed("default", "connect: Connection refused", False, "mail.example.com:25")
    assert code(workers, "status") == 75


def test_a_backlog_that_stands_is_told(spool: Spool, workers: Workers) -> None:
    spool.client.lpush(QUEUE, "x")
    spool.beat("w:1:2:abc", 5, ())
    spool.beat("w:1:2:abc", 5, ())
    assert code(workers, "status") == 0
    spool.client.hincrby("mailworker:heard", " moved", -300_000)
    spool.beat("w:1:2:abc", 5, ())
    result = workers.run("mailworker", "status")
    assert "1 mails wait and nothing moved for 5 min" in result.stdout
    assert result.returncode == 1


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("MAILWORKER_REDIS_URL", "redis://:secretword@127.0.0.1:{port}/0", 75),
        ("MAILWORKER_REDIS_URL", "http://x", 78),
        ("MAILWORKER_SMTP_ULR", "smtp://x", 78),
    ],
)
@pytest.mark.parametrize(
    "command", [["status"], ["dead", "list"], ["dead", "show", "x"], ["doubts"], ["giveback", "--yes"], ["retry-now"]]
)
def test_what_a_command_cannot_do_is_one_line_and_a_code(
    workers: Workers, command: list[str], setting: str, value: str, expected: int
) -> None:
    workers.environment[setting] = value.format(port=free_port())
    result = workers.run("mailworker", *command)
    assert result.returncode == expected
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("mailworker: ")
    assert "secretword" not in result.stderr


@pytest.mark.parametrize(
    ("url", "expected", "words"),
    [("redis://127.0.0.1:{port}/0", 75, "look whether it runs"), ("http://x", 78, "MAILWORKER_REDIS_URL: must begin")],
)
def test_status_as_json_is_json_whatever_is_wrong(workers: Workers, url: str, expected: int, words: str) -> None:
    workers.environment["MAILWORKER_REDIS_URL"] = url.format(port=free_port())
    result = workers.run("mailworker", "status", "--json")
    report = json.loads(result.stdout)
    assert report["code"] == result.returncode == expected
    assert words in report["verdict"]
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", [["status"], ["dead", "list"], ["retry-now"]])
def test_a_redis_that_wants_a_password_is_a_setting(
    own_redis: RedisServer, workers: Workers, command: list[str]
) -> None:
    own_redis.client().config_set("requirepass", "new")
    workers.environment["MAILWORKER_REDIS_URL"] = own_redis.url
    result = workers.run("mailworker", *command)
    assert result.returncode == 78
    assert result.stderr.startswith(
        "mailworker: Redis wants a login: write user and password into MAILWORKER_REDIS_URL"
    )


def test_a_wrong_password_of_redis_is_a_setting(workers: Workers, tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    server = RedisServer(folder, "--requirepass", "right")
    server.client = lambda: connect(f"redis://:right@127.0.0.1:{server.port}/0")  # type: ignore[method-assign]
    server.start()
    try:
        workers.environment["MAILWORKER_REDIS_URL"] = f"redis://:wrong@127.0.0.1:{server.port}/0"
        result = workers.run("mailworker", "status")
        assert result.returncode == 78, result.stderr
        assert len(result.stderr.splitlines()) == 1
    finally:
        server.stop()


def defer(spool: Spool, count: int, delay: float = 3600) -> list[str]:
    ids = [f"m{number:05}" for number in range(count)]
    for mail_id in ids:
        spool.accept(mail_id, b"{}")
    spool.take("w/1.0", ids)
    spool.settle(
        "default", "w/1.0", [(mail_id, Deferred(delay, 450, "RCPT", "450 later")) for mail_id in ids], end=True
    )
    return ids


def test_retry_now_makes_due_what_waits_and_has_the_relay_probed(spool: Spool, workers: Workers) -> None:
    ids = defer(spool, 2100)
    spool.accept("asked", b"{}", delay=3600)
    tries = spool.client.hget(f"mailworker:mail:{ids[0]}", "tries")
    for _ in range(4):
        spool.relay_failed("default", LOGIN_REFUSED, True)
    assert not spool.look("t").ring
    result = workers.run("mailworker", "retry-now")
    assert result.stdout == "2100 mails are due now; the relay is tried at once\n"
    assert spool.look("t").ring
    assert spool.client.hget(f"mailworker:mail:{ids[0]}", "tries") == tries
    now = spool.client.time()[0] * 1000 + 1000
    assert spool.client.zcount("mailworker:due", "-inf", now) == 2100
    assert workers.run("mailworker", "retry-now").stdout == "0 mails are due now; the relay is tried at once\n"


def test_retry_now_of_some_ids_leaves_the_others_and_says_which_are_unknown(spool: Spool, workers: Workers) -> None:
    defer(spool, 3)
    spool.accept("asked", b"{}", delay=3600)
    result = workers.run("mailworker", "retry-now", "m00001", "asked", "nobody")
    assert result.stdout == "2 mails are due now\n"
    assert "1 of these ids" in result.stderr
    assert result.returncode == 1


def test_a_start_probes_at_once_and_a_pulse_that_goes_on_does_not(spool: Spool) -> None:
    spool.beat("old:1:2:abc", 5, ())
    for _ in range(3):
        spool.client.hset("mailworker:relay:default", "open_until", 0)
        spool.relay_failed("default", LOGIN_REFUSED, True)
    spool.beat("old:1:2:abc", 5, ())
    assert not spool.look("t").ring
    spool.client.lpush(QUEUE, "x")
    spool.beat("new:1:3:abc", 5, ())
    assert spool.look("t").ring
    # The intervals begin anew; it is told again.
    assert spool.relay_failed("default", LOGIN_REFUSED, True) == (True, 15, True)
    assert spool.relay_failed("default", LOGIN_REFUSED, True)[2] is False  # by the one that probed


def test_mail_goes_soon_after_a_restart_with_the_right_relay(
    workers: Workers, redis_server: RedisServer, inbox: Inbox, spool: Spool
) -> None:
    for _ in range(6):
        spool.client.hset("mailworker:relay:default", "open_until", 0)
        spool.relay_failed("default", LOGIN_REFUSED, True)
    queries = queries_of(redis_server.client(), [QUEUE])
    assert queries.status()["relays"]["default"]["probe_seconds"] > 200
    workers.environment |= settings_for(redis_server.url, inbox.url)
    workers.python("from mailworker import send_email\nsend_email.delay(to='a@example.com', subject='s', body='b')")
    workers.start()
    until(lambda: inbox.subjects() == ["s"], 10, "the mail")


@pytest.mark.parametrize(
    ("pool", "hands"), [((), "2 pool children"), (("-P", "threads"), "2 threads"), (("-P", "solo"), "one process")]
)
def test_a_worker_says_once_at_the_default_level_what_it_is_about(
    workers: Workers, redis_server: RedisServer, inbox: Inbox, pool: tuple[str, ...], hands: str
) -> None:
    process = workers.start("-l", "WARNING", *pool, ready="drains")
    log = workers.log().read_text()
    assert log.count("drains queue:email") == 1
    assert f"through {inbox.url} as A site <site@example.com>, with {hands}" in log
    assert process.poll() is None


def test_a_worker_that_nobody_told_who_sends_warns(workers: Workers) -> None:
    del workers.environment["MAILWORKER_FROM"]
    workers.start()
    assert "set MAILWORKER_FROM" in workers.log().read_text()


def test_records_that_nobody_of_us_wrote_are_no_traceback(spool: Spool, workers: Workers) -> None:
    spool.client.hset("mailworker:relay:default", mapping={"open_until": "junk", "text": "a"})
    result = workers.run("mailworker", "status")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_database_that_is_not_there_is_a_setting(workers: Workers) -> None:
    workers.environment["MAILWORKER_REDIS_URL"] = workers.environment["MAILWORKER_REDIS_URL"][:-1] + "99"
    result = workers.run("mailworker", "status")
    assert result.returncode == 78, result.stderr


def test_words_of_a_relay_cannot_steer_the_terminal(spool: Spool, workers: Workers) -> None:
    spool.relay_failed("default", "AUTH: 535 \x1b]0;title\x07\r\nMail flows \u202e", True, "mail.example.com:25")
    output = workers.run("mailworker", "status").stdout
    assert "\x1b" not in output
    assert "\u202e" not in output
    assert "Mail flows" in output.splitlines()[-1]
    assert not any(line.startswith("Mail flows") for line in output.splitlines())


def test_mail_that_was_put_off_goes_soon_after_retry_now(
    workers: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    inbox.answer_to_rcpt = lambda _: "450 4.7.1 not now"
    workers.start(MAILWORKER_RETRY_DELAYS="3600")
    workers.python("from mailworker import send_email\nsend_email.delay(to='a@example.com', subject='s', body='b')")
    until(lambda: status_of(redis_server)["states"]["deferred"] == 1, what="the deferral")
    inbox.answer_to_rcpt = lambda _: "250 OK"
    assert workers.run("mailworker", "retry-now").stdout == "1 mails are due now\n"
    until(lambda: inbox.subjects() == ["s"], 10, "the mail")


def test_a_user_of_redis_with_the_rights_of_before_sees_all_but_the_times(
    workers: Workers, redis_server: RedisServer, spool: Spool
) -> None:
    spool.beat("w:1:2:abc", 5, ())
    client = redis_server.client()
    client.acl_setuser(
        "viewer", enabled=True, passwords=["+p"], commands=["+llen", "+hgetall", "+ping", "+select"],
        keys=["queue:email", "mailworker:counts", "mailworker:relay:default", "mailworker:pools"],
    )  # fmt: skip
    try:
        workers.environment["MAILWORKER_REDIS_URL"] = f"redis://viewer:p@127.0.0.1:{redis_server.port}/0"
        result = workers.run("mailworker", "status")
        assert result.returncode == 0, result.stderr
        assert "1 with 5 pool children" in result.stdout
        assert "nobody can tell when it was last heard of" in result.stdout
    finally:
        client.acl_deluser("viewer")


def status_of(server: RedisServer) -> dict[str, Any]:
    return queries_of(server.client(), [QUEUE]).status()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("maxmemory", "1mb"), "Redis is full"),
        (("min-replicas-to-write", "1"), "fewer replicas"),
        (("replicaof", "127.0.0.1 1"), "read-only replica"),
    ],
)
def test_a_redis_that_takes_no_writes_is_named(
    own_redis: RedisServer, workers: Workers, option: tuple[str, str], words: str
) -> None:
    workers.environment["MAILWORKER_REDIS_URL"] = own_redis.url
    spool_of(connect(own_redis.url), [QUEUE]).beat("w:1:2:abc", 5, ())
    client = own_redis.client()
    client.replicaof(*option[1].split()) if option[0] == "replicaof" else client.config_set(*option)
    result = workers.run("mailworker", "status")
    assert words in result.stdout.splitlines()[0], result.stderr
    assert result.returncode == 1


@pytest.mark.parametrize(("stops", "words"), [("yes", "Redis cannot save"), ("no", "Mail flows")])
def test_a_failed_save_is_a_problem_where_redis_makes_it_one(
    own_redis: RedisServer, workers: Workers, stops: str, words: str
) -> None:
    workers.environment["MAILWORKER_REDIS_URL"] = own_redis.url
    spool_of(connect(own_redis.url), [QUEUE]).beat("w:1:2:abc", 5, ())
    client = own_redis.client()
    client.config_set("save", "3600 1")
    client.config_set("stop-writes-on-bgsave-error", stops)
    (Path(client.config_get("dir")["dir"]) / "dump.rdb" / "in the way").mkdir(parents=True)
    client.bgsave()
    until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", what="the failure")
    said = workers.run("mailworker", "status").stdout
    client.config_set("save", "")  # it does not end before it has saved
    assert said.startswith(words)


def test_a_list_that_is_something_else_is_named(spool: Spool, workers: Workers) -> None:
    spool.beat("w:1:2:abc", 5, ())
    spool.client.set(QUEUE, "x")
    result = workers.run("mailworker", "status")
    assert "queue:email in Redis is no list" in result.stdout.splitlines()[0]
    assert "queue:email                      ? this key is no list" in result.stdout
    assert result.returncode == 1
