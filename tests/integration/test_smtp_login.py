"""Logging in: one round through what both sides know, and tokens that are renewed. What goes over the wire decides."""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailworker.errors import SmtpError
from mailworker.smtp import login, token
from mailworker.smtp.token import Tokens

from . import smtp_server as behave
from .smtp_client import open_connection, relay_of
from .smtp_server import Misbehaviour, Session, SmtpServer

LOGIN = {"user": "shop@example.com", "password": "pass word"}


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    login._worked.clear()
    token._kept.clear()
    yield
    login._worked.clear()
    token._kept.clear()


def announcing(*lines: str) -> Misbehaviour:
    return behave.raw("".join(f"250-{line}\r\n" for line in ("relay", *lines)).encode() + b"250 SIZE\r\n")


def takes(only: str, code: int = 535, text: str = "5.7.8 no", closes: bool = False) -> Misbehaviour:
    """Takes one mechanism, whatever it is told, and refuses the others."""

    def answer(session: Session, argument: str) -> bytes:
        name, _, initial = argument.partition(" ")
        if name.upper() == "LOGIN" or (name.upper() == "PLAIN" and not initial):
            session._ask(b"Username:")
            if name.upper() == "LOGIN":
                session._ask(b"Password:")
        if name.upper() == only:
            session.user = only
            return b"235 2.7.0 welcome\r\n"
        session.put(f"{code} {text}\r\n".encode())
        if closes:
            behave.close(session, argument)
        return b""

    return answer


def mechanisms(server: SmtpServer) -> list[str]:
    return [line.split()[1] for line in server.commands() if line.startswith("AUTH ")]


@pytest.mark.parametrize(
    "lines",
    [
        ("AUTH PLAIN LOGIN",),
        ("AUTH PLAIN LOGIN", "AUTH=OAUTHBEARER XOAUTH2"),
        ("AUTH=LOGIN", "AUTH PLAIN"),
        ("auth  plain   login ",),
        ("AUTH=PLAIN", "AUTH=LOGIN"),
        ("AUTH LOGIN PLAIN", "AUTH GSSAPI"),
        ("AUTH\tPLAIN LOGIN",),
    ],
)
@pytest.mark.parametrize("code", [500, 501, 502, 504, 530, 534, 535, 538, 550, 553, 554])
def test_what_refuses_plain_and_takes_login_is_logged_in_to(lines: tuple[str, ...], code: int) -> None:
    with SmtpServer({"EHLO": announcing(*lines), "AUTH": takes("LOGIN", code)}) as server:
        open_connection(relay_of(server, **LOGIN)).close()
        assert mechanisms(server) == ["PLAIN", "LOGIN"]
        assert server.connections == 1
        open_connection(relay_of(server, **LOGIN)).close()
        assert mechanisms(server) == ["PLAIN", "LOGIN", "LOGIN"]  # what worked goes first


def test_a_relay_that_closes_after_a_refusal_gets_the_rest_over_another_connection() -> None:
    script = {"EHLO": announcing("AUTH PLAIN LOGIN CRAM-MD5"), "AUTH": takes("LOGIN", closes=True)}
    with SmtpServer(script) as server:
        open_connection(relay_of(server, **LOGIN)).close()
        assert sorted(mechanisms(server)[:-1]) == ["CRAM-MD5", "PLAIN"]
        assert server.connections == 3


@pytest.mark.parametrize("closes", [False, True])
def test_a_wrong_password_is_said_once_with_each_mechanism(closes: bool) -> None:
    script = {"EHLO": announcing("AUTH PLAIN LOGIN CRAM-MD5"), "AUTH": takes("NONE", closes=closes)}
    with SmtpServer(script) as server:
        with pytest.raises(SmtpError) as caught:
            open_connection(relay_of(server, **LOGIN))
        assert sorted(mechanisms(server)) == ["CRAM-MD5", "LOGIN", "PLAIN"]
    assert (caught.value.code, caught.value.configuration) == (535, True)
    for name in ("PLAIN", "LOGIN", "CRAM-MD5"):
        assert f"{name}: 535 5.7.8 no" in caught.value.text
    assert "pass word" not in f"{caught.value!r}"


@pytest.mark.parametrize("text", ["5.7.8 account is locked", "too many failed attempts", "5.7.139 disabled"])
def test_a_locked_account_is_left_alone(text: str) -> None:
    script = {"EHLO": announcing("AUTH PLAIN LOGIN CRAM-MD5"), "AUTH": takes("LOGIN", text=text)}
    with SmtpServer(script) as server:
        with pytest.raises(SmtpError) as caught:
            open_connection(relay_of(server, **LOGIN))
        assert len(mechanisms(server)) == 1
    assert caught.value.configuration


@pytest.mark.parametrize("code", [421, 432, 454])
def test_a_login_that_is_put_off_is_not_tried_otherwise(code: int) -> None:
    script = {"EHLO": announcing("AUTH PLAIN LOGIN"), "AUTH": behave.answer(code)}
    with SmtpServer(script) as server:
        with pytest.raises(SmtpError) as caught:
            open_connection(relay_of(server, **LOGIN))
        assert len(mechanisms(server)) == 1
    assert (caught.value.code, caught.value.configuration) == (code, False)


def test_challenges_that_nobody_expects_are_cancelled() -> None:
    def strange(session: Session, argument: str) -> bytes:
        name = argument.split(maxsplit=1)[0]
        if name == "CRAM-MD5":
            session.put(b"334 this is no base64\r\n")
            assert session._line() == b"*"
            return b"501 cancelled\r\n"
        if name == "PLAIN":  # does not take the initial response, and then asks again
            session.put(b"334 \r\n")
            assert base64.b64decode(session._line()).endswith(b"pass word")
            session.put(b"334 more\r\n")
            assert session._line() == b"*"
            return b"501 cancelled\r\n"
        session.put(b"334 name?\r\n")
        session._line()
        session.put(b"334 \r\n")
        session._line()
        return b"235 hello\r\n"

    with SmtpServer({"EHLO": announcing("AUTH CRAM-MD5 PLAIN LOGIN"), "AUTH": strange}) as server:
        open_connection(relay_of(server, **LOGIN)).close()
        assert mechanisms(server) == ["CRAM-MD5", "PLAIN", "LOGIN"]


def test_somebody_who_is_logged_in_already_is() -> None:
    script = {"EHLO": announcing("AUTH PLAIN"), "AUTH": behave.answer(503, "5.5.1 already authenticated")}
    with SmtpServer(script) as server:
        open_connection(relay_of(server, **LOGIN)).close()


# Tokens.


def bearer(good: str) -> Misbehaviour:
    def answer(session: Session, argument: str) -> bytes:
        name, _, initial = argument.partition(" ")
        said = base64.b64decode(initial).decode()
        if f"auth=Bearer {good}\1\1" in said:
            assert ("user=shop@example.com" if name == "XOAUTH2" else "n,a=shop@example.com,") in said
            session.user = "shop"
            return b"235 2.7.0 welcome\r\n"
        challenge = json.dumps({"status": "401", "schemes": "bearer", "scope": "x"}).encode()
        session.put(b"334 " + base64.b64encode(challenge) + b"\r\n")
        assert session._line() == (b"" if name == "XOAUTH2" else b"AQ==")
        return b"535 5.7.3 no\r\n"

    return answer


def jwt(ends: float) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps({'exp': ends}).encode()).decode().rstrip('=')}.x"


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("form", ["{token}\n", '{{"access_token": "{token}", "expires_in": 3600}}'])
def test_a_token_from_a_file_is_read_again_at_each_login(tmp_path: Path, mechanism: str, form: str) -> None:
    path = tmp_path / "token"
    script = {"EHLO": announcing(f"AUTH LOGIN {mechanism}"), "AUTH": bearer("second")}
    with SmtpServer(script) as server:
        relay = relay_of(server, user=LOGIN["user"], tokens=Tokens(file=str(path)))
        path.write_text(form.format(token="first"))
        with pytest.raises(SmtpError) as caught:
            open_connection(relay)
        assert (caught.value.code, caught.value.configuration) == (535, True)
        assert "first" not in f"{caught.value!r} {relay!r}"
        assert "401" in caught.value.text
        path.write_text(form.format(token="second"))
        open_connection(relay).close()


def test_a_token_from_a_command_is_kept_until_shortly_before_its_end_and_renewed_once_when_refused(
    tmp_path: Path,
) -> None:
    count = tmp_path / "count"
    program = f"import json; open({str(count)!r}, 'a').write('x'); n = len(open({str(count)!r}).read());"
    program += "print(json.dumps({'access_token': f't{n}', 'expires_in': 3600 if n != 3 else 60}))"
    tokens = Tokens(command=(sys.executable, "-c", program))
    script = {"EHLO": announcing("AUTH XOAUTH2"), "AUTH": bearer("t1")}
    with SmtpServer(script) as server:
        relay = relay_of(server, user=LOGIN["user"], tokens=tokens)
        open_connection(relay).close()
        open_connection(relay).close()
        assert count.read_text() == "x"
        server.script["AUTH"] = bearer("t2")
        open_connection(relay).close()
        assert count.read_text() == "xx"
        server.script["AUTH"] = bearer("never")
        with pytest.raises(SmtpError):
            open_connection(relay)
        assert count.read_text() == "xxxx"  # t3 had a minute left, so that it was renewed at once
        server.script["AUTH"] = bearer("t4")
        open_connection(relay).close()
        assert count.read_text() == "xxxx"


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (Tokens(file="/nowhere/token"), "MAILWORKER_SMTP_TOKEN_FILE: No such file"),
        (Tokens(command=("/nowhere/token",)), "MAILWORKER_SMTP_TOKEN_COMMAND: No such file"),
        (Tokens(command=("false",)), "ended with status 1"),
        (Tokens(command=("true",)), "not a token"),
        (Tokens(command=("echo", "two words")), "not a token"),
        (Tokens(command=("echo", '{"error": "invalid_client"}')), "not a token"),
        (Tokens(command=("sleep", "9"), seconds=0.1), "did not end"),
        (Tokens(command=("echo", jwt(time.time() - 5))), "has ended"),
    ],
)
def test_a_token_that_cannot_be_had_says_why(tokens: Tokens, text: str) -> None:
    with SmtpServer({"EHLO": announcing("AUTH XOAUTH2")}) as server:
        with pytest.raises(SmtpError) as caught:
            open_connection(relay_of(server, user="shop", tokens=tokens))
        assert mechanisms(server) == []
    assert text in caught.value.text
    assert caught.value.configuration is ("did not end" not in text)


def test_a_relay_without_tokens_says_what_it_offers() -> None:
    with SmtpServer({"EHLO": announcing("AUTH PLAIN LOGIN")}) as server, pytest.raises(SmtpError) as caught:
        open_connection(relay_of(server, user="shop", tokens=Tokens(file=os.devnull)))
    assert "the relay offers PLAIN LOGIN, and not XOAUTH2, OAUTHBEARER" in caught.value.text
