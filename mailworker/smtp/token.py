"""OAuth 2 tokens for the login: from a file, or from a command. No token is ever part of an error or a repr."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..errors import SmtpError

EARLY: Final = 120
"""Seconds before its end at which a token is renewed."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Where tokens come from: a file's path, or a command's words."""

    file: str = ""
    command: tuple[str, ...] = ()
    seconds: float = 30
    """For the command."""

    def get(self, renew: bool = False) -> str:
        """A token that is good by its own date. With `renew` not the one that was refused, if that can be helped.

        Raises `SmtpError`.
        """
        if self.file:
            return _usable(_read(self.file), "MAILWORKER_SMTP_TOKEN_FILE").text
        known = _kept.get(self.command)
        if known is None or renew or time.time() > known.ends - EARLY:
            known = _usable(_run(self), "MAILWORKER_SMTP_TOKEN_COMMAND")
            _kept[self.command] = known
        return known.text


@dataclass(frozen=True, slots=True, repr=False)
class _Token:
    text: str
    ends: float


_kept: dict[tuple[str, ...], _Token] = {}


def _usable(token: _Token, setting: str) -> _Token:
    if not token.text or any(not "!" <= letter <= "~" for letter in token.text):
        raise SmtpError("AUTH", 0, f"{setting}: what it gives is not a token", configuration=True)
    if token.ends <= time.time():
        raise SmtpError("AUTH", 0, f"{setting}: the token has ended; renew it", configuration=True)
    return token


def _read(path: str) -> _Token:
    try:
        text = Path(path).read_text(encoding="utf-8")
        return _parse(text, Path(path).stat().st_mtime)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise SmtpError("AUTH", 0, f"MAILWORKER_SMTP_TOKEN_FILE: {why}", configuration=True) from None


def _run(source: Tokens) -> _Token:
    setting = "MAILWORKER_SMTP_TOKEN_COMMAND"
    try:
        done = subprocess.run(
            source.command, stdin=subprocess.DEVNULL, capture_output=True, timeout=source.seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise SmtpError("AUTH", 0, f"{setting}: did not end in {source.seconds:.0f} s") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "cannot be run"
        raise SmtpError("AUTH", 0, f"{setting}: {why}", configuration=True) from None
    if done.returncode:
        raise SmtpError("AUTH", 0, f"{setting}: ended with status {done.returncode}", configuration=True)
    return _parse(done.stdout.decode("utf-8", "replace"), time.time())


def _parse(text: str, since: float) -> _Token:
    """A token alone, or JSON as a token endpoint answers (RFC 6749, 5.1). `since` is when it was made."""
    text = text.strip()
    ends = float("inf")
    if text.startswith("{"):
        try:
            answer: Any = json.loads(text)
            text = str(answer["access_token"]).strip()
            if "expires_in" in answer:
                ends = since + float(answer["expires_in"])
        except (ValueError, KeyError, TypeError):
            return _Token("", ends)
    return _Token(text, min(ends, _end_of(text)))


def _end_of(token: str) -> float:
    """The end that a JWT tells itself (RFC 7519, 4.1.4). Other tokens are opaque."""
    parts = token.split(".")
    if len(parts) != 3:
        return float("inf")
    try:
        claims: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return float(claims["exp"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
