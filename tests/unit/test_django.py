"""`mailworker.django`: what Django's own tests do not ask (see tests/acceptance/test_django_suite.py)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import django
import pytest
from django.conf import settings
from django.core.mail import EmailMessage
from django.test.utils import override_settings

from mailworker import SpoolError, runtime
from mailworker.delivery.outbox import OutboxSpool
from mailworker.django import EmailBackend
from mailworker.errors import SettingsError, Unsendable
from mailworker.testing import Message, keeping

BACKEND = "mailworker.django.EmailBackend"
CHOSEN: dict[str, Any] = (
    {"MAILERS": {"default": {"BACKEND": BACKEND}}} if django.VERSION >= (6, 1) else {"EMAIL_BACKEND": BACKEND}
)


def connection(**options: Any) -> Any:
    return EmailBackend(alias="default", **options) if django.VERSION >= (6, 1) else EmailBackend(**options)


@pytest.fixture(scope="module", autouse=True)
def _django() -> None:
    if not settings.configured:
        settings.configure(USE_TZ=False)


@pytest.fixture
def kept() -> Iterator[list[Message]]:
    with keeping() as kept, override_settings(**CHOSEN):
        yield kept


def message(name: str, **more: Any) -> EmailMessage:
    return EmailMessage(name, "body", "from@example.com", **{"to": [f"{name}@example.com"], **more})


def test_messages_go_together_and_those_without_a_recipient_do_not_count(kept: list[Message]) -> None:
    messages = [message("a"), message("b", to=[]), message("c", bcc=["d@example.com"])]
    assert connection().send_messages(messages) == 2
    assert [sent.recipients for sent in kept] == [("a@example.com",), ("c@example.com", "d@example.com")]
    assert b"d@example.com" not in kept[1].data
    assert kept[0].message["message-id"] != kept[1].message["message-id"]
    assert connection().send_messages(None) == 0


def test_the_sender_of_the_envelope_is_from_email_and_the_author_what_the_header_says(kept: list[Message]) -> None:
    message("a", headers={"From": "Ada <ada@example.com>"}).send()
    assert (kept[0].sender, kept[0].message["from"]) == ("from@example.com", "Ada <ada@example.com>")


def test_a_message_that_can_be_none_raises_and_no_other_is_sent(kept: list[Message]) -> None:
    with pytest.raises(ValueError, match=r"recipients\[0\]: ") as caught:
        connection().send_messages([message("a"), message("b", to=["b@"])])
    assert isinstance(caught.value, Unsendable)
    assert kept == []


def test_silently_it_is_left_out_and_the_others_go(kept: list[Message]) -> None:
    assert connection(fail_silently=True).send_messages([message("a", bcc=["b@"]), message("c")]) == 1
    assert [sent.message["subject"] for sent in kept] == ["c"]


@pytest.mark.parametrize("silently", [False, True])
def test_a_redis_that_is_away_raises_unless_it_is_to_fail_silently(silently: bool) -> None:
    with override_settings(**CHOSEN, MAILWORKER_REDIS_URL="redis://127.0.0.1:1/0"):
        if silently:
            assert connection(fail_silently=True).send_messages([message("a")]) == 0
        else:
            with pytest.raises(SpoolError):
                message("a").send()


def test_silently_those_count_that_were_safe_before_redis_went_away(
    kept: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    accept_many = OutboxSpool.accept_many

    def two_steps(spool: OutboxSpool, mails: Any) -> Any:
        if len(kept) >= 300:
            raise SpoolError("away")
        return accept_many(spool, mails)

    monkeypatch.setattr(OutboxSpool, "accept_many", two_steps)
    messages = [message(f"m{number}") for number in range(1000)]
    safe = connection(fail_silently=True).send_messages(messages)
    assert 300 <= safe == len(kept) < 1000
    with pytest.raises(SpoolError):
        connection().send_messages(messages[:1])


def test_settings_stand_in_django_s_and_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILWORKER_BATCH", "7")
    with override_settings(
        MAILWORKER={"FROM": "Site <site@example.com>", "LEGACY_QUEUES": ["a", "b"], "BATCH": 8, "SMTP_CHUNKING": False},
        MAILWORKER_SPOOL_PREFIX="mysite:", MAILWORKER_MAX_AGE=None,
    ):  # fmt: skip
        ours = runtime.settings()
        assert (ours.sender, ours.legacy_queues, ours.batch) == ("Site <site@example.com>", ("a", "b"), 8)
        assert (ours.smtp_chunking, ours.spool_prefix) == (False, "mysite:")
        assert ours.max_age == type(ours).model_fields["max_age"].default
    runtime.forget()


def test_they_count_though_mailworker_was_imported_before_django_knew_them() -> None:
    """As a project's `__init__.py` does with its Celery app: the spool and the broker are those of the settings."""
    code = (
        "from mailworker import app, runtime, send_email\n"
        "send_email.name; print(runtime.settings().spool_prefix, app.conf.broker_url)\n"
        "from django.conf import settings; import django\n"
        "settings.configure(MAILWORKER={'REDIS_URL': 'redis://127.0.0.1:1/7', 'SPOOL_PREFIX': 'mine:'})\n"
        "django.setup()\n"
        "print(runtime.settings().spool_prefix)\n"
        "from celery import Task; Task.apply_async = lambda *_, **__: None  # which would wait for that broker\n"
        "send_email.ring('x'); print(app.conf.broker_url, app.conf.task_default_queue)\n"
        "from django.test.utils import override_settings\n"
        "with override_settings(MAILWORKER_SPOOL_PREFIX='more:'): print(runtime.settings().spool_prefix)\n"
        "print(runtime.settings().spool_prefix)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60, env={"LANG": "C.UTF-8"}
    )
    assert result.stdout.splitlines() == [
        "mailworker: redis://127.0.0.1:6379/0", "mine:", "redis://127.0.0.1:1/7 mine:mailworker", "more:", "mine:",
    ], result.stderr  # fmt: skip


def test_a_setting_that_there_is_not_is_told() -> None:
    with (
        override_settings(MAILWORKER={"SMTP_ULR": "smtp://relay"}),
        pytest.raises(SettingsError, match=r"MAILWORKER_SMTP_ULR: there is no such setting.*MAILWORKER_SMTP_URL"),
    ):
        runtime.settings()


def test_nothing_is_loaded_until_a_message_is_sent() -> None:
    code = (
        "import sys, django\nfrom django.conf import settings\n"
        f"settings.configure(**{CHOSEN!r}, MAILWORKER_SMTP_URL='memory://'); django.setup()\n"
        "from django.core import mail\n"
        f"from django.utils.module_loading import import_string; connection = import_string({BACKEND!r})()\n"
        "print([name for name in ('celery', 'redis', 'pydantic') if name in sys.modules])\n"
        "import mailworker, mailworker.errors\n"
        "print(connection.send_messages([]), mail.send_mail('s', 'b', 'a@b.c', ['d@e.f']))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert result.stdout.splitlines() == ["[]", "0 1"], result.stderr
