"""An SMTP sink in a process of its own: fast enough not to be what is measured, and strict about what it got.

Started by `benchmarks.stage`, told what to be by one JSON argument (`Manner`), then asked by lines of JSON on its
standard input. It ends when that closes. Times are CLOCK_MONOTONIC, which all processes of a machine share.

Plain epoll: the sink shares two cores with those it measures.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from typing import Any

from .dialogue import GREETING, Dialogue, Manner
from .ledger import Ledger


class Connection:
    __slots__ = ("closing", "dialogue", "outgoing", "socket")

    def __init__(self, sock: socket.socket, dialogue: Dialogue) -> None:
        self.socket = sock
        self.dialogue = dialogue
        self.outgoing = b""
        self.closing = False


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
        self.line_free = 0.0
        """When the line has carried all that was received."""

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
            # What is still on its way is read until the other side closes: a reset would swallow these replies.
            with suppress(OSError):  # the other side did not wait
                connection.socket.shutdown(socket.SHUT_WR)
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
        connection = Connection(sock, Dialogue(self.manner, self.ledger))
        self.connections[sock.fileno()] = connection
        self.epoll.register(sock.fileno(), select.EPOLLIN)
        self.ledger.connections += 1
        if self.manner.round_trip:  # one for the connection itself, one for the greeting
            self.greetings.append((time.monotonic() + 2 * self.manner.round_trip, connection, GREETING, False))
        else:
            self.write(connection, GREETING, False)

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
        if self.manner.bandwidth:
            self.carry(len(octets))
        replies: list[bytes] = []
        last = connection.dialogue.feed(octets, replies)
        if replies:
            self.reply(connection, b"".join(replies), last)

    def carry(self, octets: int) -> None:
        """Takes as long as the line does, for all connections: nobody else can use it meanwhile."""
        now = time.monotonic()
        # A sleep that took too long is made good by the next ones, up to 10 ms.
        self.line_free = max(self.line_free, now - 0.01) + octets / self.manner.bandwidth
        if self.line_free > now:
            time.sleep(self.line_free - now)

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
