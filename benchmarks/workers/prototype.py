"""As fast as it goes without any safety: many entries a pop, MIME by hand, MAIL+RCPT+DATA in one write."""

from __future__ import annotations

import os
import socket
import sys
import time
from email.header import Header
from email.utils import formatdate
from typing import Final

from .common import QUEUE, connect, fork, read, smtp_port

MOST: Final = 20
_MAIL: Final = (
    "From: The Shop <shop@example.com>\r\nTo: {name} <{address}>\r\nSubject: {subject}\r\nDate: {date}\r\n"
    "Message-ID: <{id}@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: 8bit\r\n\r\n{body}"
)


class Session:
    def __init__(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", smtp_port()))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""
        self.replies(1)
        self.socket.sendall(b"EHLO bench\r\n")
        self.replies(1)

    def send(self, mail: dict[str, str], number: int) -> None:
        recipient = mail["address"].encode()
        self.socket.sendall(b"MAIL FROM:<shop@example.com>\r\nRCPT TO:<%s>\r\nDATA\r\n" % recipient)
        self.replies(3)
        name = f"{os.getpid()}.{number}.{time.time_ns()}"
        body = mail["body"].replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
        text = _MAIL.format(
            name=_word(mail["name"]), address=mail["address"], subject=_word(mail["subject"]), date=formatdate(),
            id=name, body=body,
        )  # fmt: skip
        self.socket.sendall(text.encode().replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n")
        self.replies(1)

    def replies(self, count: int) -> None:
        while count:
            while b"\r\n" not in self.unread:
                octets = self.socket.recv(65_536)
                if not octets:
                    raise ConnectionError("the server closed")
                self.unread += octets
            line, _, self.unread = self.unread.partition(b"\r\n")
            if line[:1] not in b"23":
                raise ConnectionError(line.decode("latin-1"))
            count -= line[3:4] != b"-"


def _word(text: str) -> str:
    plain = text.isascii() and text.isprintable()
    return text if plain else Header(text, "utf-8").encode(linesep="\r\n")


def work() -> None:
    client = connect()
    session = Session()
    number = 0
    while True:
        first = client.brpop([QUEUE], 10)
        if first is None:
            continue
        for entry in [first[1], *(client.rpop(QUEUE, MOST) or [])]:
            number += 1
            try:
                session.send(read(entry), number)
            except ConnectionError:  # the server has had enough of this connection
                session = Session()
                session.send(read(entry), number)


if __name__ == "__main__":
    fork(int(sys.argv[1]), work)
