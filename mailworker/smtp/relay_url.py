"""A relay's URL, as `smtps://user:password@host:465`, and what is set beside it: read into a `Relay`.

Pure. What is wrong is a `ValueError` whose text may be shown: no user, no password is in it.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Final, TypedDict, Unpack
from urllib.parse import SplitResult, unquote

from ..urls import host_of, split
from .relay import Deadlines, Relay, Security
from .token import Tokens

_SCHEMES: Final = tuple(security.value for security in Security)
_PORTS: Final = {Security.CLEAR: 25, Security.STARTTLS: 587, Security.TLS: 465}
_HELO: Final = re.compile(r"[A-Za-z0-9.:\[\]-]*")


class Beside(TypedDict, total=False):
    """What `Relay` holds and no URL does."""

    name: str
    ca_file: str | None
    helo: str
    pipelining: bool
    chunking: bool
    window: int
    idle: float
    mails: int
    deadlines: Deadlines


def read(url: str, tokens: Tokens | None = None, **beside: Unpack[Beside]) -> Relay:
    """The relay at this URL; `tokens` are its login where the URL has no password."""
    parts = split_url(url)
    host = host_of(parts)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must end after host and port")
    if parts.password and not parts.username:
        raise ValueError("has a password and no user")
    if parts.username and parts.password is None and tokens is None:
        raise ValueError("has a user and no password; where it is empty, write user:@host")
    security = Security(parts.scheme)
    return Relay(
        host=host,
        port=parts.port or _PORTS[security],
        security=security,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tokens=tokens,
        **beside,
    )


def read_tokens(url: str, file: Path | None, command: str) -> Tokens | None:
    """Where tokens for the login at this URL come from, if it is with tokens."""
    try:
        words = tuple(shlex.split(command))
    except ValueError:
        raise ValueError("has a quote that does not close") from None
    if not command and file is None:
        return None
    if words and file is not None:
        raise ValueError("either this or MAILWORKER_SMTP_TOKEN_FILE, and not both")
    if not split_url(url).username:
        raise ValueError("a token needs a user in MAILWORKER_SMTP_URL, as smtp+starttls://user%40example.com@host")
    return Tokens(str(file or ""), words)


def split_url(url: str) -> SplitResult:
    """Its parts. The scheme is one of a relay's, the port one of those that there are; the rest is not looked at."""
    return split(url, _SCHEMES)


def helo(name: str) -> str:
    """The name with which we greet."""
    if not _HELO.fullmatch(name):
        raise ValueError("must be a host name, or an address as [192.0.2.1]: no blank, no other character")
    return name
