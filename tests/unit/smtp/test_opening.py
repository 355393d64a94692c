"""The steps between a TCP connection and the login, and what a relay announces on the way."""

from __future__ import annotations

import pytest

from mailworker.smtp import opening
from mailworker.smtp.opening import announced
from mailworker.smtp.relay import Security


@pytest.mark.parametrize(
    ("security", "steps"),
    [
        (Security.CLEAR, ["greeting", "hello"]),
        (Security.STARTTLS, ["greeting", "hello", "starttls", "tls", "hello"]),
        (Security.TLS, ["tls", "greeting", "hello"]),
    ],
)
def test_the_steps_have_an_order(security: Security, steps: list[str]) -> None:
    assert [step.__name__.strip("_") for step in opening._STEPS[security]] == steps


@pytest.mark.parametrize(
    ("text", "extensions"),
    [
        ("relay", {}),
        ("relay\nPIPELINING\nsize 1000\n8bitmime", {"PIPELINING": "", "SIZE": "1000", "8BITMIME": ""}),
        ("relay\nAUTH PLAIN LOGIN", {"AUTH": "PLAIN LOGIN"}),
        ("relay\nAUTH=LOGIN\nAUTH PLAIN", {"AUTH": "LOGIN PLAIN"}),
        ("relay\nAUTH=PLAIN LOGIN\nAUTH=XOAUTH2", {"AUTH": "PLAIN LOGIN XOAUTH2"}),
        ("relay\n  auth\tPLAIN  ", {"AUTH": "PLAIN"}),
    ],
)
def test_what_is_announced_is_keywords_and_their_parameters(text: str, extensions: dict[str, str]) -> None:
    assert announced(text) == extensions
