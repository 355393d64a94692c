"""A plain socket that writes mails of the asked size: no reading, no building, no safety. The bound of large mails."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import Final

from ..payloads import mail
from .common import QUEUE, connect, fork
from .prototype import Session

WINDOW: Final = 4
_HEAD: Final = (
    "From: The Shop <shop@example.com>\r\nTo: Someone Else <{token}@example.com>\r\n"
    "Subject: Your order {token} is on its way\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n"
    "Message-ID: <{token}.{pid}@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
)


@cache
def body(size: int) -> bytes:
    return str(mail("", size)["body"]).replace("\n", "\r\n").encode() + b"\r\n"


def write(session: Session, tickets: list[bytes]) -> None:
    for ticket in tickets:
        token, _, size = ticket.decode().partition(" ")
        head = _HEAD.format(token=token, pid=os.getpid()).encode()
        octets = body(int(size))
        commands = f"MAIL FROM:<shop@example.com>\r\nRCPT TO:<{token}@example.com>\r\n"
        session.socket.sendall(f"{commands}BDAT {len(head) + len(octets)} LAST\r\n".encode() + head)
        session.socket.sendall(octets)
    session.replies(3 * len(tickets))


def work() -> None:
    client = connect()
    session = Session()
    while True:
        first = client.brpop([QUEUE], 10)
        if first is not None:
            write(session, [first[1], *(client.rpop(QUEUE, WINDOW - 1) or [])])


if __name__ == "__main__":
    fork(int(sys.argv[1]), work)
