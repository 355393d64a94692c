"""`celery -A mailworker flower` from any folder: closed without a login, on loopback, and without a word of a mail."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from ..conftest import BIN, Inbox, RedisServer, Workers, settings_for, until

LOGIN = "somebody:a-password"
PATHS = ("/", "/workers", "/tasks", "/broker", "/api/workers", "/api/tasks", "/api/task/types", "/metrics")

# Another program on the same broker, as other languages do it: it knows no more than the task's name, its own events
# and message headers repeat the arguments.
FOREIGN = """
import sys
from celery import Celery
app = Celery(broker=sys.argv[1])
app.conf.task_send_sent_event = True
mail = dict(to=sys.argv[2], subject="Secret-subject", body="Secret-body")
app.send_task("mailworker.send_email", kwargs=mail, queue="mailworker", task_id="foreign-kwargs")
app.send_task("mailworker.send_email", args=list(mail.values()), queue="mailworker", task_id="foreign-args")
wrong = dict(mail, to="secret-bad <@example.com", secret_field=1)
app.send_task("mailworker.send_email", kwargs=wrong, queue="mailworker", task_id="foreign-wrong")
app.send_task("mailworker.send_email", kwargs=mail, queue="nobody-reads-this", task_id="foreign-unread")
"""


class Flower:
    """The real command in a folder of its own, on a port that it chooses."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.log = folder / "flower.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(BIN / "celery"), "-A", "mailworker", "flower", "--port=0"],
                cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.url = until(self._address, what="Flower's start")

    def _address(self) -> str | None:
        text = self.log.read_text()
        assert self.process.poll() is None, text
        found = re.search(r"Visit me at (http://127\.0\.0\.1:\d+)", text)
        return found[1] if found else None

    def get(self, path: str, login: str | None = LOGIN, data: bytes | None = None) -> tuple[int, str]:
        request = urllib.request.Request(self.url + path, data=data)
        if login:
            request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode()

    def tasks(self) -> dict[str, dict[str, Any]]:
        status, text = self.get("/api/tasks")
        assert status == 200, text
        return dict(json.loads(text))

    def listening(self) -> set[str]:
        """The local addresses on which this process accepts connections, as Linux names them."""
        sockets = {os.readlink(path) for path in Path(f"/proc/{self.process.pid}/fd").iterdir() if path.exists()}
        found = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{self.process.pid}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                    found.add(fields[1].partition(":")[0])
        return found

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def environment(redis_server: RedisServer) -> dict[str, str]:
    return settings_for(redis_server.url, "smtp://127.0.0.1:1")


@pytest.fixture
def flower(tmp_path: Path, environment: dict[str, str]) -> Iterator[Flower]:
    folder = tmp_path / "flower"
    folder.mkdir()
    flower = Flower(folder, environment | {"FLOWER_BASIC_AUTH": LOGIN, "FLOWER_UNAUTHENTICATED_API": "true"})
    yield flower
    flower.stop()


def refused(folder: Path, environment: dict[str, str], *options: str) -> str:
    """What the command says when it does not start."""
    result = subprocess.run(
        [str(BIN / "celery"), "-A", "mailworker", "flower", "--port=0", *options],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert "Visit me" not in result.stdout + result.stderr
    return result.stderr.strip()


def test_it_does_not_start_without_a_login_and_says_in_one_line_how_to_set_one(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    said = refused(tmp_path, environment)

    assert said == "mailworker: flower: does not start without a login; set FLOWER_BASIC_AUTH=user:password"


@pytest.mark.parametrize("login", ["", "somebody", "somebody:", ":password", "somebody:half,half"])
def test_half_a_login_is_none(tmp_path: Path, environment: dict[str, str], login: str) -> None:
    said = refused(tmp_path, environment | {"FLOWER_BASIC_AUTH": login})

    assert said.endswith("set FLOWER_BASIC_AUTH=user:password")
    assert "\n" not in said
    assert "half" not in said


def test_the_sites_own_configuration_cannot_take_the_login_away(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "flowerconfig.py").write_text("basic_auth = []\n")

    assert "without a login" in refused(tmp_path, environment | {"FLOWER_BASIC_AUTH": LOGIN})
    assert "without a login" in refused(tmp_path, environment, "--conf=flowerconfig.py")


def test_the_sites_own_configuration_goes_on_top(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "flowerconfig.py").write_text("url_prefix = 'watch'\n")
    (tmp_path / ".env").write_text(f"FLOWER_BASIC_AUTH={LOGIN}\n")
    flower = Flower(tmp_path, environment)
    try:
        assert flower.get("/watch/workers")[0] == 200
        assert flower.get("/watch/metrics", login=None)[0] == 401
        assert flower.get("/workers")[0] == 404
    finally:
        flower.stop()


def test_nothing_but_the_health_check_answers_without_the_login(flower: Flower) -> None:
    assert {path: flower.get(path, login=None)[0] for path in PATHS} == dict.fromkeys(PATHS, 401)
    assert {path: flower.get(path, login="somebody:else")[0] for path in PATHS} == dict.fromkeys(PATHS, 401)
    assert flower.get("/api/task/send-task/mailworker.bridge", login=None, data=b'{"args": ["x"]}')[0] == 401
    assert flower.get("/api/worker/shutdown/w0@test", login=None, data=b"")[0] == 401
    assert flower.get("/healthcheck", login=None) == (200, "OK")
    assert flower.get("/metrics")[0] == 200


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="reads /proc, which only Linux has")
def test_it_listens_on_loopback_alone(flower: Flower) -> None:
    assert flower.listening() == {"0100007F"}


def test_no_address_and_no_body_is_shown_anywhere(
    flower: Flower, workers: Workers, inbox: Inbox, redis_server: RedisServer
) -> None:
    inbox.answer_to_rcpt = lambda address: f"550 no {address} here" if "refused" in address else "250 OK"
    inbox.gate.clear()
    workers.start()
    until(lambda: "w0@test" in flower.get("/api/workers?refresh=1")[1], what="the worker in Flower")

    workers.run("python", "-c", FOREIGN, redis_server.url, "secret-foreign@example.com")
    until(lambda: inbox.begun == 2, what="two mails under way")
    inspected = [workers.run("celery", "-A", "mailworker", "inspect", what) for what in ("active", "reserved")]
    assert inspected[0].stdout.count("(hidden)") == 2
    workers.python(
        "from mailworker import app, send_email\n"
        "mail = dict(subject='Secret-subject', body='Secret-body')\n"
        "send_email.apply_async(kwargs=dict(mail, to='secret-good@example.com'), task_id='ours-good')\n"
        "send_email.apply_async(kwargs=dict(mail, to='secret-refused@example.com'), task_id='ours-refused')\n"
        "app.send_task('mailworker.send_email', kwargs=dict(mail, to='secret-name@example.com'), task_id='ours-name')\n"
    )
    inbox.gate.set()

    ids = {"ours-good", "ours-refused", "ours-name", "foreign-kwargs", "foreign-args", "foreign-wrong"}
    until(lambda: ids <= done(flower.tasks()), what="all tasks ended, in Flower")
    flower.get("/api/workers?refresh=1")
    # DataTables' own protocol: the list that the page shows.
    table = (
        "/tasks/datatable?draw=1&start=0&length=100&search[value]=&order[0][column]=0&order[0][dir]=asc&"
        + "&".join(
            f"columns[{number}][data]={name}"
            for number, name in enumerate(["name", "args", "kwargs", "result", "exception"])
        )
    )
    pages = [
        *PATHS,
        "/worker/w0@test",
        table,
        *(f"/task/{id_}" for id_ in ids),
        *(f"/api/task/info/{id_}" for id_ in ids),
    ]
    seen = {path: flower.get(path) for path in pages}

    assert {path: status for path, (status, _) in seen.items() if status != 200} == {}
    assert "ours-refused" in seen[table][1]
    assert flower.tasks()["ours-refused"]["state"] == "FAILURE"
    assert flower.tasks()["ours-refused"]["kwargs"] == "{}"
    assert flower.tasks()["foreign-kwargs"]["kwargs"] == "(hidden)"
    assert "foreign-unread" not in flower.tasks()  # another program's events go to that program's own exchange
    for text in (*(text for _, text in seen.values()), flower.log.read_text(), *(run.stdout for run in inspected)):
        assert "secret" not in text.lower()
        assert "a-password" not in text
    assert "secret-" not in workers.log().read_text().lower()


def done(tasks: dict[str, dict[str, Any]]) -> set[str]:
    return {id_ for id_, task in tasks.items() if task["state"] in ("SUCCESS", "FAILURE", "RETRY")}


def test_a_message_of_this_package_repeats_no_mail_in_its_headers(workers: Workers, redis_server: RedisServer) -> None:
    workers.python(
        "from mailworker import app\n"
        "app.send_task('mailworker.send_email', args=['secret@example.com', 'Secret', 'Secret'])\n"
    )

    client: redis.Redis = redis_server.client()
    message = json.loads(client.lindex("mailworker", 0) or b"")  # type: ignore[arg-type]
    assert message["headers"]["task"] == "mailworker.send_email"
    assert "ecret" not in str(message)
    assert base64.b64decode(message["body"]).startswith(b"[[], {}, ")  # in the spool, and not in the message


def test_a_dead_letter_of_a_batch_is_a_failure_under_its_id(
    flower: Flower, workers: Workers, redis_server: RedisServer, inbox: Inbox
) -> None:
    good = [b'{"to":"a@example.com","subject":"s","body":"b"}'] * 20
    redis_server.client().lpush("queue:email", *good, b"garbage")
    workers.start()
    (mail_id,) = until(lambda: redis_server.client().zrange("mailworker:dead", 0, -1), what="the dead letter")
    until(lambda: len(inbox.mails) == 20, what="the others")
    task = until(lambda: flower.tasks().get(mail_id.decode()), what="the event")
    until(lambda: flower.tasks()[mail_id.decode()]["state"] == "FAILURE", what="the end")
    assert task["name"] == "mailworker.send_email"
    assert "format" in flower.tasks()[mail_id.decode()]["exception"]
