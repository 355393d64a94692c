"""What each mechanism of AUTH says, by the examples of its specification where that has any."""

from __future__ import annotations

import base64

import pytest

from mailworker.smtp.auth import MECHANISMS, Mechanism, known
from mailworker.smtp.relay import Relay
from mailworker.smtp.token import Tokens

BY_NAME = {one.name: one for one in MECHANISMS}
TOKENS = Tokens(file="/run/token")


def says(name: str, relay: Relay, secret: str, *challenges: str) -> list[str | None]:
    """With AUTH, and to these challenges; as many as it answers."""
    dialogue = BY_NAME[name].dialogue(relay, secret)
    said = [next(dialogue)]
    for challenge in challenges:
        try:
            said.append(dialogue.send(challenge))
        except StopIteration:
            break
    return said


def test_plain_is_said_at_once_and_again_where_it_was_not_read() -> None:
    """RFC 4616, 4."""
    tim = "\0tim\0tanstaaftanstaaf"
    assert says("PLAIN", Relay("h", 25, user="tim"), "tanstaaftanstaaf", "", "") == [tim, tim]


def test_login_is_user_and_password_whatever_is_asked() -> None:
    assert says("LOGIN", Relay("h", 25, user="ü"), "p", "VXNlcm5hbWU6", "not base64", "") == [None, "ü", "p"]


def test_cram_md5_is_the_example_of_its_rfc() -> None:
    """RFC 2195, 2."""
    challenge = base64.b64encode(b"<1896.697170952@postoffice.reston.mci.net>").decode()
    said = says("CRAM-MD5", Relay("h", 25, user="tim"), "tanstaaftanstaaf", challenge, challenge)
    assert said == [None, "tim b913a602c7eda7a495b4e6e7334d3890"]


def test_cram_md5_answers_no_challenge_that_is_none() -> None:
    assert says("CRAM-MD5", Relay("h", 25, user="tim"), "p", "not base64") == [None]


def test_oauthbearer_is_the_example_of_its_rfc() -> None:
    """RFC 7628, 4.1 and 4.3."""
    relay = Relay("server.example.com", 587, user="user@example.com")
    said = says("OAUTHBEARER", relay, "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==", "refused", "")
    assert said == [
        "n,a=user@example.com,\1host=server.example.com\1port=587\1"
        "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1",
        "\1",
    ]


def test_a_comma_in_a_user_is_no_end_of_it() -> None:
    said = says("OAUTHBEARER", Relay("h", 25, user="a=b,c"), "t")
    assert (said[0] or "").startswith("n,a=a=3Db=2Cc,\1")


def test_xoauth2_is_the_example_of_googles_page() -> None:
    said = says("XOAUTH2", Relay("h", 25, user="someuser@example.com"), "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg")
    assert base64.b64encode((said[0] or "").encode()) == (
        b"dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0"
        b"Q2cBAQ=="
    )


@pytest.mark.parametrize(
    ("relay", "secure", "names"),
    [
        (Relay("h", 25, user="u", password="p"), True, ["PLAIN", "LOGIN", "CRAM-MD5"]),
        (Relay("h", 25, user="u", password="p"), False, ["CRAM-MD5", "PLAIN", "LOGIN"]),
        (Relay("h", 25, user="u"), True, ["PLAIN", "LOGIN", "CRAM-MD5"]),
        (Relay("h", 25, user="u", tokens=TOKENS), True, ["XOAUTH2", "OAUTHBEARER"]),
        (
            Relay("h", 25, user="u", password="p", tokens=TOKENS),
            False,
            ["XOAUTH2", "OAUTHBEARER", "CRAM-MD5", "PLAIN", "LOGIN"],
        ),
    ],
)
def test_what_is_tried_first(relay: Relay, secure: bool, names: list[str]) -> None:
    tried: list[Mechanism] = known(relay, secure)
    assert [one.name for one in tried] == names
