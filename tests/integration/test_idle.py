"""Idle connections that something on the way has forgotten: nothing that waits on one costs a mail more than a second.

A middle that goes silent: it takes what is sent, and passes nothing on, as NAT does that has forgotten a connection.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from mailworker.smtp import connection as connection_module
from mailworker.smtp import lessons, session
from mailworker.smtp.warm import WarmConnection
from mailworker.spool.connect import Caller, connect
from tests.conftest import RedisServer

from .smtp_client import Journal, ids, mails, relay_of
from .smtp_server import Session, SmtpServer

connect_module = sys.modules["mailworker.spool.connect"]  # the package has a function of that name


class Middle:
    """`forget` makes the connections so far silent, or (`resets`) reset at the next use; new ones pass."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._forgotten = threading.Event()
        self._sockets: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def forget(self) -> None:
        self._forgotten.set()
        self._forgotten = threading.Event()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self._accepting.join(5)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=(one, other, self._forgotten), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket, forgotten: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while octets := one.recv(65536):
                if not forgotten.is_set():
                    other.sendall(octets)
            if not forgotten.is_set():
                other.shutdown(socket.SHUT_WR)


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Any idleness is long."""
    monkeypatch.setattr(connection_module, "FORGOTTEN", 0)
    return


def send(warm: WarmConnection, prefix: str) -> tuple[Journal, float]:
    journal = Journal(mails(2, prefix))
    begun = time.monotonic()
    session.send(warm.get(), journal)
    return journal, time.monotonic() - begun


@pytest.mark.usefixtures("idle")
def test_a_mail_does_not_wait_for_a_connection_that_was_forgotten() -> None:
    with SmtpServer() as server:
        middle = Middle(server.port)
        warm = WarmConnection(relay_of(server, port=middle.port))
        send(warm, "a")
        middle.forget()
        journal, seconds = send(warm, "b")
        assert seconds < 1
        assert journal.codes == {"b0": 250, "b1": 250}
        assert journal.in_doubt == []
        assert ids(server) == ["a0", "a1", "b0", "b1"]
        assert warm.get().relay.mails == warm.relay.mails  # and learns nothing wrong of the relay
        warm.drop()
        middle.close()


@pytest.mark.usefixtures("idle")
def test_a_connection_that_answers_is_used_again() -> None:
    with SmtpServer() as server:
        warm = WarmConnection(relay_of(server))
        for name in "abc":
            send(warm, name)
        assert server.connections == 1
        warm.drop()


def test_a_busy_connection_is_not_asked() -> None:
    with SmtpServer() as server:
        warm = WarmConnection(relay_of(server))
        for name in "abc":
            send(warm, name)
        assert server.commands().count("NOOP") == 1  # the proof's
        warm.drop()


@pytest.mark.usefixtures("idle")
def test_a_slow_relay_is_waited_for_as_it_is_used_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "SOON", 0.05)

    def slow(session: Session, argument: str) -> None:
        time.sleep(0.2)

    with SmtpServer({"EHLO": slow, "NOOP": slow}) as server:
        warm = WarmConnection(relay_of(server))
        for name in "ab":
            send(warm, name)
        assert server.connections == 1
        warm.drop()


def test_a_mail_does_not_wait_for_a_connection_to_redis_that_was_forgotten(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect_module, "SOON", 0.3)
    monkeypatch.setattr(connect_module, "FORGOTTEN", 0.05)
    middle = Middle(int(redis_server.url.rpartition(":")[2].partition("/")[0]))
    client = connect(f"redis://127.0.0.1:{middle.port}/0")
    caller = Caller(client)
    for ask in (lambda: caller("PING"), client.ping):
        assert ask()
        middle.forget()
        time.sleep(0.1)  # idleness is what is tried
        begun = time.monotonic()
        assert ask()
        assert time.monotonic() - begun < 1
    client.close()
    middle.close()


def test_keep_alives_are_in_time(redis_server: RedisServer) -> None:
    caller = Caller(connect(redis_server.url))
    caller("PING")
    sock = caller._kept[0]._sock
    with SmtpServer() as server:
        warm = WarmConnection(relay_of(server))
        for one in (sock, warm.get().sock):
            assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 20
            assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) <= 5
        warm.drop()
    assert lessons.LESSON_HOLDS > lessons.SUSPICION_HOLDS
