"""Reaching the relay: several addresses, and TLS that fails says why and what to write instead."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailworker.errors import SmtpError
from mailworker.smtp import dial, opening
from mailworker.smtp.relay import Deadlines, Relay, Security

from . import smtp_server as behave
from .certificates import CA, server_context
from .smtp_client import mail, open_connection, relay_of, send
from .smtp_server import SmtpServer

QUICK = Deadlines(connect=5, reply=2, final=2)


def refused(relay: Relay) -> SmtpError:
    with pytest.raises(SmtpError) as caught:
        open_connection(relay)
    return caught.value


# Addresses.


@pytest.fixture
def deaf() -> Iterator[tuple[str, int]]:
    """An address whose queue is full: a connection to it hangs, as behind a dead router."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address: tuple[str, int] = full.getsockname()
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        yield address
        for filler in fillers:
            filler.close()


def resolve(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[object, ...]) -> None:
    dial._worked.clear()
    entries = [
        (socket.AF_INET6 if ":" in str(address[0]) else socket.AF_INET, socket.SOCK_STREAM, 0, "", address)
        for address in addresses
    ]
    monkeypatch.setattr(dial.socket, "getaddrinfo", lambda *a, **k: list(entries))


def test_a_dead_first_address_costs_half_a_second_once(deaf: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    with SmtpServer() as server:
        resolve(monkeypatch, deaf, ("127.0.0.1", server.port))
        for longest in (2.0, dial.SHARE / 2):
            begun = time.monotonic()
            with_mail = open_connection(relay_of(server, host="relay.test"))
            assert time.monotonic() - begun < longest
            assert send(with_mail, [mail("a")]).codes == {"a": 250}
            with_mail.close()


def test_an_address_without_a_route_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with SmtpServer() as server:
        resolve(monkeypatch, ("100::1", server.port, 0, 0), ("127.0.0.1", server.port))
        begun = time.monotonic()
        open_connection(relay_of(server, host="relay.test")).close()
        assert time.monotonic() - begun < dial.SHARE * 2


def test_what_worked_and_died_gives_way_to_what_works(deaf: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    with SmtpServer() as server:
        resolve(monkeypatch, deaf, ("127.0.0.1", server.port))
        dial._worked["relay.test", server.port] = deaf
        open_connection(relay_of(server, host="relay.test")).close()
        assert dial._worked["relay.test", server.port] == ("127.0.0.1", server.port)


def test_the_resolvers_order_stays_where_all_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with SmtpServer() as first, SmtpServer() as second:
        resolve(monkeypatch, ("127.0.0.1", first.port), ("127.0.0.1", second.port))
        open_connection(relay_of(first, host="relay.test")).close()
        assert (first.connections, second.connections) == (1, 0)


def test_all_that_fails_is_told(deaf: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.2", 0))
        resolve(monkeypatch, deaf, closed.getsockname())
        error = refused(Relay("relay.test", 25, deadlines=Deadlines(1, 1, 1)))
    assert error.text == "127.0.0.2: Connection refused; 127.0.0.1: no connection in time"


# TLS.


@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS])
def test_a_certificate_for_others_says_for_whom_it_is(security: Security) -> None:
    with SmtpServer(tls=server_context("other-host"), implicit_tls=security is Security.TLS) as server:
        error = refused(relay_of(server, security=security, ca_file=CA))
    assert error.configuration
    assert "not valid for '127.0.0.1'" in error.text
    assert "it is for " in error.text
    assert error.text.endswith("write a host that it is for in MAILWORKER_SMTP_URL")


@pytest.mark.parametrize(
    ("name", "ca_file", "setting"),
    [("good", None, "MAILWORKER_SMTP_CA_FILE"), ("expired", CA, "clock")],
)
def test_a_bad_certificate_says_what_to_do(name: str, ca_file: str | None, setting: str) -> None:
    with SmtpServer(tls=server_context(name), implicit_tls=True) as server:
        error = refused(relay_of(server, security=Security.TLS, ca_file=ca_file))
    assert error.configuration
    assert setting in error.text


def test_tls_asked_of_clear_text_says_so() -> None:
    with SmtpServer() as server:
        error = refused(relay_of(server, security=Security.TLS, ca_file=CA))
        assert error.configuration
        assert f"write smtp+starttls://127.0.0.1:{server.port} in MAILWORKER_SMTP_URL" in error.text


def test_clear_text_asked_of_tls_says_so_and_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "SILENT", 0.2)
    for security in (Security.CLEAR, Security.STARTTLS):
        with SmtpServer(tls=server_context("good"), implicit_tls=True) as server:
            begun = time.monotonic()
            error = refused(relay_of(server, security=security, deadlines=Deadlines(5, 30, 30)))
            assert time.monotonic() - begun < 3
            assert error.configuration
            assert f"write smtps://127.0.0.1:{server.port} in MAILWORKER_SMTP_URL" in error.text


def test_a_slow_greeting_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Postscreen, and relays that make strangers wait."""
    monkeypatch.setattr(opening, "SILENT", 0.1)

    def slow(session: behave.Session, argument: str) -> None:
        time.sleep(0.6)

    with SmtpServer({"greeting": slow}) as server:
        connection = open_connection(relay_of(server))
        assert send(connection, [mail("a")]).codes == {"a": 250}
        connection.close()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_says_so() -> None:
    context = server_context("good")
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with SmtpServer(tls=context, implicit_tls=True) as server:
        error = refused(relay_of(server, security=Security.TLS, ca_file=CA))
    assert error.configuration
    assert "TLS below 1.2" in error.text


def test_no_cipher_in_common_says_so() -> None:
    context = server_context("good")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA256")  # without forward secrecy: not among the client's
    with SmtpServer(tls=context, implicit_tls=True) as server:
        error = refused(relay_of(server, security=Security.TLS, ca_file=CA))
    assert error.configuration
    assert "no cipher in common" in error.text


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_relay_that_wants_a_client_certificate_says_so(version: ssl.TLSVersion) -> None:
    context = server_context("good")
    context.maximum_version = context.minimum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(CA)
    with SmtpServer(tls=context, implicit_tls=True) as server:
        error = refused(relay_of(server, security=Security.TLS, ca_file=CA))
    assert (error.phase, error.configuration) == ("TLS", True)
    assert "client certificate" in error.text


@pytest.mark.parametrize("way", [behave.close, behave.reset])
def test_a_hand_shake_that_is_cut_is_not_the_configurations_fault(way: behave.Misbehaviour) -> None:
    with SmtpServer({"connect": way}) as server:
        error = refused(relay_of(server, security=Security.TLS, ca_file=CA, deadlines=QUICK))
    assert not error.configuration
    assert "closed" in error.text or error.phase == "connect"


@pytest.mark.parametrize(
    ("security", "port", "instead"),
    [
        (Security.TLS, 587, "smtp+starttls://relay.test:587"),
        (Security.TLS, 25, "smtp+starttls://relay.test:25"),
        (Security.STARTTLS, 465, "smtps://relay.test:465"),
        (Security.CLEAR, 465, "smtps://relay.test:465"),
        (Security.TLS, 2525, ""),
    ],
)
def test_silence_on_another_schemes_port_says_what_the_port_mostly_is(
    security: Security, port: int, instead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        resolve(monkeypatch, ("127.0.0.1", silent.getsockname()[1]))
        error = refused(Relay("relay.test", port, security, deadlines=Deadlines(connect=1, reply=0.2)))
        assert not error.configuration  # a site may have it so: only the relay can tell
        assert ("MAILWORKER_SMTP_URL" in error.text) == bool(instead)
        assert instead in error.text


def test_a_self_signed_certificate_says_what_to_do(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with SmtpServer(tls=context, implicit_tls=True) as server:
        error = refused(relay_of(server, host="localhost", security=Security.TLS))
        assert "MAILWORKER_SMTP_CA_FILE" in error.text
        assert "self-signed" in error.text.replace(" ", "-")
        trusted = relay_of(server, host="localhost", security=Security.TLS, ca_file=str(certificate))
        open_connection(trusted).close()
