"""The real command, a real Redis, a real SMTP server, real kills: every mail arrives, and nothing else does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import redis

from mailworker.errors import SpoolError
from mailworker.mail.address import Mailbox
from mailworker.mail.email import Email
from mailworker.mail.entry import to_php
from mailworker.spool import Queries
from tests.conftest import Inbox, RedisServer, Workers, free_port, need, settings_for, until
from tests.spools import queries_of

QUEUE = "queue:email"


def entry(subject: str, to: str = "someone@example.com") -> bytes:
    return to_php(Email((Mailbox(to),), subject.encode(), b"Here is the message itself"))


def push(server: RedisServer, *subjects: str) -> None:
    server.client().lpush(QUEUE, *[entry(subject) for subject in subjects])


def queries(server: RedisServer) -> Queries:
    return queries_of(server.client(), [QUEUE])


def empty(server: RedisServer) -> bool:
    try:
        report = queries(server).status()
    except SpoolError:  # it is killed, or starts
        return False
    waiting = sum(report["states"][state] for state in ("queued", "leased", "committing", "deferred"))
    return not waiting and not any(report["lists"].values())


def test_an_entry_that_php_pushed_and_a_delayed_call_both_arrive(
    workers: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    php = need("php")
    workers.start()
    code = f"""
    $redis = new Redis(); $redis->connect("127.0.0.1", {redis_server.port}); $redis->select(0);
    $redis->lpush("{QUEUE}", serialize(["to" => ["someone@example.com" => "A name"],
        "body" => "Here is the message itself", "subject" => "from PHP"]));"""
    subprocess.run([php, "-r", code], check=True, timeout=20)
    workers.python(
        "from mailworker import send_email\n"
        "send_email.delay(to={'else@example.com': 'Name'}, subject='from new code', body='text')"
    )
    until(lambda: len(inbox.mails) == 2, what="both mails")
    assert sorted(inbox.subjects()) == ["from PHP", "from new code"]
    assert b"To: A name <someone@example.com>\r\n" in b"".join(octets for _, octets in inbox.mails)
    until(lambda: empty(redis_server))


def test_wrong_arguments_raise_where_the_call_is(workers: Workers) -> None:
    code = """
from mailworker import send_email
from mailworker.errors import Unsendable
for arguments in [{}, {"to": 7}, {"to": "a@b.c", "subject": None}, {"to": "a@b.c", "body": 1}, {"unknown": 1}]:
    try:
        send_email.delay(**({"to": "a@b.c", "subject": "s", "body": "b"} | arguments if arguments else {}))
    except TypeError as error:
        print("TypeError", error)
for to in ["no address", [], {"a@b.c, d@e.f": None}, "a@b.c\\r\\nBcc: x@y.z"]:
    try:
        send_email.delay(to=to, subject="s", body="b")
    except Unsendable as error:
        print("Unsendable", error.reason)
"""
    lines = workers.python(code).splitlines()
    assert [line.split()[0] for line in lines] == ["TypeError"] * 5 + ["Unsendable"] * 4
    assert views_of(workers).status()["totals"]["accepted"] == 0


def views_of(workers: Workers) -> Queries:
    return queries_of(redis.Redis.from_url(workers.environment["MAILWORKER_REDIS_URL"]), [QUEUE])


def test_called_directly_it_sends_there_and_then(workers: Workers, inbox: Inbox) -> None:
    workers.python("from mailworker import send_email\nsend_email('a@example.com', 'now', 'body')")
    assert inbox.subjects() == ["now"]


# Another program, which knows the task's name and its queue and has nothing of ours.
ANOTHER = "import os; from celery import Celery; app = Celery(broker=os.environ['MAILWORKER_REDIS_URL'])\n"


def test_a_mail_sent_by_name_with_its_arguments_is_spooled_first(
    workers: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    workers.start()
    workers.python(
        ANOTHER + "mail = dict(to='a@example.com', subject='by name', body='b')\n"
        "app.send_task('mailworker.send_email', kwargs=mail, queue='mailworker')"
    )
    until(lambda: inbox.subjects() == ["by name"], what="the mail")


def test_a_mail_sent_by_name_with_wrong_arguments_is_a_dead_letter(
    workers: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    workers.start()
    workers.python(
        ANOTHER + "send = lambda **arguments: app.send_task('mailworker.send_email', queue='mailworker', **arguments)\n"
        "send(kwargs=dict(to='x <@example.com', subject='s', body='b'))\n"
        "send(kwargs=dict(to='a@b.org', subject='s', body='b', copy='c@d.org'))\n"
        "send(args=[1])\n"
        "send(kwargs=dict(to='a@b.org', template='welcome'))"
    )
    letters = until(
        lambda: len(found := list(queries(redis_server).dead_letters())) == 4 and found, what="dead letters"
    )
    reasons = ["bad_address", "bad_arguments", "bad_arguments", "bad_template"]
    assert sorted(letter.reason for letter in letters) == reasons
    assert json.loads(letters[0].raw)
    assert inbox.mails == []


def test_a_message_that_celery_does_not_know_is_not_printed(workers: Workers, redis_server: RedisServer) -> None:
    workers.start()
    workers.python(
        "from mailworker import app\n"
        "app.send_task('mailworker.sendmail', kwargs=dict(to='private@example.com', subject='s', body='secret words'))"
    )
    until(lambda: b"unregistered" in workers.log().read_bytes(), what="the complaint")
    log = workers.log().read_text()
    assert "mailworker.sendmail" in log
    assert "private@" not in log
    assert "secret words" not in log


def test_the_same_task_id_sends_one_mail(workers: Workers, redis_server: RedisServer, inbox: Inbox) -> None:
    workers.start()
    for _ in range(2):
        workers.python(
            "from mailworker import send_email\n"
            "send_email.apply_async(kwargs=dict(to='a@example.com', subject='once', body='b'), task_id='order-7')"
        )
        until(lambda: empty(redis_server))
    assert inbox.subjects() == ["once"]


def test_what_cannot_be_sent_is_a_dead_letter_with_its_octets_and_the_rest_flows(
    workers: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    bad = [b"\0garbage\xff", b"a:0:{}", entry("to nobody", to="no address")]
    redis_server.client().lpush(QUEUE, *bad, entry("good"))
    workers.start()
    until(lambda: inbox.subjects() == ["good"] and empty(redis_server), what="the good one")
    result = workers.run("mailworker", "dead", "list", "--json")
    letters = [json.loads(line) for line in result.stdout.splitlines()]
    import base64

    assert sorted(base64.b64decode(letter["raw_base64"]) for letter in letters) == sorted(bad)
    assert {letter["reason"] for letter in letters} == {"format", "missing_field", "bad_address"}
    for letter in letters:
        assert set(letter) >= {"id", "reason", "detail", "source", "attempts", "raw_base64", "at"}
        assert letter["source"] == QUEUE


def test_recipients_that_differ_are_treated_each_for_itself(
    workers: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    busy = ["450 busy", "250 OK"]
    answers = {"good@x.org": lambda: "250 OK", "bad@x.org": lambda: "550 no", "busy@x.org": lambda: busy.pop(0)}
    inbox.answer_to_rcpt = lambda address: answers[address]()
    workers.start(MAILWORKER_RETRY_DELAYS="0.1")
    mailboxes = tuple(Mailbox(address) for address in answers)
    redis_server.client().lpush(QUEUE, to_php(Email(mailboxes, b"s", b"b")))
    until(lambda: len(inbox.mails) == 2 and empty(redis_server), what="the second attempt")
    assert [recipients for recipients, _ in inbox.mails] == [["good@x.org"], ["busy@x.org"]]
    (letter,) = queries(redis_server).dead_letters()
    assert (letter.reason, json.loads(letter.recipients)) == ("recipient_refused", ["bad@x.org"])
    ids = {
        line for _, octets in inbox.mails for line in octets.split(b"\r\n") if line.startswith((b"Message-ID", b"Date"))
    }
    assert len(ids) == 2  # the same Message-ID and Date at both attempts


def test_three_workers_on_one_list_and_one_is_killed(workers: Workers, redis_server: RedisServer, inbox: Inbox) -> None:
    processes = [workers.start() for _ in range(3)]
    subjects = [f"mail {number}" for number in range(600)]
    push(redis_server, *subjects)
    until(lambda: len(inbox.mails) > 50, what="some mails")
    os.killpg(processes[0].pid, signal.SIGKILL)
    until(lambda: set(inbox.subjects()) == set(subjects), 60, "every mail")
    until(lambda: empty(redis_server), 60)
    doubled = len(inbox.mails) - len(subjects)
    assert doubled <= queries(redis_server).status()["totals"]["in_doubt"]


def test_a_killed_child_s_mails_go_on_within_seconds(workers: Workers, redis_server: RedisServer, inbox: Inbox) -> None:
    worker = workers.start()
    inbox.gate.clear()
    push(redis_server, "in hand", "in hand too")
    until(lambda: inbox.begun == 2, what="both children at work")
    owners = queries(redis_server).beats()
    children = {int(owner.split("/")[1].split(".")[0]) for owner in owners if "/" in owner} - {worker.pid}
    assert len(children) == 2
    begun = time.monotonic()
    # One of them: where all die at once, Celery may take five seconds to make new ones.
    os.kill(min(children), signal.SIGKILL)
    inbox.gate.set()
    until(lambda: empty(redis_server) and len(inbox.mails) >= 2, 10, "the mails")
    assert time.monotonic() - begun < 5
    assert set(inbox.subjects()) == {"in hand", "in hand too"}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGQUIT])
def test_a_stop_finishes_what_is_in_hand_and_gives_back_the_rest_at_once(
    workers: Workers, redis_server: RedisServer, inbox: Inbox, how: signal.Signals
) -> None:
    worker = workers.start("-c", "1")
    inbox.gate.clear()
    subjects = [f"mail {number}" for number in range(50)]
    push(redis_server, *subjects)
    until(lambda: inbox.begun == 1, what="the first mail")
    worker.send_signal(how)
    # What Celery says at once: a cold shutdown is told when it is over.
    until(lambda: any(word in workers.log().read_bytes() for word in (b"Warm shutdown", b"Hitting")), what="the stop")
    inbox.gate.set()
    worker.wait(30)
    assert len(inbox.mails) < 50
    assert queries(redis_server).status()["totals"]["in_doubt"] == 0
    assert queries(redis_server).status()["states"]["leased"] == 0
    workers.start()
    until(lambda: empty(redis_server), 20, "the rest")
    assert sorted(inbox.subjects()) == sorted(subjects)


def test_redis_may_be_killed_and_come_back(own_redis: RedisServer, tmp_path: Path, inbox: Inbox) -> None:
    workers = Workers(tmp_path, settings_for(own_redis.url, inbox.url))
    try:
        workers.start()
        subjects = [f"mail {number}" for number in range(300)]
        push(own_redis, *subjects)
        until(lambda: len(inbox.mails) > 20, what="some mails")
        own_redis.kill()
        own_redis.start()
        until(lambda: set(inbox.subjects()) == set(subjects), 60, "every mail")
        until(lambda: empty(own_redis), 60)
        assert len(inbox.mails) - len(subjects) <= queries(own_redis).status()["totals"]["in_doubt"]
        assert "Traceback" not in workers.log().read_text()
    finally:
        workers.stop()


def test_mail_waits_while_the_relay_is_away_and_no_attempt_is_counted(
    workers: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    port = free_port()
    workers.start(MAILWORKER_SMTP_URL=f"smtp://127.0.0.1:{port}")
    push(redis_server, *[f"mail {number}" for number in range(20)])
    until(lambda: queries(redis_server).status()["relays"]["default"]["open"], what="the breaker")
    report = json.loads(workers.run("mailworker", "status", "--json").stdout)
    assert report["relay"]["open"]
    assert report["states"]["failed"] == report["states"]["deferred"] == 0
    client = redis_server.client()
    assert not any(client.hexists(key, "tries") for key in client.scan_iter("mailworker:mail:*"))


def test_rabbitmq_can_carry_the_doorbells(
    redis_server: RedisServer, inbox: Inbox, workers: Workers, rabbitmq: str
) -> None:
    workers.environment["MAILWORKER_BROKER_URL"] = rabbitmq
    workers.start()
    subjects = [f"mail {number}" for number in range(50)]
    push(redis_server, *subjects)
    workers.python("from mailworker import send_email; send_email.delay(to='a@b.org', subject='new', body='b')")
    until(lambda: len(inbox.mails) == 51 and empty(redis_server), what="51 mails")
    assert not [key for key in redis_server.client().scan_iter("*") if not key.startswith(b"mailworker:")]
