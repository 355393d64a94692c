"""Every setting is checked once; what is wrong is said in one line that names key and problem, and no password."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailworker.address import Mailbox
from mailworker.errors import SettingsError
from mailworker.settings import Settings, load
from mailworker.smtp.relay import Security


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but those of the test, and no .env but its own."""
    for key in [key for key in os.environ if key.upper().startswith("MAILWORKER_")]:
        monkeypatch.delenv(key)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def load_with(monkeypatch: pytest.MonkeyPatch) -> object:
    def load_with(**values: str) -> Settings:
        for key, value in values.items():
            monkeypatch.setenv(f"MAILWORKER_{key}", value)
        return load()

    return load_with


def test_the_defaults(load_with) -> None:  # type: ignore[no-untyped-def]
    settings = load_with()
    assert settings.redis_url.get_secret_value() == settings.celery_broker_url == "redis://127.0.0.1:6379/0"
    assert settings.legacy_queues == ("queue:email",)
    assert (settings.relay.host, settings.relay.port, settings.relay.security) == ("127.0.0.1", 25, Security.CLEAR)
    assert (settings.mail_from, settings.has_sender) == (Mailbox("mailworker@localhost"), False)
    assert (settings.limits.mail, settings.limits.recipients) == (25 * 2**20, 2**16)
    assert settings.retries.delays == (10, 60, 300, 900, 3600)
    assert settings.in_doubt == "resend"


@pytest.mark.parametrize(
    ("url", "host", "port", "security", "user", "password"),
    [
        ("smtp://relay", "relay", 25, Security.CLEAR, "", ""),
        ("smtp+starttls://relay", "relay", 587, Security.STARTTLS, "", ""),
        ("smtps://relay", "relay", 465, Security.TLS, "", ""),
        ("smtps://relay/", "relay", 465, Security.TLS, "", ""),
        ("SMTPS://relay:2465", "relay", 2465, Security.TLS, "", ""),
        ("smtp://[::1]:2525", "::1", 2525, Security.CLEAR, "", ""),
        ("smtps://u:p@relay", "relay", 465, Security.TLS, "u", "p"),
        ("smtps://u@x.y:p@relay", "relay", 465, Security.TLS, "u@x.y", "p"),
        ("smtps://u%40x.y:p%2F%40%3A%23%25@relay", "relay", 465, Security.TLS, "u@x.y", "p/@:#%"),
        ("smtps://u:@relay", "relay", 465, Security.TLS, "u", ""),
        ("smtps://u:p%C3%BC@relay", "relay", 465, Security.TLS, "u", "pü"),
    ],
)
def test_the_relay(load_with, url, host, port, security, user, password) -> None:  # type: ignore[no-untyped-def]
    relay = load_with(SMTP_URL=url).relay
    assert (relay.host, relay.port, relay.security) == (host, port, security)
    assert (relay.user, relay.password) == (user, password)


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/0", "redis://h", "redis://h/15", "redis://:@h/3", "redis://:p@h", "redis://u:p@h:1/2",
        "rediss://u:p%40%2F@h:6380/0", "redis://h?db=3",
        "rediss://h/0?ssl_cert_reqs=required", "redis://[::1]:6379/0",
    ],
)  # fmt: skip
def test_a_redis_url_is_taken_as_it_is(load_with, url: str) -> None:  # type: ignore[no-untyped-def]
    settings = load_with(REDIS_URL=url)
    assert settings.redis_url.get_secret_value() == settings.celery_broker_url == url


def test_a_socket_is_told_to_celery_as_kombu_writes_it(load_with) -> None:  # type: ignore[no-untyped-def]
    assert load_with(REDIS_URL="unix:///run/r.sock").celery_broker_url == "redis+socket:///run/r.sock"
    assert (
        load_with(REDIS_URL="unix:///run/r.sock?db=3").celery_broker_url == "redis+socket:///run/r.sock?virtual_host=3"
    )


def test_the_broker_may_be_another(load_with) -> None:  # type: ignore[no-untyped-def]
    assert load_with(BROKER_URL="amqp://u:p@h//").celery_broker_url == "amqp://u:p@h//"
    assert load_with(BROKER_URL="").celery_broker_url == "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize(
    ("values", "mailbox"),
    [
        ({"FROM": "a@b.c"}, Mailbox("a@b.c")),
        ({"FROM": "A site <a@b.c>"}, Mailbox("a@b.c", b"A site")),
        ({"FROM": '"A, site" <a@b.c>'}, Mailbox("a@b.c", b"A, site")),
        ({"FROM": "某站 <a@bücher.example>"}, Mailbox("a@xn--bcher-kva.example", "某站".encode())),
        ({"SMTP_URL": "smtp://login@b.c:p@relay"}, Mailbox("login@b.c")),
        ({"SMTP_URL": "smtp://login%40b.c:p@relay"}, Mailbox("login@b.c")),
        ({"SMTP_URL": "smtp://login@b.c:p@relay", "FROM": "a@b.c"}, Mailbox("a@b.c")),
        ({"SMTP_URL": "smtp://login:p@relay"}, Mailbox("mailworker@localhost")),
    ],
)
def test_the_sender(load_with, values: dict[str, str], mailbox: Mailbox) -> None:  # type: ignore[no-untyped-def]
    settings = load_with(**values)
    assert settings.mail_from == mailbox
    assert settings.has_sender is (mailbox.address != "mailworker@localhost")


def test_lists_are_written_with_commas(load_with) -> None:  # type: ignore[no-untyped-def]
    settings = load_with(LEGACY_QUEUES=" queue:email , app:queue:email", RETRY_DELAYS="1, 2.5,3")
    assert settings.legacy_queues == ("queue:email", "app:queue:email")
    assert settings.retries.delays == (1, 2.5, 3)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("REDIS_URL", "", "must begin with redis://"),
        ("REDIS_URL", "http://:s3cret@h", "must begin with redis://"),
        ("REDIS_URL", "s3cret", "must begin with redis://"),
        ("REDIS_URL", "redis://", "no host"),
        ("REDIS_URL", "redis://:s3cret@/0", "no host"),
        ("REDIS_URL", "redis://:s3cret#x@h/0", "not a URL"),
        ("REDIS_URL", "redis://:1#s3cret@h/0", "no host"),
        ("REDIS_URL", "redis://:sec/s3cret@h:1/0", "not a URL"),
        ("REDIS_URL", "redis://:s3cret@h:port/0", "not a URL"),
        ("REDIS_URL", "redis://:s3cret@h:99999/0", "not a URL"),
        ("REDIS_URL", "redis://:s3cret@h:0/0", "port"),
        ("REDIS_URL", "redis://:s3cret@h/x", "database"),
        ("REDIS_URL", "redis://:s3cret@h/-1", "database"),
        ("REDIS_URL", "redis://:s3cret@h/0?db=x", "database"),
        ("REDIS_URL", "redis://:s3cret@h/²", "database"),
        ("REDIS_URL", "redis://:s3cret@h h/0", "host"),
        ("REDIS_URL", "unix://", "path"),
        ("BROKER_URL", "s3cret stuff", "not a URL"),
        ("SMTP_URL", "", "must begin with smtp://"),
        ("SMTP_URL", "s3cret", "must begin with smtp://"),
        ("SMTP_URL", "smtp+tls://u:s3cret@h", "must begin with smtp://"),
        ("SMTP_URL", "smtps://u:s3cret@", "no host"),
        ("SMTP_URL", "smtps://u:s3cret@h:0", "port"),
        ("SMTP_URL", "smtps://u:s3cret@h:x", "not a URL"),
        ("SMTP_URL", "smtps://u:s3#cret@h", "not a URL"),
        ("SMTP_URL", "smtps://u:s3/cret@h", "not a URL"),
        ("SMTP_URL", "smtps://u:s3?cret@h", "not a URL"),
        ("SMTP_URL", "smtps://u:p[s3cret@h", "not a URL"),
        ("SMTP_URL", "smtps://u:s3cret@h/path", "must end after host and port"),
        ("SMTP_URL", "smtps://u:s3cret@h?tls=1", "must end after host and port"),
        ("SMTP_URL", "smtps://u:s3cret@h h", "host"),
        ("FROM", "nobody", "no @"),
        ("FROM", "A, B <a@b.c>", "quotes"),
        ("FROM", "a@b.c, d@e.f", "more than one"),
        ("LEGACY_QUEUES", "", "names of Redis lists"),
        ("LEGACY_QUEUES", "a,,b", "names of Redis lists"),
        ("LEGACY_QUEUES", "a,a", "twice"),
        ("RETRY_DELAYS", "", "seconds with commas"),
        ("RETRY_DELAYS", "1,x", "seconds with commas"),
        ("RETRY_DELAYS", "0", "above 0"),
        ("RETRY_DELAYS", "nan", "above 0"),
        ("RETRY_DELAYS", "inf", "above 0"),
        ("SMTP_WINDOW", "x", "integer"),
        ("SMTP_WINDOW", "0", "greater"),
        ("SMTP_WINDOW", "1.5", "integer"),
        ("SMTP_PIPELINING", "perhaps", "boolean"),
        ("SMTP_CA_FILE", "/nowhere/ca.pem", "file"),
        ("SMTP_HELO", "a b", "pattern"),
        ("SMTP_REPLY_TIMEOUT", "-1", "greater"),
        ("SMTP_REPLY_TIMEOUT", "nan", ""),
        ("SPOOL_PREFIX", "a b", "pattern"),
        ("SPOOL_PREFIX", "", "pattern"),
        ("BATCH", "9999999999", "less"),
        ("MAX_AGE", "inf", "less"),
        ("MAX_MAIL_SIZE", "0", "greater"),
        ("IN_DOUBT", "maybe", "'resend' or 'hold'"),
        ("REDIS_ULR", "redis://:s3cret@h", "no such setting"),
        ("SENDER", "a@b.c", "no such setting"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(load_with, key: str, value: str, problem: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SettingsError) as caught:
        load_with(**{key: value})
    said = str(caught.value)
    assert said.startswith(f"MAILWORKER_{key}: ")
    assert problem in said
    assert "\n" not in said
    assert "s3" not in said
    assert "cret" not in said
    assert caught.value.__cause__ is None


def test_a_password_is_not_shown_with_the_settings(load_with) -> None:  # type: ignore[no-untyped-def]
    settings = load_with(SMTP_URL="smtp://u:s3cret@h", REDIS_URL="redis://:s3cret@h", BROKER_URL="amqp://u:s3cret@h//")
    for shown in (
        repr(settings),
        str(settings),
        repr(settings.relay),
        settings.model_dump_json(),
        repr(settings.retries),
    ):
        assert "s3cret" not in shown


def test_the_env_file_is_read_and_the_environment_wins(load_with, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / ".env").write_text(
        "# a comment\nMAILWORKER_FROM='Ünal <a@b.c>'\nMAILWORKER_SMTP_URL=smtp://file\nOTHER=1\n", encoding="utf-8"
    )
    settings = load_with(SMTP_URL="smtp://environment")
    assert settings.mail_from == Mailbox("a@b.c", "Ünal".encode())
    assert settings.relay.host == "environment"


def test_an_unknown_key_in_the_env_file_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAILWORKER_SMPT_URL=smtp://u:s3cret@h\n")
    with pytest.raises(SettingsError, match=r"^MAILWORKER_SMPT_URL: there is no such setting$"):
        load()


def test_an_env_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"MAILWORKER_FROM=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"^\.env: cannot be read"):
        load()
