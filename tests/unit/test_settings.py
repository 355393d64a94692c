"""Every setting is checked once; what is wrong is said in one line that names key and problem, and no password."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailworker.errors import SettingsError
from mailworker.mail.address import Mailbox
from mailworker.mail.legacy_fields import NAMES
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
    assert settings.redis_url.get_secret_value() == settings.broker.url == "redis://127.0.0.1:6379/0"
    assert settings.legacy_queues == ("queue:email",)
    assert (settings.relays[0].host, settings.relays[0].port, settings.relays[0].security) == (
        "127.0.0.1",
        25,
        Security.CLEAR,
    )
    assert (settings.author.mailbox, settings.has_sender) == (Mailbox("mailworker@localhost"), False)
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
    relay = load_with(SMTP_URL=url).relays[0]
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
    assert settings.redis_url.get_secret_value() == url


def test_a_socket_is_told_to_celery_as_kombu_writes_it(load_with) -> None:  # type: ignore[no-untyped-def]
    assert load_with(REDIS_URL="unix:///run/r.sock").broker.url == "redis+socket:///run/r.sock?virtual_host=0"
    assert load_with(REDIS_URL="unix:///run/r.sock?db=3").broker.url == "redis+socket:///run/r.sock?virtual_host=3"


def test_the_broker_may_be_another(load_with) -> None:  # type: ignore[no-untyped-def]
    assert load_with(BROKER_URL="amqp://u:p@h//").broker.url == "amqp://u:p@h//"
    assert load_with(BROKER_URL="").broker.url == "redis://127.0.0.1:6379/0"


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
    assert settings.author.mailbox == mailbox
    assert settings.has_sender is (mailbox.address != "mailworker@localhost")


def test_lists_are_written_with_commas(load_with) -> None:  # type: ignore[no-untyped-def]
    assert load_with(LEGACY_QUEUES="{site}:email,a|b").legacy_queues == ("{site}:email", "a|b")
    settings = load_with(LEGACY_QUEUES=" queue:email , app:queue:email", RETRY_DELAYS="1, 2.5,3")
    assert settings.legacy_queues == ("queue:email", "app:queue:email")
    assert settings.retries.delays == (1, 2.5, 3)


HOW = "a special character in a password is written as %XX"
SMTP = "must begin with smtp:// or smtp+starttls:// or smtps://"
REDIS = "must begin with redis:// or rediss:// or unix:// or redis+sentinel:// or rediss+sentinel://"
BROKER = REDIS.replace("with ", "with amqp:// or amqps:// or pyamqp:// or ")
PORT = "the port must be 1 to 65535"
NO_PORT = f"the port is not a number; without an @ before the host, what looks like one is a password; {HOW}"
LISTS = "expected names of Redis lists with commas between them"
DURATION = "is not a duration: seconds, or with a unit as in 30s, 15m, 2h, 3d"
SIZE = "is not a size: octets, or with a unit as in 25M"
IN_LOGIN = "in the user's name or the password is written as"


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("SENDERS", "example.com,", "'' is no address and no domain; expected some with commas between"),
        (
            "SENDERS",
            "example.com,*.example.com",
            "'*.example.com' is no address and no domain; expected some with commas between",
        ),
        (
            "SENDERS",
            "a b@example.com",
            "'a b@example.com' is no address and no domain; expected some with commas between",
        ),
        ("LEGACY_FIELDS", "cc,html5", f"'html5' is none of {', '.join(NAMES)}"),
        ("LEGACY_FIELDS", "cc,", f"'' is none of {', '.join(NAMES)}"),
        ("IDEMPOTENCY_WINDOW", "0", "0 is too small: above 0 up to 366 days"),
        ("SMTP_URL", "ftp://h", SMTP),
        ("SMTP_URL", "smtp:/h", f"is not a URL; {SMTP}"),
        ("SMTP_URL", "h:25", f"is not a URL; {SMTP}"),
        ("SMTP_URL", "'smtps://u:s3cret@h", f"is not a URL; {SMTP}"),
        ("SMTP_URL", "stmps://u:s3cret@h", f"{SMTP}; did you mean smtps://?"),
        ("SMTP_URL", "smtp://", f"has no host; {HOW}"),
        ("SMTP_URL", "smtp://u:s3cret@", f"has no host; {HOW}"),
        ("SMTP_URL", "smtp://h:0", PORT),
        ("SMTP_URL", "smtp://host:70000", PORT),
        ("SMTP_URL", "smtp://u:s3cret@h:99999", PORT),
        ("SMTP_URL", "smtp://[::1]:70000", PORT),
        ("SMTP_URL", "smtp://u:s3cret@h:x", NO_PORT),
        ("SMTP_URL", "smtp://u:s3cret", NO_PORT),
        ("SMTP_URL", "smtp://[::1", f"is not a URL; {HOW}"),
        ("SMTP_URL", "smtps://u:s3\u2100cret@h", f"is not a URL; {HOW}"),
        ("SMTP_URL", "smtps://u:s3/cret@h", f"a / {IN_LOGIN} %2F"),
        ("SMTP_URL", "smtps://u:s3#cret@h", f"a # {IN_LOGIN} %23"),
        ("SMTP_URL", "smtps://u:s3?cret@h", f"a ? {IN_LOGIN} %3F"),
        ("SMTP_URL", "smtps://u:s3[cret@h", f"a [ {IN_LOGIN} %5B"),
        ("SMTP_URL", "smtps://u:s3 cret@h", f"a blank {IN_LOGIN} %20"),
        ("SMTP_URL", "smtps://u:s3\ncret@h", f"a control character {IN_LOGIN} %0A"),
        ("SMTP_URL", "smtps://u:s3cret@h h", "holds a blank or a control character"),
        ("SMTP_URL", "smtps://u:s3cret@h_ö", f"the host holds a character that no host has; {HOW}"),
        ("SMTP_URL", "smtps://u:s3cret@h/path", "must end after host and port"),
        ("SMTP_URL", "smtps://u:s3cret@h?tls=1", "must end after host and port"),
        ("SMTP_URL", "smtp://:s3cret@h", "has a password and no user"),
        ("SMTP_URL", "smtp://u@h", "has a user and no password; where it is empty, write user:@host"),
        ("REDIS_URL", "http://h", REDIS),
        ("REDIS_URL", "redis://", f"has no host; {HOW}"),
        ("REDIS_URL", "redis://:p@s3/w#cret@h:6379/0", f"a / {IN_LOGIN} %2F"),
        ("REDIS_URL", "redis://:s3cret#x@h/0", f"a # {IN_LOGIN} %23"),
        ("REDIS_URL", "redis://:s3cret@h:99999/0", PORT),
        ("REDIS_URL", "redis://:s3cret@h:port/0", NO_PORT),
        ("REDIS_URL", "redis://:s3cret@h/zero", "the database must be a number"),
        ("REDIS_URL", "unix://", "has no path of a socket"),
        ("REDIS_URL", "redis+sentinel://:s3/cret@h/m", f"a / {IN_LOGIN} %2F"),
        ("SMTP_URL", "tls://u:s3cret@h", f"{SMTP}; did you mean smtps://?"),
        ("SMTP_URL", "ssl://u:s3cret@h", f"{SMTP}; did you mean smtps://?"),
        ("REDIS_URL", "tls://:s3cret@h", f"{REDIS}; did you mean rediss://?"),
        ("REDIS_URL", "tcp://:s3cret@h", f"{REDIS}; did you mean redis://?"),
        ("SMTP_HOST", "h", "there is no such setting; it is part of MAILWORKER_SMTP_URL"),
        ("SMTP_PASSWORD", "s3cret", "there is no such setting; it is part of MAILWORKER_SMTP_URL"),
        ("REDIS_PORT", "6379", "there is no such setting; it is part of MAILWORKER_REDIS_URL"),
        ("BROKER_URL", "ampq://u:s3cret@h", f"{BROKER}; did you mean amqp://?"),
        ("BROKER_URL", "rabbitmq://u:s3cret@h", BROKER),
        ("BROKER_URL", "h:5672", f"is not a URL; {BROKER}"),
        ("BROKER_URL", "amqp://u:s3#cret@h", f"a # {IN_LOGIN} %23"),
        ("BROKER_URL", "amqp://u:s3cret@h:70000//", PORT),
        ("BROKER_URL", "amqp://u:s3cret@h//;ampq://u:s3cret@i//", f"{BROKER}; did you mean amqp://?"),
        ("BROKER_URL", "SQS://u:s3cret@", "sqs:// needs the Python package boto3, which is not installed"),
        (
            "BROKER_URL",
            "sqla+sqlite:///x",
            "sqla+sqlite:// needs the Python package sqlalchemy, which is not installed",
        ),
        ("BROKER_URL", "kafka://h", "kafka:// needs the Python package confluent_kafka, which is not installed"),
        ("BROKER_URL", "redis://:s3cret@h/x", "the database must be a number"),
        ("FROM", "nobody", "an address has no @"),
        ("FROM", "A, B <a@b.c>", 'a name with one of <>@," in it is written in quotes'),
        ("FROM", "a@b.c, d@e.f", "more than one address in one text"),
        ("FROM", "A site a@b.c", "an address holds a blank"),
        ("FROM", "A <a@b.c>\r\nBcc: x@y.z", "holds a line break or another control character"),
        ("LEGACY_QUEUES", "a b", f"{LISTS}, without blanks, semicolons, quotes or square brackets"),
        ("LEGACY_QUEUES", "a;b", f"{LISTS}, without blanks, semicolons, quotes or square brackets"),
        ("LEGACY_QUEUES", '["a","b"]', f"{LISTS}, without blanks, semicolons, quotes or square brackets"),
        ("LEGACY_QUEUES", "a,,b", LISTS),
        ("LEGACY_QUEUES", ",", LISTS),
        ("LEGACY_QUEUES", "a,a", "names a list twice"),
        ("RETRY_DELAYS", "1,x", f"x {DURATION}"),
        ("RETRY_DELAYS", "10;60", f"10;60 {DURATION}"),
        ("RETRY_DELAYS", "10 60", f"10 60 {DURATION}"),
        ("RETRY_DELAYS", "10,", "expected seconds with commas between them, as 10,60,300 or 10s,1m,5m"),
        ("RETRY_DELAYS", "0", "0 is too small: above 0 up to 366 days"),
        ("RETRY_DELAYS", "nan", f"nan {DURATION}"),
        ("BATCH", "0", "0 is too small: 1 to 1000 mails"),
        ("BATCH", "9999999999", "9999999999 is too large: 1 to 1000 mails"),
        ("BATCH", "x", "x is not a whole number"),
        ("BATCH", "1.5", "1.5 is not a whole number: 1 to 1000 mails"),
        ("BATCH", "1,500", "1,500 is not a whole number; did you mean 1_500?"),
        ("BATCH", "2k", "2k is not a whole number; it takes no unit such as 'k'"),
        ("BATCH", "u:s3cret@h", "the value is not a whole number"),
        ("SMTP_WINDOW", "101", "101 is too large: 1 to 100 mails"),
        ("SMTP_PIPELINING", "ture", "ture is neither true nor false; did you mean true?"),
        ("SMTP_CHUNKING", "perhaps", "perhaps is neither true nor false"),
        ("SMTP_CA_FILE", "/nowhere/ca.pem", "the file cannot be read: No such file or directory"),
        ("SMTP_CA_FILE", "/tmp", "the file cannot be read: Is a directory"),
        ("SMTP_CA_FILE", __file__ + "/x", "the file cannot be read: Not a directory"),
        ("SMTP_CA_FILE", "/etc/passwd", "the file holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"),
        ("SMTP_HELO", "a b", "must be a host name, or an address as [192.0.2.1]: no blank, no other character"),
        ("SMTP_REPLY_TIMEOUT", "-1", "-1 is too small: above 0 up to 1200 seconds"),
        ("SMTP_FINAL_TIMEOUT", "2000", "2000 is too large: above 0 up to 1200 seconds"),
        ("BATCH_SECONDS", "1h", "1h is too large: above 0 up to 1200 seconds"),
        ("SMTP_IDLE", "nan", f"nan {DURATION}"),
        ("MAX_AGE", "inf", f"inf {DURATION}"),
        ("MAX_AGE", "2 fortnights", f"2 fortnights {DURATION}"),
        ("MAX_AGE", "1,5", f"1,5 {DURATION}; did you mean 1.5?"),
        ("MAX_AGE", "400d", "400d is too large: above 0 up to 366 days"),
        ("MAX_MAIL_SIZE", "0", "0 is too small: 1 octet to 1 GiB"),
        ("MAX_MAIL_SIZE", "2G", "2G is too large: 1 octet to 1 GiB"),
        ("MAX_MAIL_SIZE", "25X", f"25X {SIZE}; 'x' is no unit here"),
        ("MAX_MAIL_SIZE", "ten", f"ten {SIZE}"),
        ("SPOOL_PREFIX", "a b", "may hold letters of ASCII, digits and _ . : - only"),
        ("SPOOL_PREFIX", "a{b}", "may hold letters of ASCII, digits and _ . : - only"),
        ("IN_DOUBT", "maybe", "maybe is not 'resend' or 'hold'"),
        ("IN_DOUBT", "holt", "holt is not 'resend' or 'hold'; did you mean hold?"),
        ("TEMPLATES", __file__, "is not a folder"),
        ("REDIS_ULR", "redis://:s3cret@h", "there is no such setting; did you mean MAILWORKER_REDIS_URL?"),
        ("WINDOW", "4", "there is no such setting; did you mean MAILWORKER_SMTP_WINDOW?"),
        ("SENDER", "a@b.c", "there is no such setting; did you mean MAILWORKER_FROM?"),
        ("QQQ", "s3cret", "there is no such setting"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(load_with, key: str, value: str, problem: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SettingsError) as caught:
        load_with(**{key: value})
    said = str(caught.value)
    assert said == f"MAILWORKER_{key}: {problem}"
    assert "\n" not in said
    assert "s3" not in said
    assert "cret" not in said
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("key", "value", "meant"),
    [
        ("idempotency_window", "12h", 43_200),
        ("senders", "a.com, b@c.de", ("a.com", "b@c.de")),
        ("legacy_fields", "cc, html", ("cc", "html")),
        ("max_age", "2d", 172_800), ("max_age", "1w", 604_800), ("max_age", "1 day", 86_400),
        ("max_age", "1h30m", 5400),
        ("max_age", "2H", 7200), ("max_age", "86_400", 86_400), ("max_age", "1.5h", 5400), ("max_age", "+5", 5),
        ("smtp_idle", "5s", 5), ("smtp_idle", "500ms", 0.5), ("smtp_idle", ".5", 0.5), ("smtp_idle", "20", 20),
        ("smtp_reply_timeout", "20min", 1200), ("batch_seconds", "1 m", 60), ("smtp_connect_timeout", "'30'", 30),
        ("max_mail_size", "25M", 25 * 2**20), ("max_mail_size", "25MiB", 25 * 2**20),
        ("max_mail_size", "25mb", 25 * 2**20),
        ("max_mail_size", "1_000", 1000), ("max_mail_size", "1G", 2**30), ("max_mail_size", "512 KiB", 2**19),
        ("max_recipients_size", "64k", 2**16), ("max_recipients_size", "0.5K", 512), ("batch", "1_000", 1000),
        ("retry_delays", "10s, 1m,5m ,1h", (10, 60, 300, 3600)), ("retry_delays", "10,60", (10, 60)),
        ("smtp_pipelining", "yes", True), ("smtp_pipelining", "on", True), ("smtp_chunking", "0", False),
        ("smtp_chunking", "No", False), ("smtp_chunking", "OFF", False), ("in_doubt", "HOLD", "hold"),
        ("in_doubt", ' "hold" ', "hold"), ("legacy_queues", " a , b:c ", ("a", "b:c")), ("spool_prefix", "x:\n", "x:"),
        ("smtp_helo", "[192.0.2.1]", "[192.0.2.1]"),
    ],
)  # fmt: skip
def test_values_are_taken_as_people_write_them(load_with, key: str, value: str, meant: object) -> None:  # type: ignore[no-untyped-def]
    assert getattr(load_with(**{key.upper(): value}), key) == meant


@pytest.mark.parametrize("empty", ["", " ", "''", "\n"])
def test_an_empty_variable_is_the_default_as_compose_sets_it(load_with, empty: str) -> None:  # type: ignore[no-untyped-def]
    names = ("FROM" if name == "sender" else name.upper() for name in Settings.model_fields)
    assert load_with(**dict.fromkeys(names, empty)) == Settings()


@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_and_blanks_around_a_value_are_not_part_of_it(load_with, quote: str) -> None:  # type: ignore[no-untyped-def]
    settings = load_with(SMTP_URL=f" {quote}smtps://u:p@h{quote}\n", FROM='"A, site" <a@b.c>')
    assert (settings.relays[0].user, settings.relays[0].password, settings.relays[0].host) == ("u", "p", "h")
    assert settings.author.mailbox == Mailbox("a@b.c", b"A, site")


@pytest.mark.parametrize(
    "url",
    ["amqp://", "amqps://u:p%2F@h:5671/v%2Fhost", "pyamqp://h//", "amqp://a//;amqp://b//", "redis://h/1", "memory://",
     "sentinel://h:26379/0", "redis+socket:///run/r.sock", "rediss://u:p@h/0?ssl_cert_reqs=none",
     "redis://h/0?client_name=a@b", "redis+sentinel://u:p@a:1,b:2/m/0"],
)  # fmt: skip
def test_a_broker_is_taken_as_celery_knows_it(load_with, url: str) -> None:  # type: ignore[no-untyped-def]
    assert load_with(BROKER_URL=url).broker_url.get_secret_value() == url


def test_what_kubernetes_sets_beside_a_service_called_mailworker_is_none_of_ours(load_with) -> None:  # type: ignore[no-untyped-def]
    """https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables"""
    url = "tcp://10.0.0.11:5555"
    load_with(SERVICE_HOST="10.0.0.11", SERVICE_PORT="5555", SERVICE_PORT_HTTP="5555", PORT=url)
    load_with(PORT_5555_TCP=url, PORT_5555_TCP_PROTO="tcp", PORT_5555_TCP_PORT="5555", PORT_5555_TCP_ADDR="10.0.0.11")


def test_the_others_that_are_wrong_are_named_too(load_with) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SettingsError) as caught:
        load_with(BATCH="0", MAX_AGE="x", REDIS_URL="http://u:s3cret@h")
    assert str(caught.value).startswith("MAILWORKER_REDIS_URL: must begin with redis://")
    assert str(caught.value).endswith(" (and wrong as well: MAILWORKER_MAX_AGE, MAILWORKER_BATCH)")


def test_a_password_is_not_shown_with_the_settings(load_with) -> None:  # type: ignore[no-untyped-def]
    settings = load_with(SMTP_URL="smtp://u:s3cret@h", REDIS_URL="redis://:s3cret@h", BROKER_URL="amqp://u:s3cret@h//")
    for shown in (
        repr(settings),
        str(settings),
        repr(settings.relays[0]),
        settings.model_dump_json(),
        repr(settings.retries),
    ):
        assert "s3cret" not in shown


def test_the_env_file_is_read_and_the_environment_wins(load_with, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / ".env").write_text(
        "# a comment\nMAILWORKER_FROM='Ünal <a@b.c>'\nMAILWORKER_SMTP_URL=smtp://file\nOTHER=1\n", encoding="utf-8"
    )
    settings = load_with(SMTP_URL="smtp://environment")
    assert settings.author.mailbox == Mailbox("a@b.c", "Ünal".encode())
    assert settings.relays[0].host == "environment"


def test_an_unknown_key_in_the_env_file_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAILWORKER_SMPT_URL=smtp://u:s3cret@h\n")
    with pytest.raises(
        SettingsError, match=r"^MAILWORKER_SMPT_URL: there is no such setting; did you mean MAILWORKER_SMTP_URL\?$"
    ):
        load()


ENV_FILES = [
    ("MAILWORKER_SMTP_URL='smtps://u:s3cret@h\n", "line 1: a quote does not close"),
    ('A=1\n\nMAILWORKER_SMTP_URL="smtps://u:s3cret@h\nB=2\n', "line 3: a quote does not close"),
    (
        "MAILWORKER_SMTP_URL='smtps://u:s3cret@h\nMAILWORKER_FROM='a@b.c'\n",
        "line 1: a quote does not close",
    ),
    ("A='x\nMAILWORKER_FROM=a@b.c\nB='\n", "line 1: a quote does not close"),
    ("MAILWORKER_SMTP_URL='smtps://u:s3cret@h' x\n", "line 1: is not NAME=value"),
    ("MAILWORKER SMTP_URL=smtps://u:s3cret@h\n", None),
    ("MAILWORKER_SMTP_URL smtps://u:s3cret@h\n", "line 1: is not NAME=value"),
    ("MAILWORKER_FROM\n", "line 1: MAILWORKER_FROM has no = and value behind it"),
    ("MAILWORKER_BATCH=1\nMAILWORKER_BATCH=2\n", "line 2: MAILWORKER_BATCH has another value in line 1 already"),
    ("MAILWORKER_BATCH=${NOWHERE}\n", "line 1: ${NOWHERE} is not set"),
]


@pytest.mark.parametrize(("text", "problem"), ENV_FILES)
def test_an_env_file_that_is_not_read_as_it_was_meant_is_an_error_with_its_line(
    tmp_path: Path, text: str, problem: str | None
) -> None:
    (tmp_path / ".env").write_text(text)
    if problem is None:
        load()
        return
    with pytest.raises(SettingsError) as caught:
        load()
    assert str(caught.value) == f".env: {problem}"


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfMAILWORKER_BATCH=7\n", b"MAILWORKER_BATCH=7\r\nMAILWORKER_IN_DOUBT=hold\r\n",
        b"MAILWORKER_BATCH=7", b"export MAILWORKER_BATCH=7\n", b"MAILWORKER_BATCH = '7'  # seven\n",
        b"mailworker_batch=7\n", b"N=7\nMAILWORKER_BATCH=7",
        b"MAILWORKER_BATCH=7\nMAILWORKER_BATCH=7\n", b"some junk of another program\nMAILWORKER_BATCH=7\n",
        b"KEY='-----BEGIN\nx\n-----END'\nMAILWORKER_BATCH=7\n", b"MAILWORKER_BATCH=${NOWHERE:-7}\n",
        b"FLOWER_N=7\nMAILWORKER_BATCH=${FLOWER_N}\n",
    ],
)  # fmt: skip
def test_an_env_file_is_read_however_it_is_written(tmp_path: Path, text: bytes) -> None:
    (tmp_path / ".env").write_bytes(text)
    assert load().batch == 7


def test_a_folder_of_that_name_is_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert load().batch == 200


def test_an_env_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"MAILWORKER_FROM=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"^\.env: cannot be read"):
        load()


USER = "smtp+starttls://shop%40example.com@relay.example"


def test_a_token_stands_for_the_password(load_with, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "token"
    path.write_text("secret-token")
    settings = load_with(SMTP_URL=USER, SMTP_TOKEN_FILE=str(path))
    assert settings.relays[0].tokens.get() == "secret-token"
    assert settings.relays[0].user == "shop@example.com"
    assert "secret-token" not in f"{settings!r} {settings.relays[0]!r}"


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"SMTP_URL": USER, "SMTP_TOKEN_COMMAND": "get 'token"}, "has a quote that does not close"),
        ({"SMTP_URL": USER, "SMTP_TOKEN_COMMAND": "get", "SMTP_TOKEN_FILE": "/x"}, "either this or"),
        ({"SMTP_URL": "smtp://relay.example", "SMTP_TOKEN_COMMAND": "get"}, "needs a user in MAILWORKER_SMTP_URL"),
    ],
)
def test_a_token_that_cannot_work_is_said(load_with, values: dict[str, str], problem: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SettingsError) as caught:
        load_with(**values)
    assert str(caught.value).startswith("MAILWORKER_SMTP_TOKEN_COMMAND: ")
    assert problem in str(caught.value)


def test_keys_to_sign_with_are_named_and_their_files_left_alone(load_with) -> None:  # type: ignore[no-untyped-def]
    """An application that only calls `delay` cannot read them, and need not."""
    settings = load_with(DKIM_KEYS=" example.com:s1:nothing.pem, München.de:s2:/run/b.pem ", DKIM_REQUIRED="yes")
    signers = settings.author.signers
    assert [(source.name, source.file) for source in signers.sources] == [
        ("s1._domainkey.example.com", "nothing.pem"),
        ("s2._domainkey.xn--mnchen-3ya.de", "/run/b.pem"),
    ]
    assert signers.required
    with pytest.raises(SettingsError, match=r"^MAILWORKER_DKIM_KEYS: nothing\.pem: cannot be read: No such file"):
        signers.read()


def test_without_keys_nothing_is_signed(load_with) -> None:  # type: ignore[no-untyped-def]
    assert load_with(DKIM_KEYS="").author.signers is None
    with pytest.raises(SettingsError, match=r"^MAILWORKER_DKIM_REQUIRED: .*: set MAILWORKER_DKIM_KEYS$"):
        load_with(DKIM_REQUIRED="yes")


def test_a_key_in_place_of_its_file_is_not_shown(load_with) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SettingsError) as caught:
        load_with(DKIM_KEYS="example.com:s1:-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----")
    assert str(caught.value) == "MAILWORKER_DKIM_KEYS: expected the path of a file, and not the key itself"
