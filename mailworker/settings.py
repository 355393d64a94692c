"""Everything a site may set, read once from the environment and `.env`, checked once.

Names in the environment are these in upper case after `MAILWORKER_`. An unknown name, a bad URL or number raises
`SettingsError` with one line that names the key and the problem; no value that may hold a password is shown.
"""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pydantic import Field, FilePath, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from .address import Mailbox, parse
from .errors import SettingsError, Unsendable
from .message import Limits
from .retry import Policy
from .sentinel import SENTINEL_SCHEMES, Sentinels, sentinels
from .smtp.relay import Deadlines, Relay, Security

PREFIX: Final = "MAILWORKER_"
_SECURITY: Final = {"smtp": Security.CLEAR, "smtp+starttls": Security.STARTTLS, "smtps": Security.TLS}
_PORTS: Final = {Security.CLEAR: 25, Security.STARTTLS: 587, Security.TLS: 465}
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HOST: Final = re.compile(r"[A-Za-z0-9._:%-]+")
_NUMBER: Final = re.compile(r"[0-9]{1,5}")
Seconds = Annotated[float, Field(gt=0, le=86_400 * 366)]
Octets = Annotated[int, Field(gt=0, le=2**30)]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True,
        hide_input_in_errors=True,
    )  # fmt: skip

    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    legacy_queues: Annotated[tuple[str, ...], NoDecode] = ("queue:email",)
    spool_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]+$")] = "mailworker:"
    broker_url: SecretStr | None = None

    smtp_url: SecretStr = SecretStr("smtp://127.0.0.1:25")
    smtp_ca_file: FilePath | None = None
    smtp_helo: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:\[\]-]*$")] = ""
    smtp_pipelining: bool = True
    smtp_chunking: bool = True
    smtp_window: Annotated[int, Field(ge=1, le=100)] = 4
    smtp_connect_timeout: Seconds = 30
    smtp_reply_timeout: Seconds = 30
    smtp_final_timeout: Seconds = 120
    smtp_idle: Seconds = 20
    smtp_mails_per_connection: Annotated[int, Field(ge=1)] = 1000
    sender: Annotated[str, Field(validation_alias=PREFIX + "FROM")] = ""

    in_doubt: Literal["resend", "hold"] = "resend"
    retry_delays: Annotated[tuple[float, ...], NoDecode] = (10, 60, 300, 900, 3600)
    max_age: Seconds = 2 * 86_400
    max_mail_size: Octets = 25 * 1024 * 1024
    max_recipients_size: Octets = 64 * 1024
    batch: Annotated[int, Field(ge=1, le=1000)] = 200
    batch_seconds: Seconds = 60

    @field_validator("legacy_queues", mode="before")
    @classmethod
    def _queues(cls, value: Any) -> Any:
        names = tuple(name.strip() for name in value.split(",")) if isinstance(value, str) else value
        if not names or not all(names):
            raise ValueError("expected names of Redis lists with commas between them")
        if len(set(names)) != len(names):
            raise ValueError("names a list twice")
        return names

    @field_validator("retry_delays", mode="before")
    @classmethod
    def _delays(cls, value: Any) -> Any:
        if isinstance(value, str):
            try:
                value = tuple(float(item) for item in value.split(","))
            except ValueError:
                raise ValueError("expected seconds with commas between them, as 10,60,300") from None
        if not value or not all(0 < item < 86_400 * 366 for item in value):
            raise ValueError("each delay must be above 0 seconds and below a year")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: SecretStr) -> SecretStr:
        if sentinels(value.get_secret_value()) is not None:
            return value
        parts = _split(value.get_secret_value(), ("redis", "rediss", "unix", *SENTINEL_SCHEMES))
        database = parse_qs(parts.query).get("db", [""])[-1]
        if parts.scheme == "unix":
            if not parts.path.strip("/"):
                raise ValueError("has no path of a socket")
        else:
            _host(parts)
            database = database or parts.path.strip("/")
        if database and not _NUMBER.fullmatch(database):
            raise ValueError("the database must be a number")
        return value

    @field_validator("broker_url", mode="before")
    @classmethod
    def _broker(cls, value: Any) -> Any:
        if value and not _URL.match(value):
            raise ValueError("is not a URL")
        return value or None

    @model_validator(mode="after")
    def _derived_are_valid(self) -> Settings:
        for key, check in (("SMTP_URL", lambda: self.relay), ("FROM", lambda: self.mail_from)):
            try:
                check()
            except (ValueError, Unsendable) as error:
                raise ValueError(f"{PREFIX}{key}: {error}") from None
        return self

    @cached_property
    def relay(self) -> Relay:
        """Where mail goes, from `smtp_url` and its companions."""
        parts = _split(self.smtp_url.get_secret_value(), tuple(_SECURITY))
        host = _host(parts)
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("must end after host and port")
        security = _SECURITY[parts.scheme]
        return Relay(
            host=host,
            port=parts.port or _PORTS[security],
            security=security,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            ca_file=str(self.smtp_ca_file) if self.smtp_ca_file else None,
            helo=self.smtp_helo,
            pipelining=self.smtp_pipelining,
            chunking=self.smtp_chunking,
            window=self.smtp_window,
            idle=self.smtp_idle,
            mails=self.smtp_mails_per_connection,
            deadlines=Deadlines(self.smtp_connect_timeout, self.smtp_reply_timeout, self.smtp_final_timeout),
        )

    @cached_property
    def mail_from(self) -> Mailbox:
        """The author of every mail: `MAILWORKER_FROM`, or the login of the relay where that is an address."""
        text = self.sender or unquote(_split(self.smtp_url.get_secret_value(), tuple(_SECURITY)).username or "")
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
        return self.mail_from.address != "mailworker@localhost"

    @property
    def limits(self) -> Limits:
        return Limits(mail=self.max_mail_size, recipients=self.max_recipients_size)

    @property
    def retries(self) -> Policy:
        return Policy(delays=self.retry_delays, max_age=self.max_age)

    @property
    def celery_broker_url(self) -> str:
        """What Celery connects to: `broker_url`, or the spool's Redis."""
        url = (self.broker_url or self.redis_url).get_secret_value()
        behind = sentinels(url)
        if behind:
            return behind.broker_url
        if url.startswith("unix://"):  # as kombu writes it
            return "redis+socket://" + url.removeprefix("unix://").replace("?db=", "?virtual_host=")
        return url

    @property
    def celery_sentinels(self) -> Sentinels | None:
        """Where the broker is behind Sentinel: what Celery's URL cannot tell, the master's name and TLS."""
        return sentinels((self.broker_url or self.redis_url).get_secret_value())


def _split(url: str, schemes: tuple[str, ...]) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL; a special character in a password is written as %XX") from None
    if parts.scheme not in schemes:
        raise ValueError("must begin with " + " or ".join(f"{scheme}://" for scheme in schemes))
    if port == 0:
        raise ValueError("the port must be 1 to 65535")
    return parts


def _host(parts: SplitResult) -> str:
    if not parts.hostname:
        raise ValueError("has no host; a special character in a password is written as %XX")
    if not _HOST.fullmatch(parts.hostname):
        raise ValueError("the host holds a character that no host has")
    return parts.hostname


def load() -> Settings:
    """The settings of this process. Raises `SettingsError`."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} - {PREFIX + "SENDER"} | {PREFIX + "FROM"}
    unknown = sorted(key for key in {*os.environ, *_env_file_keys()} if _ours(key) and key.upper() not in known)
    if unknown:
        raise SettingsError(f"{unknown[0]}: there is no such setting")
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(_first_line(error)) from None


def _ours(key: str) -> bool:
    return key.upper().startswith(PREFIX)


def _env_file_keys() -> list[str]:
    from dotenv import dotenv_values  # noqa: PLC0415 - only where there is a file

    try:
        return list(dotenv_values(".env")) if Path(".env").is_file() else []
    except (OSError, ValueError) as error:
        raise SettingsError(f".env: cannot be read: {type(error).__name__}") from None


def _first_line(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return message
    key = str(first["loc"][0]).upper()
    return f"{key if key.startswith(PREFIX) else PREFIX + key}: {message}"
