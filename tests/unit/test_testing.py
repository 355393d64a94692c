"""`mailworker.testing`: what would have been sent is there to look at, without a Redis or a relay."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
from celery import Celery, _state

from mailworker import runtime, send_email
from mailworker.errors import IdempotencyError, ManyError, Unsendable
from mailworker.mail.arguments import Mail
from mailworker.settings import load
from mailworker.testing import Message, keeping, outbox
from mailworker.worker import eager
from mailworker.worker.app import app


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("it opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def kept() -> Iterator[list[Message]]:
    with keeping() as kept:
        yield kept


def test_a_call_is_kept_as_the_message_that_a_relay_would_have_been_given(kept: list[Message]) -> None:
    result = send_email.delay({"ada@example.com": "Ada"}, "Grüße", "hällo\n")
    assert result.get() is None
    [mail] = kept
    assert mail.id == result.id
    assert mail.recipients == ("ada@example.com",)
    assert mail.sender == runtime.settings().author.mailbox.address
    assert mail.data.startswith(b"Subject: =?utf-8?B?")
    assert mail.data.endswith(b"\r\n")
    assert mail.message["subject"] == "Grüße"
    assert mail.message["to"].addresses[0].display_name == "Ada"
    assert mail.message.get_content() == "hällo\n"
    assert mail.send_at is None
    assert "hällo" not in repr(mail)


def test_a_direct_call_and_apply_are_kept_as_well(kept: list[Message]) -> None:
    message_id = send_email("a@example.com", "direct", "b")
    result = send_email.apply(("a@example.com", "applied", "b"))
    assert [mail.message["subject"] for mail in kept] == ["direct", "applied"]
    assert message_id == f"{kept[0].id}@localhost"
    assert result.id == kept[1].id


def test_by_its_name_it_is_kept_too(kept: list[Message]) -> None:
    app.send_task("mailworker.send_email", kwargs={"to": "a@example.com", "subject": "name", "body": "b"})
    assert [mail.message["subject"] for mail in kept] == ["name"]


def test_arguments_are_checked_as_ever(kept: list[Message]) -> None:
    with pytest.raises(Unsendable, match="to: "):
        send_email.delay("no address", "s", "b")
    with pytest.raises(TypeError, match="countdown"):
        send_email.apply_async(("a@example.com", "s", "b"), countdown="3")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="link"):
        send_email.apply_async(("a@example.com", "s", "b"), link=object())
    assert kept == []


def test_what_is_to_wait_says_until_when(kept: list[Message]) -> None:
    send_email.apply_async(("a@example.com", "s", "b"), countdown=60)
    assert kept[0].send_at is not None
    assert timedelta(seconds=50) < kept[0].send_at - datetime.now(UTC) <= timedelta(seconds=60)


def test_an_id_is_one_mail(kept: list[Message]) -> None:
    first, second = (send_email.apply_async(("a@example.com", "s", "b"), task_id="order-7") for _ in range(2))
    assert first.id == second.id == "order-7"
    assert len(kept) == 1


def test_another_mail_under_a_key_is_an_error(kept: list[Message]) -> None:
    send_email.delay("a@example.com", "s", "b", idempotency_key="order-7")
    with pytest.raises(IdempotencyError) as caught:
        send_email.delay("a@example.com", "s", "another", idempotency_key="order-7")
    assert (caught.value.mail_id, caught.value.index) == ("order-7", None)
    mails = [Mail(to="b@example.com", subject="s", body="b"), Mail(to="a@example.com", subject="t", body="b")]
    mails[1]["idempotency_key"] = "order-7"
    with pytest.raises(ManyError, match=r"mails\[1\]: idempotency_key: another mail"):
        send_email.many(mails)
    assert [mail.recipients for mail in kept] == [("a@example.com",), ("b@example.com",)]


def test_many_and_files_and_copies_are_kept_as_they_would_be_sent(kept: list[Message]) -> None:
    content = bytes(range(256)) * 100  # more than a blob takes
    results = send_email.many(
        recipients=["a@example.com", "b@example.com"], subject="s", html="<p>x</p>", bcc="c@example.com",
        attachments=[("x.bin", content)],
    )  # fmt: skip
    assert [mail.id for mail in kept] == [result.id for result in results]
    assert [mail.recipients for mail in kept] == [(f"{name}@example.com", "c@example.com") for name in "ab"]
    for mail in kept:
        assert "bcc" not in mail.message
        assert [part.get_content() for part in mail.message.iter_attachments()] == [content]


def test_many_threads_lose_none(kept: list[Message]) -> None:
    def send() -> None:
        for _ in range(20):
            send_email.delay("a@example.com", "s", "b")

    threads = [threading.Thread(target=send) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({mail.id for mail in kept}) == 100


def test_it_is_empty_before_and_after() -> None:
    with keeping() as first:
        send_email.delay("a@example.com", "s", "b")
        assert len(first) == 1
    with keeping() as second:
        assert second == []
    assert outbox == []


@pytest.fixture
def settings_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def use(**texts: str) -> None:
        for name, text in texts.items():
            monkeypatch.setenv(name, text)
        monkeypatch.setattr(runtime, "settings", load)

    yield use
    outbox.clear()
    eager.warn.cache_clear()


def test_memory_in_the_settings_keeps_every_mail_of_the_process(settings_of: Any) -> None:
    settings_of(MAILWORKER_SMTP_URL="memory://", MAILWORKER_FROM="Site <site@example.com>")
    send_email.delay("a@example.com", "s", "b")
    send_email("a@example.com", "s", "b")
    assert [mail.sender for mail in outbox] == ["site@example.com"] * 2


@pytest.mark.parametrize("whose", ["ours", "a host's", "a host's, not read yet"])
def test_eager_mode_keeps_mails_and_says_so_once(
    settings_of: Any, whose: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Celery's `task_always_eager`, in our app or in the program's: its tests mean that nothing leaves the process."""
    host = Celery("host", set_as_current=False)
    monkeypatch.setattr(_state._tls, "current_app", host)
    if whose == "ours":
        monkeypatch.setitem(app.conf, "task_always_eager", True)
    elif whose == "a host's":
        host.conf.update(task_always_eager=True)
    else:
        host.config_from_object({"task_always_eager": True})
    settings_of()
    assert send_email.delay("a@example.com", "s", "b").state == "SUCCESS"  # type: ignore[attr-defined]
    send_email.apply(("a@example.com", "s", "b"))
    send_email("a@example.com", "s", "b")
    assert len(outbox) == 3
    assert caplog.text.count("MAILWORKER_EAGER=send") == 1


@pytest.mark.parametrize("whose", ["ours", "a host's"])
def test_eager_mode_sends_where_it_is_told_to(settings_of: Any, whose: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Celery("host", set_as_current=False)
    monkeypatch.setattr(_state._tls, "current_app", host)
    monkeypatch.setitem((app if whose == "ours" else host).conf, "task_always_eager", True)
    settings_of(MAILWORKER_EAGER="send")
    sent: list[Any] = []
    monkeypatch.setattr("mailworker.worker.spooling_task.send_now", lambda *mail: sent.append(mail) or "id@host")
    assert send_email.delay("a@example.com", "s", "b").get() == "id@host"
    assert (len(sent), outbox) == (1, [])


def test_a_host_that_is_eager_is_so_in_each_of_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery's current app is that of the thread which made it."""
    monkeypatch.setattr(_state, "_apps", WeakSet())
    monkeypatch.setattr(_state._tls, "current_app", None)
    monkeypatch.setattr(_state, "default_app", Celery("default", set_as_current=False))
    host = Celery("host", set_as_current=False)
    assert not eager.is_on(app)
    host.conf.task_always_eager = True
    assert eager.is_on(app)
    host.close()


def test_looking_at_a_host_makes_no_app_and_reads_no_settings_that_nobody_chose(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_state, "_apps", WeakSet())
    monkeypatch.setattr(_state._tls, "current_app", None)
    monkeypatch.setattr(_state, "default_app", None)
    assert not eager.is_on(app)
    assert _state.default_app is None
    fallback = Celery("default", set_as_current=False)
    monkeypatch.setattr(_state, "default_app", fallback)
    assert not eager.is_on(app)
    assert not fallback.configured
    monkeypatch.setattr(_state, "default_app", Celery("broken", config_source="no.such.module", set_as_current=False))
    assert not eager.is_on(app)


CONFTEST = 'pytest_plugins = ["mailworker.testing"]\n'
TESTS = """
from mailworker import send_email
from mailworker.testing import outbox
def test_one(mailworker_outbox):
    send_email.delay("a@example.com", "s", "b")
    assert [mail.recipients for mail in mailworker_outbox] == [("a@example.com",)]
def test_two(mailworker_outbox):
    assert mailworker_outbox == []
def test_three(monkeypatch):
    outbox.append(None)
def test_four():
    assert outbox == []
"""


def test_a_program_has_the_fixture_where_it_asks_for_it_and_each_of_its_tests_an_empty_outbox(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "."]
    bare = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # the others take their time
    result = subprocess.run(command, cwd=tmp_path, env=bare, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stdout
    assert "4 passed" in result.stdout


def test_it_loads_no_pytest_where_there_is_none() -> None:
    code = "import sys, mailworker.testing; print('pytest' in sys.modules, 'celery' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("command", ["celery -A mailworker worker", "mailworker status", "mailworker dead list"])
def test_a_command_that_would_need_a_spool_ends_with_one_line(command: str, tmp_path: Path) -> None:
    program, *arguments = command.split()
    result = subprocess.run(
        [Path(sys.executable).with_name(program), *arguments], cwd=tmp_path, capture_output=True, text=True,
        env={"MAILWORKER_SMTP_URL": "memory://", "LANG": "C.UTF-8"}, check=False, timeout=60,
    )  # fmt: skip
    assert result.returncode == 78
    assert result.stderr.startswith("mailworker: MAILWORKER_SMTP_URL is memory://: ")
    assert result.stderr.count("\n") == 1
