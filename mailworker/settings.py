"""Everything a site may set, read once from the environment and `.env`, checked once.

Names in the environment are these in upper case after `MAILWORKER_`. An unknown name, a bad URL or number raises
`SettingsError` with one line that names the key and the problem; no value that may hold a password is shown.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from . import envfile, host_settings
from .delivery.back_off import Policy
from .errors import SettingsError, Unsendable
from .mail import legacy_fields, senders
from .mail.address import Mailbox, parse
from .mail.author import Author
from .mail.email import Limits
from .mail.signing.dkim import Signers
from .mail.signing.dkim_keys import Source as KeySource
from .mail.signing.dkim_keys import sources as key_sources
from .quantities import choice, did_you_mean, flag, octets, seconds, whole
from .smtp import relay_url
from .smtp.relay import Deadlines, Relay
from .smtp.tls import ca_file
from .smtp.token import Tokens
from .spool import constants
from .spool.sentinel import SENTINEL_SCHEMES, sentinels
from .spool.server import Broker, broker, options_of, server
from .urls import check_login, host_of, scheme_of, split

PREFIX: Final = "MAILWORKER_"
_MEMORY: Final = "memory://"
_REDIS: Final = ("redis", "rediss", "unix", *SENTINEL_SCHEMES)
_AMQP: Final = ("amqp", "amqps", "pyamqp")
_OTHER_BROKERS: Final = {
    "redis+socket": "", "sentinel": "", "memory": "", "filesystem": "",
    "sqs": "boto3", "mongodb": "pymongo", "zookeeper": "kazoo", "consul": "consul", "etcd": "etcd", "qpid": "qpid",
    "kafka": "confluent_kafka", "confluentkafka": "confluent_kafka", "azurestoragequeues": "azure",
    "azureservicebus": "azure", "gcpubsub": "google", "librabbitmq": "librabbitmq", "sqla": "sqlalchemy",
    "sqlalchemy": "sqlalchemy", "pyro": "Pyro4", "slmq": "softlayer_messaging", "pgmq": "pgmq",
}  # fmt: skip
"""What else Celery speaks, and the package that it needs for it."""

_NAME_OF_A_LIST: Final = re.compile(r"[^\s\x00-\x1f\x7f;\"'\[\]]+")  # {tags}, as a cluster wants them, are names
_SPOOL_PREFIX: Final = re.compile(r"[A-Za-z0-9_.:-]+")
_OF_KUBERNETES: Final = re.compile(r"SERVICE_(HOST|PORT(_\w+)?)|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?")
"""What it puts into the environment of every pod beside a service that is called `mailworker`."""
_OF_A_URL: Final = re.compile(
    r"(SMTP|REDIS|BROKER)_(HOST(NAME)?|SERVER|PORT|USER(NAME)?|LOGIN|PASS(WORD)?|DB|DATABASE|TLS|SSL|SECURE|SCHEME)"
)
"""What other programs have as settings of their own."""

YEAR: Final = 366 * 86_400
TASK: Final = 1200
"""Seconds after which Celery ends a task (`task_soft_time_limit`): no wait inside one may be longer."""

Waits = Annotated[float, BeforeValidator(seconds(TASK))]
Seconds = Annotated[float, BeforeValidator(seconds(YEAR))]
Octets = Annotated[int, BeforeValidator(octets(2**30))]
Flag = Annotated[bool, BeforeValidator(flag)]

_RELAY: Final = Relay("127.0.0.1", 25)
_POLICY: Final = Policy()
_LIMITS: Final = Limits()
"""Their defaults are the settings' defaults."""


def _folder(path: Path | None) -> Path | None:
    """It need not be there: a worker has the same settings as a program that sends, and needs no templates."""
    if path is not None and path.exists() and not path.is_dir():
        raise ValueError("is not a folder")
    return path


class Settings(BaseModel):
    """Made by `load`, from texts as they stand in the environment. The sentence below each is its row in
    docs/settings.md, which `make docs` writes."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    """The Redis (6.2 or newer) that holds the legacy list. The spool is kept in the same database, so that an entry
    becomes a record in one step. `redis://user:password@host:port/database`, `rediss://` for TLS, `unix:///path` or
    `unix://user:password@/path?db=1` for a socket. Behind Sentinel:
    `redis+sentinel://user:password@host:26379,host:26379/master/0`; user and password are for Redis, the sentinels
    are asked without. An empty password means no login. Options go behind `?`: see [below](#options-of-a-redis-url)"""
    legacy_queues: tuple[str, ...] = ("queue:email",)
    """The lists to drain, with commas between them, with the prefix that phpredis may put before them"""
    legacy_fields: tuple[str, ...] = ()
    """What counts in an entry beside `to`, `subject` and `body`, with commas between them: `cc`, `bcc`, `reply_to`,
    `html`, `headers`, `attachments` and `inline` (name or cid => base64, or arrays with `name`, `content` in base64
    and `type`; never a path), `sender`, `return_path`, `list_unsubscribe`, and `send_at` and `expires` as Unix times.
    Empty: nothing, as the old daemon did; producers that have pushed such keys for years would mail new people"""
    spool_prefix: str = "mailworker:"
    """What the keys of the spool begin with, and Celery's names in the broker. Two sites in one database, or on one
    RabbitMQ, need two prefixes"""
    broker_url: SecretStr | None = None
    """What Celery uses as its broker; empty for the Redis above. `amqp://…` for RabbitMQ"""

    smtp_url: SecretStr = SecretStr("smtp://127.0.0.1:25")
    """`smtp://` is clear text (port 25), `smtp+starttls://` demands STARTTLS (587), `smtps://` is TLS from the
    start (465); a worker warns of a scheme on another's port. With user and password before the host there is a
    login: each of PLAIN, LOGIN and CRAM-MD5 that the relay offers, one round at most, and first the one that worked
    last. Special characters are written as `%XX`, so `@` in a user's name is `%40`. `memory://`, for tests: mails are
    kept in the process that sends them, as `mailworker.testing.outbox`, and nothing asks for Redis or a relay"""
    smtp_token_file: Path | None = None
    """A file with an OAuth 2 access token, for a login with XOAUTH2 or OAUTHBEARER as the user in
    `MAILWORKER_SMTP_URL`. The token alone, or JSON with `access_token` and perhaps `expires_in`. It is read at each
    login, so that another program may renew it (write a new file and rename it)"""
    smtp_token_command: str = ""
    """A command, run without a shell, that prints the same within 30 seconds. What it prints is kept until two
    minutes before its end (`expires_in`, or the `exp` of a JWT), and once asked for anew when the relay refuses it"""
    smtp_ca_file: Annotated[Path | None, AfterValidator(ca_file)] = None
    """A file of certificates (PEM) that the relay's certificate is checked with; empty for those of the system. It
    is always checked, the host's name too"""
    smtp_helo: Annotated[str, AfterValidator(relay_url.helo)] = _RELAY.helo
    """The name in EHLO; empty for the own address, as `[192.0.2.1]`"""
    smtp_pipelining: Flag = _RELAY.pipelining
    """Use PIPELINING where the relay announces it. `false` for a relay that announces what it does badly"""
    smtp_chunking: Flag = _RELAY.chunking
    """Use CHUNKING (BDAT) where the relay announces it, together with PIPELINING"""
    smtp_window: Annotated[int, BeforeValidator(whole(1, 100, "mails"))] = _RELAY.window
    """Mails under way at once on one connection, 1 to 100, where the relay has both of these; where it has not, as
    many are committed with one script if it takes them fast. It bounds the mails that a kill leaves in doubt"""
    smtp_connect_timeout: Waits = _RELAY.deadlines.connect
    """Seconds until the connection must stand. No wait may be longer than 1200 seconds, after which Celery ends a
    task"""
    smtp_reply_timeout: Waits = _RELAY.deadlines.reply
    """Seconds for each reply as a whole"""
    smtp_final_timeout: Waits = _RELAY.deadlines.final
    """Seconds for the reply after the message; sending a large message has time on top of it"""
    smtp_idle: Seconds = _RELAY.idle
    """A connection that was idle for so many seconds is not used again"""
    smtp_mails_per_connection: Annotated[int, BeforeValidator(whole(1, 10**9, "mails"))] = _RELAY.mails
    """Mails after which a connection is closed. A relay that closes earlier is noticed and not waited for again"""
    sender: Annotated[str, Field(validation_alias=PREFIX + "FROM")] = ""
    """Who sends: `Name <address>` or an address. Empty: the user of the relay's URL where that is an address, else
    `mailworker@localhost`"""

    dkim_keys: Annotated[tuple[KeySource, ...], BeforeValidator(key_sources)] = ()
    """Keys to sign mail with (DKIM), as `domain:selector:file` with commas between several:
    `example.com:s1:/run/secrets/dkim.pem`. A mail has a signature of each key of the domain in its From, or of the
    nearest parent domain that has one. A worker reads the files when it starts: see [DKIM](dkim.md)"""
    dkim_required: Flag = False
    """A mail whose From has no key is a dead letter (`dkim_no_key`), and does not go without a signature"""

    in_doubt: Annotated[Literal["resend", "hold"], BeforeValidator(choice("resend", "hold"))] = "resend"
    """What happens to a mail that the relay may have or not: `resend` sends it again under the same Message-ID,
    `hold` makes it a dead letter for a person to decide"""
    retry_delays: tuple[float, ...] = _POLICY.delays
    """Seconds to wait after the first, second, … attempt that the relay put off; the last one again and again. Ten
    per cent of jitter. "Try again in N seconds" in a reply is obeyed where it is longer"""
    max_age: Seconds = _POLICY.max_age
    """Seconds after which a mail that would wait again becomes a dead letter (`expired`) instead: two days"""
    max_mail_size: Octets = _LIMITS.mail
    """The largest entry that is sent, in octets: 25 MiB. A larger one is a dead letter (`too_large`)"""
    max_recipients_size: Octets = _LIMITS.recipients
    """The largest sum of a mail's addresses and names, in octets"""
    senders: tuple[str, ...] = ()
    """As whom callers may send: addresses and domains (`example.com` is itself, without those below it), with commas
    between them. `MAILWORKER_FROM` always may. Empty: whatever a caller says. It holds for `sender`, `return_path` and
    finished messages"""
    idempotency_window: Annotated[float, BeforeValidator(seconds(YEAR))] = constants.IDEMPOTENCY_SECONDS
    """Seconds in which an `idempotency_key` or a `task_id` is one mail, from the call on and again once it is sent"""
    batch: Annotated[int, BeforeValidator(whole(1, 1000, "mails"))] = constants.BATCH
    """Mails that one doorbell carries at most"""
    batch_seconds: Waits = 60
    """No mail of a batch is begun after so many seconds; the rest goes back to the queue"""

    templates: Annotated[Path | None, AfterValidator(_folder)] = None
    """The folder of the templates that `send_email(template="welcome")` takes: `welcome.html`, `welcome.txt`,
    `welcome.subject`. Whoever calls needs it, a worker does not. See [mails.md](mails.md#templates)"""

    eager: Annotated[Literal["keep", "send", "spool"], BeforeValidator(choice("keep", "send", "spool"))] = "keep"
    """What a call does where Celery's `task_always_eager` is on, in our app or in the program's own, as in tests:
    `keep` has the mail in `mailworker.testing.outbox` and sends nothing, `send` sends it there and then, `spool` makes
    nothing of it: the mail is in Redis as ever"""

    @field_validator("legacy_queues", mode="before")
    @classmethod
    def _queues(cls, value: Any) -> Any:
        names = tuple(name.strip() for name in value.split(",")) if isinstance(value, str) else value
        if not names or not all(names):
            raise ValueError("expected names of Redis lists with commas between them")
        if not all(map(_NAME_OF_A_LIST.fullmatch, names)):
            raise ValueError(
                "expected names of Redis lists with commas between them, "
                "without blanks, semicolons, quotes or square brackets"
            )
        if len(set(names)) != len(names):
            raise ValueError("names a list twice")
        return names

    @field_validator("retry_delays", mode="before")
    @classmethod
    def _delays(cls, value: Any) -> Any:
        items = [item.strip() for item in value.split(",")] if isinstance(value, str) else value
        if not items or "" in items:
            raise ValueError("expected seconds with commas between them, as 10,60,300 or 10s,1m,5m")
        return tuple(map(seconds(YEAR), items))

    @field_validator("legacy_fields", mode="before")
    @classmethod
    def _legacy_fields(cls, value: Any) -> Any:
        names = tuple(name.strip() for name in value.split(",")) if isinstance(value, str) else value
        for name in names:
            if name not in legacy_fields.NAMES:
                raise ValueError(f"{name!r:.40} is none of {', '.join(legacy_fields.NAMES)}")
        return names

    @field_validator("senders", mode="before")
    @classmethod
    def _senders(cls, value: Any) -> Any:
        return tuple(name.strip() for name in value.split(",")) if isinstance(value, str) else value

    @field_validator("spool_prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        if not _SPOOL_PREFIX.fullmatch(value):
            raise ValueError("may hold letters of ASCII, digits and _ . : - only")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: SecretStr) -> SecretStr:
        _check_redis(value.get_secret_value())
        return value

    @field_validator("broker_url")
    @classmethod
    def _broker(cls, value: SecretStr | None) -> SecretStr | None:
        for url in re.split(r";(?=[a-zA-Z+]+://)", value.get_secret_value()) if value else ():
            _check_broker(url)
        return value

    @model_validator(mode="after")
    def _derived_are_valid(self) -> Settings:
        for key, check in (
            ("SMTP_URL", self._split_url),
            ("SMTP_TOKEN_COMMAND", lambda: self.tokens),
            ("SMTP_URL", lambda: self.relays),
            ("FROM", lambda: self.author),
            ("SENDERS", lambda: self.limits),
            ("DKIM_REQUIRED", self._check_dkim),
        ):
            try:
                check()
            except (ValueError, Unsendable) as error:
                raise ValueError(f"{PREFIX}{key}: {str(error).removeprefix('sender: ')}") from None
        return self

    @cached_property
    def in_memory(self) -> bool:
        """Mails are kept in the process that sends them, for tests: there is no relay, and no spool."""
        return self.smtp_url.get_secret_value().lower().startswith(_MEMORY)

    def _split_url(self) -> None:
        url = self.smtp_url.get_secret_value()
        if not self.in_memory:
            relay_url.split_url(url)
        elif url.lower() != _MEMORY:
            raise ValueError(f"{_MEMORY} stands alone")

    @cached_property
    def relays(self) -> tuple[Relay, ...]:
        """Where mail goes: the one of `smtp_url` and its companions. None where mails are kept in memory."""
        if self.in_memory:
            return ()
        relay = relay_url.read(
            self.smtp_url.get_secret_value(),
            self.tokens,
            ca_file=str(self.smtp_ca_file) if self.smtp_ca_file else None,
            helo=self.smtp_helo,
            pipelining=self.smtp_pipelining,
            chunking=self.smtp_chunking,
            window=self.smtp_window,
            idle=self.smtp_idle,
            mails=self.smtp_mails_per_connection,
            deadlines=Deadlines(self.smtp_connect_timeout, self.smtp_reply_timeout, self.smtp_final_timeout),
        )
        return (relay,)

    @cached_property
    def tokens(self) -> Tokens | None:
        """Where tokens for the login come from, if it is with tokens."""
        if self.in_memory:
            return None
        return relay_url.read_tokens(self.smtp_url.get_secret_value(), self.smtp_token_file, self.smtp_token_command)

    @cached_property
    def author(self) -> Author:
        """As whom every mail is sent."""
        return Author(self._mailbox(), Signers(self.dkim_keys, self.dkim_required) if self.dkim_keys else None)

    def _check_dkim(self) -> None:
        if self.dkim_required and not self.dkim_keys:
            raise ValueError(f"there is no key to sign with: set {PREFIX}DKIM_KEYS")

    def _mailbox(self) -> Mailbox:
        """`MAILWORKER_FROM`, or the login of the relay where that is an address."""
        text = self.sender or "".join(relay.user for relay in self.relays[:1])
        if not self.sender.isprintable():
            raise ValueError("holds a line break or another control character")
        if not text:
            return Mailbox("mailworker@localhost")
        try:
            return parse(text, "sender")
        except Unsendable:
            if self.sender:
                raise
            return Mailbox("mailworker@localhost")

    @property
    def has_sender(self) -> bool:
        """False where nobody said who sends, so that the commands can tell."""
        return self.author.mailbox.address != "mailworker@localhost"

    @cached_property
    def limits(self) -> Limits:
        """What a mail may be."""
        return Limits(
            mail=self.max_mail_size,
            recipients=self.max_recipients_size,
            senders=senders.read(self.senders, self.author.mailbox.address),
            legacy_fields=frozenset(self.legacy_fields),
            templates=str(self.templates or ""),
        )

    @property
    def retries(self) -> Policy:
        return Policy(self.retry_delays, self.max_age, hold_in_doubt=self.in_doubt == "hold")

    @cached_property
    def broker(self) -> Broker:
        """What Celery connects to: `broker_url`, or the spool's Redis."""
        return broker((self.broker_url or self.redis_url).get_secret_value())


def _check_broker(url: str) -> None:
    scheme = url.partition("://")[0].lower()
    if scheme == "redis+socket":
        server(url)
    package = _OTHER_BROKERS.get("sqla" if scheme.startswith(("sqla+", "sqlalchemy+")) else scheme)
    if package and find_spec(package) is None:
        raise ValueError(f"{scheme}:// needs the Python package {package}, which is not installed")
    if package is not None:
        return
    if scheme_of(url, (*_AMQP, *_REDIS)) in _REDIS:
        _check_redis(url)
    else:
        split(url, _AMQP)  # without a host it is this machine


def _check_redis(url: str) -> None:
    if scheme_of(url, _REDIS) in SENTINEL_SCHEMES:
        check_login(url)
        sentinels(url)
        options_of(url)
        return
    parts = split(url, _REDIS)
    if parts.scheme != "unix":
        host_of(parts)
    elif not parts.path.strip("/"):
        raise ValueError("has no path of a socket")
    server(url)


def load() -> Settings:
    """The settings of this process: what `.env` says, over that the environment, over that a host's own settings.

    Raises `SettingsError`.
    """
    texts = {**_ours(envfile.read()), **_ours(os.environ), **_ours(host_settings.read())}
    known = {_key(name): name for name in Settings.model_fields}
    for key in sorted(texts.keys() - known.keys()):
        word = "FROM" if key == PREFIX + "SENDER" else key.removeprefix(PREFIX)
        if part := _OF_A_URL.fullmatch(word):
            raise SettingsError(f"{key}: there is no such setting; it is part of {PREFIX}{part[1]}_URL")
        meant = did_you_mean(word, (name.removeprefix(PREFIX) for name in known), PREFIX + "{}")
        raise SettingsError(f"{key}: there is no such setting{meant}")
    values = {known[key]: text for key, text in texts.items() if text}
    if "sender" in values:
        values[_key("sender")] = values.pop("sender")
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_one_line(error)) from None


def _key(name: str) -> str:
    return PREFIX + ("FROM" if name == "sender" else name.upper())


def _ours(texts: Mapping[str, str]) -> dict[str, str]:
    """By name in upper case; without blanks and quotes around them, as `docker --env-file` hands them on."""
    names = {key: key.upper() for key in texts}
    return {
        name: _bare(texts[key])
        for key, name in names.items()
        if name.startswith(PREFIX) and not _OF_KUBERNETES.fullmatch(name.removeprefix(PREFIX))
    }


def _bare(text: str) -> str:
    text = text.strip()
    quote = text[:1]
    if len(text) > 1 and quote in "'\"" and text.endswith(quote) and quote not in text[1:-1]:
        return text[1:-1].strip()
    return text


def _one_line(error: ValidationError) -> str:
    """What is wrong with the first setting, and the names of the others that are wrong."""
    problems: dict[str, str] = {}
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        message = item["msg"].removeprefix("Value error, ")
        if item["loc"]:
            problems.setdefault(_name(str(item["loc"][0])), message)
        else:  # a check of several at once has the name in its text
            key, _, message = message.partition(": ")
            problems.setdefault(key, message)
    (first, message), *others = problems.items()
    also = f" (and wrong as well: {', '.join(key for key, _ in others)})" if others else ""
    return f"{first}: {message}{also}"


def _name(location: str) -> str:
    return location if location.startswith(PREFIX) else _key(location)
