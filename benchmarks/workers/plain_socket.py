"""A plain socket that writes mails of the asked size: no reading, no building, no safety. The bound of large mails."""

from __future__ import annotations

import sys
from functools import cache
from typing import Final

from ..payloads import finished_body, finished_head
from .common import QUEUE, connect, fork
from .prototype import Session

WINDOW: Final = 4
body = cache(finished_body)


def write(session: Session, tickets: list[bytes]) -> None:
    for ticket in tickets:
        token, _, size = ticket.decode().partition(" ")
        head = finished_head(token)
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
