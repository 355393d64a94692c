"""Takes finished mails from Redis and writes them to a plain socket: no building, no safety.

What passing octets from one to the other costs; the bound of large mails where nothing else is in the way.
"""

from __future__ import annotations

import sys
from typing import Final

from .common import QUEUE, connect, fork
from .prototype import Session

WINDOW: Final = 4


def write(session: Session, mails: list[bytes]) -> None:
    for mail in mails:
        begin = mail.index(b"<", mail.index(b"\r\nTo: "))
        recipient = mail[begin : mail.index(b">", begin) + 1].decode()
        opening = f"MAIL FROM:<shop@example.com>\r\nRCPT TO:{recipient}\r\nBDAT {len(mail)} LAST\r\n"
        session.socket.sendall(opening.encode())
        session.socket.sendall(mail)
    session.replies(3 * len(mails))


def work() -> None:
    client = connect()
    session = Session()
    while True:
        first = client.brpop([QUEUE], 10)
        if first is not None:
            write(session, [first[1], *(client.rpop(QUEUE, WINDOW - 1) or [])])


if __name__ == "__main__":
    fork(int(sys.argv[1]), work)
