"""What a worker says when it starts: one line with the facts, and what looks forgotten."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mailworker.settings import load
from mailworker.worker.introduction import introduce, introduction, masked, warnings

from ...dkim_peers import pem, rsa_key, setting, write

PASSWORD = "pa55word"


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> pytest.MonkeyPatch:
    monkeypatch.chdir(str(tmp_path))
    return monkeypatch


def test_the_line_has_everything_and_no_password(settings: pytest.MonkeyPatch) -> None:
    settings.setenv("MAILWORKER_REDIS_URL", f"redis://worker:{PASSWORD}@redis.example.com:6380/3")
    settings.setenv("MAILWORKER_SMTP_URL", f"smtp+starttls://user:{PASSWORD}@mail.example.com")
    settings.setenv("MAILWORKER_LEGACY_QUEUES", "queue:email,queue:more")
    settings.setenv("MAILWORKER_FROM", "A site <site@example.com>")
    line = introduction(load(), "5 pool children")
    for words in (
        "drains queue:email, queue:more", "redis://redis.example.com:6380/3", "smtp+starttls://mail.example.com:587",
        "login of user", "as A site <site@example.com>", "5 pool children",
    ):  # fmt: skip
        assert words in line
    assert PASSWORD not in line
    assert "sign" not in line
    assert warnings(load()) == []


def test_the_line_says_whose_mail_is_signed(settings: pytest.MonkeyPatch) -> None:
    settings.setenv("MAILWORKER_DKIM_KEYS", "example.com:s1:a.pem,example.com:s2:b.pem,example.org:s1:c.pem")
    assert "localhost, signing for example.com, example.org, with 5 pool" in introduction(load(), "5 pool children")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, ["MAILWORKER_SMTP_URL is not set", "MAILWORKER_FROM"]),
        ({"SMTP_URL": "smtp://relay.example.com"}, ["MAILWORKER_FROM"]),
        ({"SMTP_URL": "smtp://u:p@relay.example.com", "FROM": "a@b.org"}, ["smtp+starttls://"]),
        ({"SMTP_URL": "smtp://u:p@192.0.2.1:587", "FROM": "a@b.org"}, ["smtp+starttls://"]),
        ({"SMTP_URL": "smtp://u:p@127.0.0.2:587", "FROM": "a@b.org"}, []),
        ({"SMTP_URL": "smtp://u:p@[::1]:587", "FROM": "a@b.org"}, []),
        ({"SMTP_URL": "smtp://u:p@localhost", "FROM": "a@b.org"}, []),
        ({"SMTP_URL": "smtps://u:p@relay.example.com", "FROM": "a@b.org"}, []),
        ({"SMTP_URL": "smtps://who%40example.com:p@relay.example.com"}, []),
        ({"SMTP_URL": "smtps://who%40b.org:p@relay.b.org:587"}, ["smtp+starttls://relay.b.org:587"]),
        ({"SMTP_URL": "smtps://who%40b.org:p@relay.b.org:25"}, ["smtp+starttls://relay.b.org:25"]),
        ({"SMTP_URL": "smtp+starttls://who%40b.org:p@relay.b.org:465"}, ["smtps://relay.b.org:465"]),
        ({"SMTP_URL": "smtp://127.0.0.1:465", "FROM": "a@b.org"}, ["smtps://127.0.0.1:465"]),
        ({"SMTP_URL": "smtps://who%40b.org:p@relay.b.org:2525"}, []),
    ],
)
def test_what_looks_forgotten_is_said_with_its_setting(
    settings: pytest.MonkeyPatch, environment: dict[str, str], said: list[str]
) -> None:
    for key, value in environment.items():
        settings.setenv("MAILWORKER_" + key, value)
    found = warnings(load())
    assert len(found) == len(said)
    for text, words in zip(found, said, strict=True):
        assert words in text


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{PASSWORD}@host/0", f"redis://u:{PASSWORD}@@host", f"redis://host/0?password={PASSWORD}",
        f"unix://u:{PASSWORD}@/run/redis.sock?db=1", f"redis+sentinel://u:{PASSWORD}@a:1,b:2/master/0",
    ],
)  # fmt: skip
def test_no_form_of_a_url_shows_its_password(url: str) -> None:
    assert PASSWORD not in masked(url)


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_the_line_is_seen_at_celerys_default_level_too(
    settings: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, level: int
) -> None:
    with caplog.at_level(level):
        introduce(load(), "5 pool children")
    assert "drains queue:email" in caplog.text


@pytest.mark.parametrize(
    ("sender", "required", "said"),
    [
        ("a@example.com", "", []),
        ("a@news.Example.com", "", []),
        ("a@example.org", "", ["what is sent as a@example.org is not signed"]),
        ("a@example.org", "yes", ["what is sent as a@example.org is a dead letter"]),
    ],
)  # fmt: skip
def test_a_sender_without_a_key_is_warned_of(
    settings: pytest.MonkeyPatch, tmp_path: Path, sender: str, required: str, said: list[str]
) -> None:
    settings.setenv("MAILWORKER_SMTP_URL", "smtps://relay.example.com")
    settings.setenv("MAILWORKER_FROM", sender)
    settings.setenv("MAILWORKER_DKIM_KEYS", setting(tmp_path, "example.com"))
    settings.setenv("MAILWORKER_DKIM_REQUIRED", required)
    assert warnings(load()) == [f"MAILWORKER_DKIM_KEYS: no key for example.org: {words}" for words in said]


def test_a_weak_key_is_warned_of(settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = write(tmp_path / "key", pem(rsa_key(1024)))
    settings.setenv("MAILWORKER_SMTP_URL", "smtps://relay.example.com")
    settings.setenv("MAILWORKER_FROM", "a@example.com")
    settings.setenv("MAILWORKER_DKIM_KEYS", f"example.com:s1:{file}")
    assert warnings(load()) == [f"MAILWORKER_DKIM_KEYS: {file}: an RSA key of 1024 bits is weak: make one of 2048"]
