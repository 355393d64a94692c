"""A URL of a setting in its parts, or a `ValueError` that says what is wrong with it and shows nothing of it.

What is wrong with most is a character of the password: it is named where it can be told.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

from .quantities import did_you_mean

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST: Final = re.compile(r"[A-Za-z0-9._:%-]+")
_OPTIONS: Final = re.compile(r"(?:[^/?#@]*@)?[^/?#@]+/[0-9]*\?")  # an @ behind these is none of the login's
_HOW: Final = "a special character in a password is written as %XX"
_BY_OTHER_NAMES: Final = {"ssl": "tls", "tcp": "redis", "sentinel": "redis+sentinel"}
"""Schemes of other programs, phpredis's among them."""

_HIGHEST_PORT: Final = 65_535


def split(url: str, schemes: tuple[str, ...]) -> SplitResult:
    """The parts of `url`, whose scheme is one of `schemes`, in lower case. The host may be missing: see `host_of`."""
    scheme = scheme_of(url, schemes)
    if scheme != "unix":
        check_login(url)
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise ValueError(f"is not a URL; {_HOW}") from None
    _check_port(parts, host)
    return parts


def scheme_of(url: str, schemes: tuple[str, ...]) -> str:
    """The scheme in lower case."""
    match = _SCHEME.match(url)
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)
    if match is None:
        raise ValueError(f"is not a URL; must begin with {wanted}")
    if match[1].lower() not in schemes:
        word = _BY_OTHER_NAMES.get(match[1].lower(), match[1].lower())
        meant = next((scheme for scheme in schemes if scheme in ("smtps", "rediss")), word) if word == "tls" else word
        raise ValueError(f"must begin with {wanted}{did_you_mean(meant, schemes, '{}://')}")
    return match[1].lower()


def host_of(parts: SplitResult) -> str:
    """The host. Raises `ValueError` where there is none."""
    if not parts.hostname:
        raise ValueError(f"has no host; {_HOW}")
    if not _HOST.fullmatch(parts.hostname):
        raise ValueError(f"the host holds a character that no host has; {_HOW}")
    return parts.hostname


def check_login(url: str) -> None:
    """Raises `ValueError` where an @ behind a slash, say, shows that user or password hold the slash."""
    rest = url.partition("://")[2]
    if _OPTIONS.match(rest):
        rest = rest.partition("?")[0]
    login, at, _ = rest.rpartition("@")
    for mark in login if at else "":
        if mark in "/?#[]\\" or mark.isspace() or not mark.isprintable():
            name = "a blank" if mark == " " else f"a {mark}" if mark.isprintable() else "a control character"
            raise ValueError(f"{name} in the user's name or the password is written as {quote(mark, safe='')}")
    if any(character.isspace() or not character.isprintable() for character in rest):
        raise ValueError("holds a blank or a control character")


def _check_port(parts: SplitResult, host: str | None) -> None:
    netloc = parts.netloc.rpartition("@")[2]
    port = netloc.rpartition("]")[2].rpartition(":")[2] if ":" in netloc.rpartition("]")[2] else ""
    if not port or host is None:
        return
    if not (port.isascii() and port.isdigit()):
        raise ValueError(
            f"the port is not a number; without an @ before the host, what looks like one is a password; {_HOW}"
        )
    if not 0 < int(port[-9:]) <= _HIGHEST_PORT or len(port) > len("65535"):
        raise ValueError(f"the port must be 1 to {_HIGHEST_PORT}")
