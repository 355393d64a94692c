"""The client's side of the SMTP tests: relays, mails, and a journal that remembers and is strict."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from mailworker.envelope import Envelope
from mailworker.errors import SmtpError
from mailworker.smtp import opening, session
from mailworker.smtp.connection import Connection
from mailworker.smtp.journal import Outgoing
from mailworker.smtp.relay import Deadlines, Relay
from mailworker.smtp.verdict import Verdict
from mailworker.smtp.warm import WarmConnection

from .smtp_server import EXTENSIONS, Mail, SmtpServer, without

QUICK = Deadlines(connect=5, reply=5, final=5)
STREAMING = EXTENSIONS
PIPELINED = without("CHUNKING")
STEP_BY_STEP = without("CHUNKING", "PIPELINING")
WAYS = pytest.mark.parametrize("extensions", [STREAMING, PIPELINED, STEP_BY_STEP], ids=["bdat", "pipelined", "steps"])


opened: list[Connection] = []
"""By the running test; closed behind it."""


def open_connection(relay: Relay) -> Connection:
    connection = opening.open_connection(relay)
    opened.append(connection)
    return connection


def relay_of(server: SmtpServer, **values: Any) -> Relay:
    return Relay(**({"host": "127.0.0.1", "port": server.port, "deadlines": QUICK} | values))


def mail(name: str, *recipients: str, data: bytes = b"", smtputf8: bool = False) -> Outgoing:
    """A mail whose Message-ID is its name, to that name where no recipient is given."""
    data = data or f"Message-ID: <{name}@test>\r\n\r\nthis is {name}\r\n".encode()
    return Outgoing(name, Envelope("site@example.com", recipients or (f"{name}@example.com",), data, smtputf8))


def mails(count: int, prefix: str = "m") -> list[Outgoing]:
    return [mail(f"{prefix}{number}") for number in range(count)]


class Journal:
    """Hands out mails and fails on whatever breaks the protocol of `journal.Journal`."""

    def __init__(self, todo: Iterable[Outgoing], window: int = 100) -> None:
        self.todo = deque(todo)
        self.window = window
        self.handed_out: dict[str, Outgoing] = {}
        self.committed: dict[str, None] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.given_back: list[str] = []
        self.commits: list[list[str]] = []
        self.forbidden: set[str] = set()
        self.on_commit: Callable[[list[str]], None] = lambda ids: None

    def next(self, count: int) -> list[Outgoing]:
        assert count > 0
        group = [self.todo.popleft() for _ in range(min(count, len(self.todo)))]
        self.handed_out |= {item.id: item for item in group}
        return group

    def commit(self, mails: list[Outgoing]) -> list[Outgoing]:
        ids = [item.id for item in mails]
        assert ids
        assert all(name in self.handed_out and name not in self.committed for name in ids)
        self.on_commit(ids)
        self.commits.append(ids)
        allowed = [item for item in mails if item.id not in self.forbidden]
        for item in mails:
            if item in allowed:
                self.committed[item.id] = None
            else:
                del self.handed_out[item.id]
        assert len(self.committed) <= self.window
        return allowed

    def done(self, mail: Outgoing, verdict: Verdict) -> None:
        del self.handed_out[mail.id]
        assert mail.id not in self.verdicts
        self.committed.pop(mail.id, None)
        self.verdicts[mail.id] = verdict

    def left(self, mail: Outgoing) -> Outgoing:
        assert mail.id in self.committed
        self.handed_out[mail.id] = mail.without_content()
        return self.handed_out[mail.id]

    def again(self, mail: Outgoing) -> None:
        del self.handed_out[mail.id]
        self.committed.pop(mail.id, None)
        self.given_back.append(mail.id)
        self.todo.appendleft(mail)

    def withdraw(self, mail: Outgoing) -> None:
        assert mail.id in self.handed_out
        self.committed.pop(mail.id, None)

    @property
    def in_doubt(self) -> list[str]:
        return list(self.committed)

    @property
    def blamed(self) -> list[str]:
        """Handed out, not committed, no verdict: certainly not sent, and perhaps the reason why the session broke."""
        return [name for name in self.handed_out if name not in self.committed]

    @property
    def codes(self) -> dict[str, int]:
        """The code that ended each mail; 0 where its content broke off."""
        return {name: verdict.final.code if verdict.final else 0 for name, verdict in self.verdicts.items()}


def proven(connection: Connection) -> Connection:
    """As after some mails: the relay has shown that it knows what it announced."""
    connection.proven |= {"MAIL", "RSET", "dot", "chunk", "BDAT"}
    return connection


def send(connection: Connection, todo: Iterable[Outgoing]) -> Journal:
    """Sends over this connection, to the end."""
    journal = Journal(todo)
    session.send(connection, journal)
    return journal


def send_all(server: SmtpServer, todo: Iterable[Outgoing], **values: Any) -> Journal:
    """Sends over a connection of its own."""
    connection = open_connection(relay_of(server, **values))
    try:
        return send(connection, todo)
    finally:
        connection.close()


def run(warm: WarmConnection, journal: Journal) -> int:
    """Sends it all as a delivery does. Returns how many connections were lost on the way."""
    lost = 0
    while journal.todo:
        connection = warm.get()
        try:
            session.send(connection, journal)
        except SmtpError:
            lost += 1
            journal.todo.extendleft(reversed(journal.handed_out.values()))
            journal.handed_out.clear()
            journal.committed.clear()
        finally:
            if connection.broken:
                warm.drop()
        assert lost < 10
    return lost


def ids(server: SmtpServer) -> list[str]:
    """The mails that the server took, by their Message-ID."""
    return [id_of(item) for item in server.mails]


def id_of(item: Mail) -> str:
    """Its name."""
    return item.data.split(b"Message-ID: <")[1].split(b"@")[0].decode()


def stop_the_clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """By which mails are committed together. So a slow machine is no slow relay."""
    now = [0.0]
    monkeypatch.setattr("mailworker.smtp.ahead.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def until(condition: Callable[[], object], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.002)
