"""The programs in examples/ do what they say, with a real Redis, a worker and a relay that keeps what it is given."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from tests.acceptance.conftest import ROOT
from tests.conftest import Inbox, RedisServer, Workers, need, settings_for, until

EXAMPLES = ROOT / "examples"


@dataclass(frozen=True)
class Site:
    """One worker for all examples."""

    workers: Workers
    inbox: Inbox
    redis: RedisServer

    def received(self) -> dict[str, tuple[list[str], EmailMessage]]:
        """By subject: to whom it went, and what a reader makes of it."""
        mails = [(who, message_from_bytes(octets, policy=default)) for who, octets in list(self.inbox.mails)]
        return {str(mail["subject"]): (who, mail) for who, mail in mails}  # type: ignore[misc]

    def run(self, folder: str, code: str) -> str:
        """What a program prints in the folder of an example."""
        result = subprocess.run(
            [sys.executable, "-c", code], cwd=EXAMPLES / folder, capture_output=True, text=True, check=False,
            env=self.workers.environment | {"PYTHONDONTWRITEBYTECODE": "1"}, timeout=60,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        return result.stdout


@pytest.fixture(scope="module")
def site(shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    shared_redis.client().flushall()
    inbox = Inbox()
    workers = Workers(tmp_path_factory.mktemp("site"), settings_for(shared_redis.url, inbox.url))
    try:
        workers.start(MAILWORKER_LEGACY_FIELDS="html,cc,reply_to,attachments")
        yield Site(workers, inbox, shared_redis)
    finally:
        workers.stop()
        inbox.stop()
        shared_redis.client().flushall()


def test_flask_s_mail_arrives_with_its_html_and_its_file(site: Site) -> None:
    said = site.run(
        "flask",
        "from app import app\nclient = app.test_client()\n"
        "for number in ('7', '7', '8'):\n"
        "    answer = client.post('/orders', data={'address': 'Ada <ada@example.com>', 'number': number})\n"
        "    print(answer.status_code, answer.json['mail'])\n",
    )  # fmt: skip
    assert said.split() == ["202", "order-7", "202", "order-7", "202", "order-8"]
    until(lambda: {"Your order 7", "Your order 8"} <= site.received().keys(), what="both mails")
    assert len(site.inbox.mails) == 2  # for three requests
    recipients, mail = site.received()["Your order 7"]
    assert recipients == ["ada@example.com"]
    assert "<b>7</b>" in mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "Your order 7 is on its way" in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert [part.get_filename() for part in mail.iter_attachments()] == ["order-7.txt"]


def test_flask_s_tests_need_no_redis(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "."]
    result = subprocess.run(
        command, cwd=EXAMPLES / "flask", capture_output=True, text=True, check=False, timeout=60,
        env={"MAILWORKER_REDIS_URL": "redis://127.0.0.1:1/0", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert "2 passed" in result.stdout, result.stdout


def test_django_s_mail_and_that_of_its_own_celery_arrive(site: Site) -> None:
    """With the project's own Celery app in the same process, in the same Redis, and a worker of its own."""
    (folder := site.workers.folder / "shop").mkdir()
    shop = Workers(folder, site.workers.environment)
    try:
        log = shop.folder / "shop.log"
        with log.open("wb") as output:
            command = [
                sys.executable,
                "-m",
                "celery",
                "-A",
                "shop",
                "worker",
                "-l",
                "INFO",
                "-c",
                "1",
                "-n",
                "shop@test",
            ]
            process = subprocess.Popen(
                command, cwd=EXAMPLES / "django", env=shop.environment | {"PYTHONDONTWRITEBYTECODE": "1"},
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        shop.processes.append(process)
        said = site.run(
            "django",
            "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'shop.settings'\n"
            "import django; django.setup()\n"
            "from django.test import Client\n"
            "print(Client().post('/orders', {'address': 'ada@example.com'}).status_code)\n",
        )  # fmt: skip
        assert said.split() == ["202"]
        until(lambda: {"Your order", "How was it?"} <= site.received().keys(), what="both mails")
    finally:
        shop.stop()
    recipients, mail = site.received()["Your order"]
    assert recipients == ["ada@example.com", "archive@example.com"]
    assert mail["from"] == "Shop <shop@example.com>"
    assert mail["bcc"] is None
    assert [part.get_content_type() for part in mail.walk()][1:] == [
        "multipart/alternative", "text/plain", "text/html", "text/plain"
    ]  # fmt: skip
    assert site.redis.client().llen("shop") == 0


def test_plain_php_s_mail_arrives_with_the_fields_that_are_allowed(site: Site) -> None:
    php = need("php")
    if b"redis" not in subprocess.run([php, "-m"], capture_output=True, check=True).stdout:
        pytest.skip("PHP has no extension redis here")
    command = [php, str(EXAMPLES / "php" / "order.php"), "ada@example.com", "7"]
    subprocess.run(command, env=site.workers.environment, check=True, timeout=60)
    recipients, mail = until(lambda: site.received().get("Ihre Bestellung 7: Grüße"), what="the mail")
    assert recipients == ["ada@example.com", "team@example.com"]
    assert mail["reply-to"] == "shop@example.com"
    assert "<b>Ada</b>" in mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    [attached] = mail.iter_attachments()
    assert attached.get_filename() == "Rechnung Müller 7.txt"
    assert attached.get_content() == "Bestellung 7\n"


def test_a_finished_message_arrives_as_it_is(site: Site) -> None:
    body = "<p>Grüße</p>\r\n.\r\n..\r\n" + "ü" * 490 + "\r\n"
    message = "From: Ada <ada@example.org>\r\nX-A: 1\r\nSubject: finished\r\nContent-Type: text/html; charset=utf-8\r\n"
    message += f"Message-ID: <1@example.org>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\n{body}"
    site.workers.python(
        "from mailworker import send_raw\n"
        f"send_raw.delay({message!r}, '', ['bob@example.com'])\n"
        f"print(send_raw({message.replace('finished', 'directly')!r}, 'ada@example.org', ['bob@example.com']))\n"
    )
    until(lambda: {"finished", "directly"} <= site.received().keys(), what="both messages")
    octets = [octets for _, octets in site.inbox.mails]
    assert message.encode() in octets
    assert message.replace("finished", "directly").encode() in octets
