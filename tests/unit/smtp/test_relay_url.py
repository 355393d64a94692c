"""A relay's URL and what is set beside it. What is wrong with one is tested with the settings, as people see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailworker.settings import Settings
from mailworker.smtp import relay_url
from mailworker.smtp.relay import Deadlines, Relay, Security
from mailworker.smtp.token import Tokens


@pytest.mark.parametrize(
    ("url", "relay"),
    [
        ("smtp://relay", Relay("relay", 25)),
        ("smtp+starttls://relay", Relay("relay", 587, Security.STARTTLS)),
        ("SMTPS://relay/", Relay("relay", 465, Security.TLS)),
        ("smtp://[::1]:2525", Relay("::1", 2525)),
        ("smtps://u%40x.y:p%2F%C3%BC@relay", Relay("relay", 465, Security.TLS, "u@x.y", "p/ü")),
        ("smtp://u:@relay", Relay("relay", 25, user="u")),
    ],
)
def test_a_url_is_a_relay(url: str, relay: Relay) -> None:
    assert relay_url.read(url) == relay


def test_what_is_set_beside_the_url_is_kept() -> None:
    relay = relay_url.read("smtp://relay", helo="[192.0.2.1]", window=9, deadlines=Deadlines(1, 2, 3))
    assert relay == Relay("relay", 25, helo="[192.0.2.1]", window=9, deadlines=Deadlines(1, 2, 3))


def test_another_relay_is_another_url_and_another_name() -> None:
    relay = relay_url.read("smtps://u:p@other", name="other")
    assert (relay.name, relay.place) == ("other", "other:465")
    assert relay_url.read("smtp://relay").name == "default"


def test_a_relay_has_the_same_defaults_as_the_settings() -> None:
    assert Settings().relays[0] == Relay("127.0.0.1", 25)


@pytest.mark.parametrize(
    "url", ["smtp://u@relay", "smtp://:s3cret@relay", "smtp://u:s3cret@relay/x", "smtp://u:s3cret@"]
)
def test_what_is_wrong_is_said_without_the_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"^\D") as caught:
        relay_url.read(url)
    assert "s3cret" not in str(caught.value)


def test_a_token_stands_for_the_password() -> None:
    url = "smtps://shop%40example.com@relay"
    tokens = relay_url.read_tokens(url, None, "get-token --for 'a shop'")
    assert tokens == Tokens(command=("get-token", "--for", "a shop"))
    assert relay_url.read(url, tokens).tokens is tokens
    assert relay_url.read_tokens(url, Path("/run/token"), "") == Tokens(file="/run/token")
    assert relay_url.read_tokens(url, None, "") is None
