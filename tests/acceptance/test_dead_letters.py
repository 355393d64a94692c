"""The commands for dead letters and the way back, as an operator types them, against a real Redis."""

from __future__ import annotations

import base64
import email
import json
import os
import signal
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from mailworker.mail.address import Mailbox
from mailworker.mail.email import Email
from mailworker.mail.entry import to_php
from mailworker.mail.file import File
from mailworker.mail.frame import blobs, to_record
from mailworker.outcome import Failed
from mailworker.spool import Spool, connect
from tests.conftest import BIN, Inbox, RedisServer, Workers, until
from tests.spools import spool_of

QUEUE = "queue:email"


def entry(to: str) -> bytes:
    return to_php(Email((Mailbox(to),), b"subject", b"body"))


@pytest.fixture
def spool(redis_server: RedisServer) -> Spool:
    return spool_of(connect(redis_server.url), [QUEUE])


def bury(spool: Spool, reason: str, *payloads: bytes) -> list[str]:
    for payload in payloads:
        spool.client.lpush(QUEUE, payload)
    claim = spool.claim("w/1.0", "", 100)
    ids = claim.together
    spool.unlock("w/1.0")
    spool.take("w/1.0", ids)
    spool.settle(
        "default", "w/1.0", [(mail_id, Failed(reason, "550 no\x1b[31m such user")) for mail_id in ids], end=True
    )
    spool.release("w/1.0", died=False)
    return ids


def ids_of(output: str) -> list[str]:
    return [json.loads(line)["id"] for line in output.splitlines()]


def test_dead_letters_are_picked_by_id_reason_recipient_and_age(workers: Workers, spool: Spool) -> None:
    (first, second) = bury(spool, "recipient_refused", entry("a@x.org"), entry("b@x.org"))
    (third,) = bury(spool, "format", b"\0garbage")
    listing = ("mailworker", "dead", "list", "--json")
    assert ids_of(workers.run(*listing).stdout) == [first, second, third]
    assert ids_of(workers.run(*listing, "--reason", "format").stdout) == [third]
    assert ids_of(workers.run(*listing, "--recipient", "B@x.org").stdout) == [second]
    assert ids_of(workers.run(*listing, "--older-than", "1h").stdout) == []
    assert ids_of(workers.run(*listing, first, third).stdout) == [first, third]
    unknown = workers.run(*listing, "nonsense")
    assert (unknown.returncode, unknown.stderr) == (1, "mailworker: nonsense: no such dead letter\n")


def test_a_list_for_people_lets_no_control_character_through(workers: Workers, spool: Spool) -> None:
    (mail_id,) = bury(spool, "recipient_refused", entry("a@x.org"))
    assert "\x1b" not in workers.run("mailworker", "dead", "list").stdout
    shown = workers.run("mailworker", "dead", "show", mail_id).stdout
    assert "\x1b" not in shown
    assert "a@x.org" in shown


def test_celery_s_own_command_has_them_too(workers: Workers, spool: Spool) -> None:
    (mail_id,) = bury(spool, "format", b"\0garbage")
    result = workers.run("celery", "-A", "mailworker", "mail", "dead", "list", "--json")
    letter = json.loads(result.stdout)
    assert (letter["id"], letter["reason"], letter["source"]) == (mail_id, "format", QUEUE)
    assert base64.b64decode(letter["raw_base64"]) == b"\0garbage"


def test_a_retried_dead_letter_is_sent_under_its_id(workers: Workers, spool: Spool, inbox: Inbox) -> None:
    (mail_id,) = bury(spool, "recipient_refused", entry("a@x.org"))
    assert workers.run("mailworker", "dead", "retry", mail_id).stdout.strip() == "1 go to the queue"
    workers.start()
    until(lambda: inbox.mails, what="the mail")
    assert f"Message-ID: <{mail_id}@example.com>".encode() in inbox.mails[0][1]


def test_dropping_asks_first(workers: Workers, spool: Spool) -> None:
    bury(spool, "format", b"\0a", b"\0b")
    refused = workers.run("mailworker", "dead", "drop", "--reason", "format")
    assert refused.returncode == 1
    assert len(workers.run("mailworker", "dead", "list").stdout.splitlines()) == 2
    assert workers.run("mailworker", "dead", "drop", "--reason", "format", "--yes").stdout.strip() == "2 dropped"
    assert workers.run("mailworker", "dead", "list").stdout == ""


def test_an_export_holds_the_exact_octets_and_never_overwrites(workers: Workers, spool: Spool, tmp_path: Path) -> None:
    bury(spool, "format", b"\0a\xff")
    target = tmp_path / "letters.jsonl"
    assert workers.run("mailworker", "dead", "export", "--output", str(target)).returncode == 0
    assert base64.b64decode(json.loads(target.read_text())["raw_base64"]) == b"\0a\xff"
    assert target.stat().st_mode & 0o077 == 0
    again = workers.run("mailworker", "dead", "export", "--output", str(target))
    assert (again.returncode, again.stderr) == (1, f"mailworker: {target}: File exists\n")


def test_everything_goes_back_to_the_list_even_what_a_killed_worker_had(
    workers: Workers, spool: Spool, inbox: Inbox
) -> None:
    pushed = [to_php(Email((Mailbox("a@x.org"),), b"mail %d" % number, b"body")) for number in range(30)]
    for payload in pushed:
        spool.client.lpush(QUEUE, payload)
    inbox.answer_to_rcpt = lambda _: "450 later"
    worker = workers.start()
    until(lambda: spool.client.zcard("mailworker:due") == 30, what="all claimed")
    refused = workers.run("mailworker", "giveback", "--yes")
    assert (refused.returncode, "worker is running" in refused.stderr) == (1, True)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    result = workers.run("mailworker", "giveback", "--yes")
    assert result.stdout.splitlines()[0] == "30 given back", result.stderr
    assert spool.client.lrange(QUEUE, 0, -1) == pushed[::-1]
    assert not inbox.mails


def test_a_server_that_does_not_answer_is_one_line(workers: Workers) -> None:
    workers.environment["MAILWORKER_REDIS_URL"] = "redis://:secret@127.0.0.1:1/0"
    for command in (["status"], ["dead", "list"], ["doubts"], ["giveback", "--yes"]):
        result = workers.run("mailworker", *command)
        assert result.returncode == 75
        assert len(result.stderr.splitlines()) == 1
        assert "secret" not in result.stderr


def test_a_reader_that_goes_after_the_first_line_leaves_no_traceback(workers: Workers, spool: Spool) -> None:
    client = spool.client.pipeline(transaction=False)
    for number in range(5000):
        client.hset(
            f"mailworker:mail:m{number:05}", mapping={"state": "failed", "reason": "format", "payload": "x" * 99}
        )
        client.zadd("mailworker:dead", {f"m{number:05}": number})
    client.execute()
    result = shell(workers, "mailworker dead list | head -1")
    assert result.stdout.startswith("m00000 ")
    assert result.stderr == ""
    assert workers.run("mailworker", "dead", "list", "--reason", "poison").stdout == ""
    assert len(workers.run("mailworker", "dead", "list", "--reason", "format").stdout.splitlines()) == 5000


def test_a_terminal_that_lacks_a_character_gets_its_escape(workers: Workers, spool: Spool) -> None:
    (mail_id,) = bury(spool, "message_refused", entry("a@x.org"))
    spool.client.hset(f"mailworker:mail:{mail_id}", "detail", "550 \N{EURO SIGN} \x1b[31m")
    workers.environment |= {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    result = workers.run("mailworker", "dead", "list")
    assert result.returncode == 0, result.stderr
    assert "550 \\u20ac  [31m" in result.stdout


def test_unknown_letters_are_one_line(workers: Workers, spool: Spool) -> None:
    for words in (["show", "nobody"], ["list", "nobody"], ["retry", "nobody"], ["drop", "--yes", "nobody"]):
        result = workers.run("mailworker", "dead", *words)
        assert (result.returncode, result.stderr) == (1, "mailworker: nobody: no such dead letter\n")


def shell(workers: Workers, line: str) -> subprocess.CompletedProcess[str]:
    environment = workers.environment | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-c", line],
        env=environment,
        cwd=workers.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_mail_with_files_is_shown_exported_whole_and_kept_from_the_old_daemon(
    workers: Workers, spool: Spool, inbox: Inbox, tmp_path: Path
) -> None:
    large = os.urandom(9000)
    file = File("Rechnung Ä.pdf", "application/pdf", large, sha256(large).hexdigest())
    mail = Email((Mailbox("a@x.org"),), b"subject", b"a text\x1b[31m", html=b"<p>a text", attachments=(file,))
    for name in "mn":
        spool.accept(name, to_record(mail), blobs=blobs(mail))
    spool.take("w/1.0", ["m", "n"])
    spool.settle("default", "w/1.0", [(name, Failed("message_refused", "554 no")) for name in "mn"], end=True)
    spool.release("w/1.0", died=False)

    shown = workers.run("mailworker", "dead", "show", "m").stdout
    assert "\x1b" not in shown
    for line in (
        "recipients  all",
        "to          a@x.org",
        "body        a text",
        "attachment  Rechnung Ä.pdf  application/pdf  9000 octets",
    ):
        assert line in shown
    message = workers.run("mailworker", "dead", "show", "m", "--eml").stdout
    [part] = [part for part in email.message_from_string(message).walk() if part.get_filename()]
    assert part.get_payload(decode=True) == large

    target = tmp_path / "letters.jsonl"
    assert workers.run("mailworker", "dead", "export", "--output", str(target)).returncode == 0
    letters = [json.loads(line) for line in target.read_text().splitlines()]
    assert [base64.b64decode(letter["raw_base64"]) for letter in letters] == [to_record(mail)] * 2
    assert letters[0]["files_base64"] == {file.digest: base64.b64encode(large).decode()}
    assert "files_base64" not in letters[1]

    given = workers.run("mailworker", "giveback", "--dead", "--yes").stdout
    assert given.startswith("0 given back\n2 kept: the old daemon would not send them as they are meant")
    assert workers.run("mailworker", "dead", "drop", "--yes").stdout == "2 dropped\n"
    assert not spool.client.keys("mailworker:blob*")
