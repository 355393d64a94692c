"""An SMTP sink in a process of its own: fast enough not to be what is measured, and strict about what it got.

Started by `benchmarks.stage`, told what to be by one JSON argument (`Manner`), then asked by lines of JSON on its
standard input. It ends when that closes. Times are CLOCK_MONOTONIC, which all processes of a machine share.

Plain epoll and a parser by hand: the sink shares two cores with those it measures. Mails are kept as they came and
looked at when a report is asked for.
"""

from __future__ import annotations

import json
import os
import re
import select
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

TOKEN: Final = re.compile(rb"bench-[0-9a-f]+-[0-9]+")
HEADERS: Final = (b"from", b"to", b"subject", b"date", b"message-id")
LINE: Final = 998
KEPT: Final = 256 * 1024 * 1024
"""Octets of mail kept for the report; what comes after that is looked at as it arrives."""

_COMMANDS, _CONTENT, _CHUNK = range(3)


@dataclass(frozen=True)
class Manner:
    round_trip: float = 0
    """Seconds until a reply to what was received goes out; of the connection's opening, twice that."""
    pipelining: bool = True
    chunking: bool = True
    mails_per_connection: int = 0
    """After so many, MAIL is answered with 421 and the connection is closed; 0 for no limit."""


class Connection:
    __slots__ = ("chunks", "closing", "mails", "missing", "mode", "outgoing", "recipients", "rest", "sender", "socket")

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.rest = b""
        self.mode = _COMMANDS
        self.sender = False
        self.recipients: list[bytes] = []
        self.chunks: list[bytes] = []
        self.missing = 0
        self.mails = 0
        self.outgoing = b""
        self.closing = False


class Ledger:
    """What was accepted. A report names each mail's token and time, and what was wrong with it."""

    def __init__(self) -> None:
        self.count = 0
        self.octets = 0
        self.connections = 0
        self._kept: list[tuple[float, list[bytes], bytes, bool]] = []
        self._kept_octets = 0
        self._seen: list[tuple[str, float]] = []
        self._faults: dict[str, int] = {}

    def accept(self, at: float, recipients: list[bytes], content: bytes, stuffed: bool) -> None:
        self.count += 1
        self.octets += len(content)
        self._kept.append((at, recipients, content, stuffed))
        self._kept_octets += len(content)
        if self._kept_octets > KEPT:
            self._look()

    def fault(self, text: str) -> None:
        self._faults[text] = self._faults.get(text, 0) + 1

    def report(self) -> dict[str, Any]:
        self._look()
        return {
            "count": self.count,
            "octets": self.octets,
            "connections": self.connections,
            "seen": self._seen,
            "faults": self._faults,
        }

    def _look(self) -> None:
        for at, recipients, content, stuffed in self._kept:
            if stuffed:
                content = content.replace(b"\r\n..", b"\r\n.")  # noqa: PLW2901
            token, faults = examine(content, recipients)
            self._seen.append((token, at))
            for fault in faults:
                self.fault(fault)
        self._kept = []
        self._kept_octets = 0


def examine(content: bytes, recipients: list[bytes]) -> tuple[str, list[str]]:
    """The token of a mail, and what is wrong with it."""
    faults = []
    breaks = content.count(b"\r\n")
    if content.count(b"\n") != breaks or content.count(b"\r") != breaks:
        faults.append("a bare CR or LF")
    if not content.endswith(b"\r\n"):
        faults.append("no line break at the end")
    if max(map(len, content.split(b"\r\n"))) > LINE:
        faults.append(f"a line over {LINE} octets")
    head, _, body = content.partition(b"\r\n\r\n")
    fields: dict[bytes, bytes] = {}
    for line in head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() in fields:
            faults.append("a header twice")
        fields[name.lower()] = value
    faults += [f"no {name.decode()} header" for name in HEADERS if name not in fields]
    if any(recipient not in fields.get(b"to", b"") for recipient in recipients):
        faults.append("a recipient that is not in To")
    token = TOKEN.search(fields.get(b"subject", b""))
    if token is None:
        faults.append("no token in the subject")
    if not body.strip():
        faults.append("no body")
    return (token[0].decode() if token else ""), faults


class Sink:
    def __init__(self, manner: Manner) -> None:
        self.manner = manner
        self.ledger = Ledger()
        self.epoll = select.epoll()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.listener.setblocking(False)
        self.connections: dict[int, Connection] = {}
        self.delayed: deque[tuple[float, Connection, bytes, bool]] = deque()
        self.greetings: deque[tuple[float, Connection, bytes, bool]] = deque()
        self.waits: list[tuple[int, int]] = []
        self.asked = b""
        self.done = False
        extensions = ["sink", "8BITMIME", "SIZE 52428800"]
        extensions += ["PIPELINING"] * manner.pipelining + ["CHUNKING"] * manner.chunking
        lines = [f"250-{text}" for text in extensions[:-1]] + [f"250 {extensions[-1]}"]
        self.hello = "\r\n".join([*lines, ""]).encode()

    def run(self) -> None:
        os.set_blocking(0, False)
        self.epoll.register(0, select.EPOLLIN)
        self.epoll.register(self.listener.fileno(), select.EPOLLIN)
        self.answer({"port": self.listener.getsockname()[1]})
        while not self.done:
            for descriptor, events in self.epoll.poll(self.patience()):
                connection = self.connections.get(descriptor)
                if connection is not None:
                    if events & select.EPOLLOUT:
                        self.write(connection, b"", connection.closing)
                    if events & ~select.EPOLLOUT:
                        self.receive(connection)
                elif descriptor == 0:
                    self.listen()
                else:
                    self.greet()
            self.send_due()
            if self.waits:
                self.answer_waits()

    # Replies, after the round trip. All wait for the same time, so two queues in order of time are enough.

    def patience(self) -> float:
        first = min((queue[0][0] for queue in (self.delayed, self.greetings) if queue), default=None)
        return -1 if first is None else max(0.0, first - time.monotonic())

    def send_due(self) -> None:
        for queue in (self.greetings, self.delayed):
            while queue and queue[0][0] <= time.monotonic():
                _, connection, octets, last = queue.popleft()
                self.write(connection, octets, last)

    def reply(self, connection: Connection, octets: bytes, last: bool = False) -> None:
        if self.manner.round_trip:
            self.delayed.append((time.monotonic() + self.manner.round_trip, connection, octets, last))
        else:
            self.write(connection, octets, last)

    def write(self, connection: Connection, octets: bytes, last: bool) -> None:
        descriptor = connection.socket.fileno()
        if descriptor < 0:
            return
        octets = connection.outgoing + octets
        connection.closing = last
        try:
            sent = connection.socket.send(octets) if octets else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            return self.close(connection)
        if connection.outgoing or sent < len(octets):
            more = select.EPOLLOUT if sent < len(octets) else 0
            self.epoll.modify(descriptor, select.EPOLLIN | more)
        connection.outgoing = octets[sent:]
        if last and not connection.outgoing:
            self.close(connection)
        return None

    def close(self, connection: Connection) -> None:
        descriptor = connection.socket.fileno()
        if descriptor >= 0:
            del self.connections[descriptor]
            self.epoll.unregister(descriptor)
            connection.socket.close()

    # The session.

    def greet(self) -> None:
        try:
            sock, _ = self.listener.accept()
        except BlockingIOError:
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock)
        self.connections[sock.fileno()] = connection
        self.epoll.register(sock.fileno(), select.EPOLLIN)
        self.ledger.connections += 1
        greeting = b"220 sink ESMTP\r\n"
        if self.manner.round_trip:  # one for the connection itself, one for the greeting
            self.greetings.append((time.monotonic() + 2 * self.manner.round_trip, connection, greeting, False))
        else:
            self.write(connection, greeting, False)

    def receive(self, connection: Connection) -> None:
        try:
            octets = connection.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if not octets:
            self.close(connection)
            return
        replies: list[bytes] = []
        last = self.parse(connection, octets, replies)
        if replies:
            self.reply(connection, b"".join(replies), last)

    def parse(self, connection: Connection, octets: bytes, replies: list[bytes]) -> bool:
        """Appends the replies; True where the connection ends with them."""
        rest = connection.rest + octets if connection.rest else octets
        position, end = 0, len(rest)
        while position < end:
            if connection.mode == _CHUNK:
                taken = min(connection.missing, end - position)
                connection.chunks.append(rest[position : position + taken])
                position += taken
                connection.missing -= taken
                if connection.missing:
                    break
                self.accepted(connection, b"".join(connection.chunks), False, replies)
            elif connection.mode == _CONTENT:
                # The line break before the content's dot may be that of DATA itself.
                stop = rest.find(b"\r\n.\r\n", position)
                if rest.startswith(b".\r\n", position):
                    self.accepted(connection, b"", True, replies)
                    position += 3
                elif stop >= 0:
                    chunk = rest[position : stop + 2]
                    self.accepted(connection, b"".join([*connection.chunks, chunk]), True, replies)
                    position = stop + 5
                else:
                    break
            else:
                stop = rest.find(b"\r\n", position)
                if stop < 0:
                    break
                line = rest[position:stop]
                position = stop + 2
                if self.command(connection, line, replies):
                    connection.rest = b""
                    return True
                if position < end and not self.manner.pipelining and connection.mode == _COMMANDS:
                    self.ledger.fault("commands sent together without PIPELINING")
        connection.rest = rest[position:]
        return False

    def accepted(self, connection: Connection, content: bytes, stuffed: bool, replies: list[bytes]) -> None:
        self.ledger.accept(time.monotonic() + self.manner.round_trip, connection.recipients, content, stuffed)
        connection.mails += 1
        connection.mode = _COMMANDS
        connection.sender = False
        connection.recipients = []
        connection.chunks = []
        replies.append(b"250 2.0.0 accepted\r\n")

    def command(self, connection: Connection, line: bytes, replies: list[bytes]) -> bool:  # noqa: C901, PLR0912
        """True where the connection ends with this command's reply."""
        verb = line[:4].upper()
        if verb == b"MAIL":
            most = self.manner.mails_per_connection
            if most and connection.mails >= most:
                replies.append(b"421 4.7.0 enough for one connection\r\n")
                return True
            if connection.sender:
                replies.append(b"503 5.5.1 nested MAIL\r\n")
                return False
            connection.sender = True
            replies.append(b"250 2.1.0 ok\r\n")
        elif verb == b"RCPT":
            if not connection.sender:
                replies.append(b"503 5.5.1 MAIL first\r\n")
                return False
            connection.recipients.append(line[line.find(b"<") + 1 : line.find(b">")])
            replies.append(b"250 2.1.5 ok\r\n")
        elif verb == b"BDAT" and self.manner.chunking:
            words = line.split()
            if not connection.recipients or len(words) != 3 or words[2].upper() != b"LAST":
                self.ledger.fault("a BDAT that this sink does not take")
                replies.append(b"503 5.5.1 MAIL and RCPT first, one chunk a mail\r\n")
                return True
            connection.missing = int(words[1])
            connection.mode = _CHUNK
        elif verb == b"DATA":
            if not connection.recipients:
                replies.append(b"503 5.5.1 MAIL and RCPT first\r\n")
                return False
            connection.mode = _CONTENT
            replies.append(b"354 go on\r\n")
        elif verb == b"EHLO":
            replies.append(self.hello)
        elif verb in (b"RSET", b"NOOP", b"HELO"):
            if verb == b"RSET":
                connection.sender, connection.recipients = False, []
            replies.append(b"250 2.0.0 ok\r\n")
        elif verb == b"QUIT":
            replies.append(b"221 2.0.0 bye\r\n")
            return True
        else:
            replies.append(b"500 5.5.2 no such command\r\n")
        return False

    # What the benchmark asks.

    def listen(self) -> None:
        octets = os.read(0, 65_536)
        if not octets:
            self.done = True
            return
        *lines, self.asked = (self.asked + octets).split(b"\n")
        for line in lines:
            question = json.loads(line)
            if question["ask"] == "wait":
                self.waits.append((question["count"], question["id"]))
            elif question["ask"] == "report":
                self.answer({"id": question["id"], **self.ledger.report()})
                self.ledger = Ledger()
            else:
                self.answer({"id": question["id"], "count": self.ledger.count})

    def answer_waits(self) -> None:
        for wait in [wait for wait in self.waits if wait[0] <= self.ledger.count]:
            self.waits.remove(wait)
            self.answer({"id": wait[1], "count": self.ledger.count, "at": time.monotonic()})

    @staticmethod
    def answer(value: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()


def main() -> None:
    Sink(Manner(**json.loads(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
