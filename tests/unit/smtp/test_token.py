"""What a token endpoint, a file or a program may give, and until when it is good."""

from __future__ import annotations

import base64
import json

import pytest

from mailworker.smtp import token

NEVER = float("inf")


def jwt(ends: object) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps({'exp': ends}).encode()).decode().rstrip('=')}.x"


def test_the_end_of_a_jwt_is_known() -> None:
    assert token._parse(jwt(1000.0), 0).ends == 1000
    assert token._parse("opaque", 0).ends == float("inf")
    assert token._parse("a.b.c", 0).ends == float("inf")


@pytest.mark.parametrize(
    ("text", "expected", "ends"),
    [
        (" t0ken \n", "t0ken", NEVER),
        ('{"access_token": "t0ken"}', "t0ken", NEVER),
        ('{"access_token": "t0ken", "expires_in": 60}', "t0ken", 160),
        ('{"access_token": "t0ken", "expires_in": "60"}', "t0ken", 160),
        (json.dumps({"access_token": jwt(130), "expires_in": 60}), jwt(130), 130),
        (json.dumps({"access_token": jwt(190), "expires_in": 60}), jwt(190), 160),
        (jwt("soon"), jwt("soon"), NEVER),
        ('{"error": "invalid_client"}', "", NEVER),
        ('{"access_token": "t", "expires_in": null}', "", NEVER),
        ("{", "", NEVER),
        ("", "", NEVER),
    ],
)
def test_a_token_alone_or_as_an_endpoint_answers(text: str, expected: str, ends: float) -> None:
    found = token._parse(text, 100)
    assert (found.text, found.ends) == (expected, ends)


def test_no_repr_shows_a_token() -> None:
    assert "t0ken" not in repr(token._parse("t0ken", 0))
