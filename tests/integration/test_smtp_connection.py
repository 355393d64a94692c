"""Opening a connection: what a relay may do at each step, and what it must not get away with."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from mailworker.errors import SmtpError
from mailworker.smtp import opening
from mailworker.smtp.relay import Deadlines, Security

from . import smtp_server as behave
from .certificates import CA, server_context
from .smtp_client import mail, open_connection, relay_of, send, until
from .smtp_server import Misbehaviour, Session, SmtpServer, answer, without

SHORT = Deadlines(connect=0.4, reply=0.4, final=0.4)
USERS = {"mélanie": "pass wörd\N{SNOWMAN}"}
LOGIN = {"user": "mélanie", "password": USERS["mélanie"]}


def refused(server: SmtpServer, **values: object) -> SmtpError:
    with pytest.raises(SmtpError) as caught:
        open_connection(relay_of(server, **values))
    return caught.value


def took(action: Callable[[], object]) -> float:
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


# Greeting and EHLO.


def test_a_warm_connection_carries_one_mail_after_another() -> None:
    with SmtpServer() as server, closing(open_connection(relay_of(server))) as connection:
        for number in range(5):
            assert send(connection, [mail(f"m{number}")]).codes == {f"m{number}": 250}
            assert connection.reusable()
        assert server.connections == 1
        assert sum(line.startswith("RSET") for line in server.commands()) == 1  # behind the chunk that is refused


def test_a_relay_without_ehlo_is_greeted_with_helo() -> None:
    with SmtpServer({"EHLO": answer(502)}) as server, closing(open_connection(relay_of(server))) as connection:
        assert connection.extensions == {}
        assert send(connection, [mail("a")]).codes == {"a": 250}
        assert [line.split()[0] for line in server.commands()] == ["EHLO", "HELO", "MAIL", "RCPT", "DATA"]
        assert "SIZE" not in server.mails[0].parameters


def test_it_says_its_address_unless_a_name_is_set() -> None:
    with SmtpServer() as server:
        open_connection(relay_of(server)).close()
        open_connection(relay_of(server, helo="mail.example.com")).close()
        until(lambda: len(server.commands()) == 4)
        assert [line for line in server.commands() if line != "QUIT"] == ["EHLO [127.0.0.1]", "EHLO mail.example.com"]


@pytest.mark.parametrize("code", [421, 450, 554])
@pytest.mark.parametrize("step", ["greeting", "EHLO"])
def test_a_refusal_at_the_door_carries_its_code(step: str, code: int) -> None:
    with SmtpServer({step: answer(code, "no")}) as server:
        error = refused(server)
    assert (error.phase, error.code, error.text, error.configuration) == (step, code, "no", False)


@pytest.mark.parametrize("step", ["connect", "greeting", "EHLO"])
@pytest.mark.parametrize("way", [behave.close, behave.reset])
def test_a_connection_that_is_closed_at_the_door_is_an_error_without_a_code(step: str, way: Misbehaviour) -> None:
    with SmtpServer({step: way}) as server:
        error = refused(server)
    assert error.code == 0
    assert "closed" in error.text
    assert not error.configuration


@pytest.mark.parametrize(
    "octets", [b"\x16\x03\x01\r\n", b"hello\r\n", b"99 low\r\n", b"600 high\r\n", b"2200 long\r\n"]
)
def test_what_is_not_smtp_is_refused(octets: bytes) -> None:
    with SmtpServer({"greeting": behave.raw(octets)}) as server:
        assert refused(server).text == "what the relay answered is not an SMTP reply"


@pytest.mark.parametrize("line", [b"220-and so on\r\n", b"x" * 1000])
def test_an_endless_greeting_ends_at_its_limit_and_not_in_memory(line: bytes) -> None:
    with SmtpServer({"greeting": behave.endless(line)}) as server:
        assert refused(server).code == 0


def test_nobody_there_is_an_error_of_connecting() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        server = SmtpServer()
        server.close()
        error = refused(server)
    assert (error.phase, error.code) == ("connect", 0)
    assert "refused" in error.text


def test_all_addresses_of_a_relay_share_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as full:  # a queue of one that is full: the next connect hangs as behind a dead router
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        entry = (socket.AF_INET, socket.SOCK_STREAM, 0, "", address)
        monkeypatch.setattr(opening.socket, "getaddrinfo", lambda *a, **k: [entry] * 4)
        with SmtpServer() as server:
            seconds = took(lambda: refused(server, deadlines=SHORT))
        for filler in fillers:
            filler.close()
    assert 0.4 <= seconds < 1


# Deadlines: each reply as a whole.


@pytest.mark.parametrize("step", ["connect", "greeting", "EHLO", "HELO", "STARTTLS", "AUTH"])
def test_silence_ends_at_the_deadline(step: str) -> None:
    script = {step: behave.hang} | ({"EHLO": answer(500)} if step == "HELO" else {})
    with SmtpServer(script, tls=server_context("good"), users=USERS) as server:
        security = Security.STARTTLS if step == "STARTTLS" else Security.CLEAR
        seconds = took(lambda: refused(server, deadlines=SHORT, security=security, ca_file=CA, **LOGIN))
    assert 0.4 <= seconds < 1.5


@pytest.mark.parametrize("step", ["greeting", "EHLO", "STARTTLS", "AUTH"])
def test_an_octet_at_a_time_ends_at_the_deadline_of_the_whole_reply(step: str) -> None:
    script = {step: behave.drip(b"250-" + b"x" * 100 + b"\r\n", 0.05)}
    with SmtpServer(script, tls=server_context("good"), users=USERS) as server:
        security = Security.STARTTLS if step == "STARTTLS" else Security.CLEAR
        seconds = took(lambda: refused(server, deadlines=SHORT, security=security, ca_file=CA, **LOGIN))
    assert 0.4 <= seconds < 1.5


def test_a_hand_shake_that_hangs_ends_at_the_deadline() -> None:
    with SmtpServer({"connect": behave.hang}) as server:
        begun = time.monotonic()
        error = refused(server, security=Security.TLS, ca_file=CA, deadlines=SHORT)
    assert (error.phase, error.code, error.configuration) == ("TLS", 0, False)
    assert time.monotonic() - begun < 1.5


# TLS.


@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS])
def test_mail_goes_through_verified_tls(security: Security) -> None:
    implicit = security is Security.TLS
    with SmtpServer(tls=server_context("good"), implicit_tls=implicit) as server:
        with closing(open_connection(relay_of(server, security=security, ca_file=CA))) as connection:
            assert connection.secure
            assert not connection.replies.stale()
            journal = send(connection, [mail(f"m{number}") for number in range(20)])
            assert connection.reusable()
        assert set(journal.codes.values()) == {250}
        assert len(server.mails) == 20
        assert all(session.secure for session in server.sessions)


@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS])
@pytest.mark.parametrize(
    ("name", "ca_file", "problem"),
    [("good", None, "issuer"), ("other-host", CA, "not valid for"), ("expired", CA, "expired")],
)
def test_a_bad_certificate_is_a_matter_of_configuration(
    security: Security, name: str, ca_file: str | None, problem: str
) -> None:
    with SmtpServer(tls=server_context(name), implicit_tls=security is Security.TLS) as server:
        error = refused(server, security=security, ca_file=ca_file, **LOGIN)
        assert not any("AUTH" in line or "MAIL" in line for line in server.commands())
    assert (error.phase, error.code, error.configuration) == ("TLS", 0, True)
    assert problem in error.text


def test_a_host_name_is_verified_too() -> None:
    with SmtpServer(tls=server_context("good"), implicit_tls=True) as server:
        open_connection(relay_of(server, host="localhost", security=Security.TLS, ca_file=CA)).close()


def test_a_ca_file_that_is_not_there_is_a_matter_of_configuration() -> None:
    with SmtpServer(tls=server_context("good"), implicit_tls=True) as server:
        error = refused(server, security=Security.TLS, ca_file="/nowhere/ca.pem")
    assert error.configuration
    assert "CA file" in error.text


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_a_relay_that_speaks_old_tls_only_is_refused() -> None:
    context = server_context("good")
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with SmtpServer(tls=context, implicit_tls=True) as server:
        assert refused(server, security=Security.TLS, ca_file=CA).phase == "TLS"


def test_no_password_and_no_mail_in_clear_text_where_starttls_was_stripped() -> None:
    with SmtpServer(users=USERS) as server:
        error = refused(server, security=Security.STARTTLS, ca_file=CA, **LOGIN)
        assert [line.split()[0] for line in server.commands()] == ["EHLO"]
    assert (error.phase, error.configuration) == ("STARTTLS", True)


def test_no_fall_back_to_clear_text_where_the_relay_knows_only_helo() -> None:
    with SmtpServer({"EHLO": answer(502)}, tls=server_context("good")) as server:
        assert refused(server, security=Security.STARTTLS, ca_file=CA).configuration


@pytest.mark.parametrize(("code", "configuration"), [(454, False), (421, False), (501, True), (554, True)])
def test_refused_starttls_never_falls_back(code: int, configuration: bool) -> None:
    with SmtpServer({"STARTTLS": answer(code)}, tls=server_context("good")) as server:
        error = refused(server, security=Security.STARTTLS, ca_file=CA)
        assert not any(line.startswith(("MAIL", "AUTH")) for line in server.commands())
    assert (error.phase, error.code, error.configuration) == ("STARTTLS", code, configuration)


def test_what_was_said_in_clear_text_does_not_count_inside_tls() -> None:
    """CVE-2021-38371 and its like: an attacker adds the answer to EHLO before the hand-shake."""

    def inject(session: Session, argument: str) -> bytes:
        session.put(b"220 go ahead\r\n250-injected\r\n250 AUTH PLAIN\r\n")
        session.wrap()
        return b""

    with (
        SmtpServer({"STARTTLS": inject}, tls=server_context("good"), extensions=without("SIZE")) as server,
        closing(open_connection(relay_of(server, security=Security.STARTTLS, ca_file=CA))) as connection,
    ):
        assert not connection.has("AUTH")
        assert connection.has("PIPELINING")
        assert send(connection, [mail("a")]).codes == {"a": 250}


def test_what_was_announced_in_clear_text_is_forgotten_inside_tls() -> None:
    """An EHLO that an attacker wrote must not decide the mechanism."""
    lines = b"250-relay\r\n250-AUTH CRAM-MD5\r\n250-BOGUS\r\n250 STARTTLS\r\n"
    with (
        SmtpServer({"EHLO": behave.at(1, behave.raw(lines))}, tls=server_context("good")) as server,
        closing(open_connection(relay_of(server, security=Security.STARTTLS, ca_file=CA))) as connection,
    ):
        assert not connection.has("AUTH")
        assert not connection.has("BOGUS")


# Logging in.


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
@pytest.mark.parametrize("security", [Security.CLEAR, Security.TLS])
def test_each_mechanism_logs_in(mechanism: str, security: Security) -> None:
    tls = {"tls": server_context("good"), "implicit_tls": True} if security is Security.TLS else {}
    with (
        SmtpServer(users=USERS, mechanisms=mechanism, **tls) as server,
        closing(open_connection(relay_of(server, security=security, ca_file=CA, **LOGIN))) as connection,
    ):
        assert send(connection, [mail("a")]).codes == {"a": 250}
        assert server.sessions[0].user == "mélanie"


@pytest.mark.parametrize(("security", "expected"), [(Security.CLEAR, "AUTH CRAM-MD5"), (Security.TLS, "AUTH PLAIN")])
def test_the_password_is_shown_inside_tls_only_where_there_is_a_choice(security: Security, expected: str) -> None:
    tls = {"tls": server_context("good"), "implicit_tls": True} if security is Security.TLS else {}
    with SmtpServer(users=USERS, **tls) as server:
        open_connection(relay_of(server, security=security, ca_file=CA, **LOGIN)).close()
        assert server.commands()[1].startswith(expected)


def test_the_old_way_to_announce_mechanisms_is_understood() -> None:
    lines = b"250-relay\r\n250-AUTH=LOGIN\r\n250 SIZE 1000\r\n"
    with SmtpServer({"EHLO": behave.raw(lines)}, users=USERS) as server:
        open_connection(relay_of(server, **LOGIN)).close()
        assert server.sessions[0].user == "mélanie"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_a_wrong_password_is_a_matter_of_configuration(mechanism: str) -> None:
    with SmtpServer(users=USERS, mechanisms=mechanism) as server:
        error = refused(server, user="mélanie", password="wrong-secret")
    assert (error.phase, error.code, error.configuration) == ("AUTH", 535, True)
    assert "wrong-secret" not in f"{error!r} {error}"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
@pytest.mark.parametrize("code", [421, 454])
def test_a_login_that_is_refused_for_now_is_not(mechanism: str, code: int) -> None:
    with SmtpServer({"AUTH": answer(code)}, users=USERS, mechanisms=mechanism) as server:
        error = refused(server, **LOGIN)
    assert (error.phase, error.code, error.configuration) == ("AUTH", code, False)


def test_no_common_mechanism_is_a_matter_of_configuration() -> None:
    with SmtpServer(users=USERS, mechanisms="XOAUTH2 GSSAPI") as server:
        error = refused(server, **LOGIN)
    assert (error.phase, error.code, error.configuration) == ("AUTH", 0, True)


def test_a_challenge_that_is_not_base64_is_an_error() -> None:
    with SmtpServer({"AUTH": behave.raw(b"334 ???\r\n")}, users=USERS, mechanisms="CRAM-MD5") as server:
        assert refused(server, **LOGIN).phase == "AUTH"


# Warmth.


def test_a_connection_that_the_relay_closed_while_idle_is_not_reused() -> None:
    with SmtpServer() as server, closing(open_connection(relay_of(server))) as connection:
        assert connection.reusable()
        server.sessions[0].end()
        until(lambda: not connection.reusable())


def test_a_connection_on_which_the_relay_said_something_unasked_is_not_reused() -> None:
    with SmtpServer() as server, closing(open_connection(relay_of(server))) as connection:
        server.sessions[0].sock.sendall(b"421 idle for too long\r\n")
        until(lambda: not connection.reusable())


def test_a_connection_is_not_reused_after_its_mails_or_when_idle_for_long() -> None:
    with SmtpServer() as server:
        with closing(open_connection(relay_of(server, mails=2))) as connection:
            journal = send(connection, [mail("a"), mail("b"), mail("c")])
            assert list(journal.verdicts) == ["a", "b"]
            assert [item.id for item in journal.todo] == ["c"]
            assert not connection.reusable()
        with closing(open_connection(relay_of(server, idle=0))) as connection:
            assert not connection.reusable()


def test_closing_says_quit_and_does_not_wait() -> None:
    with SmtpServer({"QUIT": behave.hang}) as server:
        connection = open_connection(relay_of(server))
        assert took(connection.close) < 0.5
        until(lambda: server.commands()[-1] == "QUIT")
