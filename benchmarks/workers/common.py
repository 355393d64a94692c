"""What the peers share, so that they differ in nothing but how work reaches a process."""

from __future__ import annotations

import os
import signal
import smtplib
from base64 import b64decode
from collections.abc import Callable, Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from typing import Any, Final, NoReturn

import redis

QUEUE: Final = "queue:email"
SENDER: Final = Address("The Shop", addr_spec="shop@example.com")

_connections: dict[int, smtplib.SMTP] = {}


def redis_url() -> str:
    return os.environ["BENCH_REDIS_URL"]


def connect() -> Any:
    """A client that waits as long as it was told to, and not its library's five seconds."""
    return redis.Redis.from_url(redis_url(), socket_timeout=None)


def smtp_port() -> int:
    return int(os.environ["BENCH_SMTP_PORT"])


def read(entry: bytes) -> dict[str, Any]:
    """What a hand-written consumer makes of an entry: no limits, no checks."""
    value, _ = _value(entry, 0)
    ((address, name),) = value["to"].items()
    mail = {"address": address, "name": name, "subject": value["subject"], "body": value["body"]}
    return mail | {key: value[key] for key in ("html", "attachments") if key in value}


def _value(entry: bytes, at: int) -> tuple[Any, int]:
    """The value of serialize() that begins here, and where the next one does."""
    kind = entry[at : at + 1]
    if kind == b"N":
        return None, at + 2
    if kind in b"ibd":
        end = entry.index(b";", at)
        text = entry[at + 2 : end]
        return (float(text) if kind == b"d" else int(text)), end + 1
    colon = entry.index(b":", at + 2)
    size = int(entry[at + 2 : colon])
    if kind == b"s":
        begin = colon + 2
        return entry[begin : begin + size].decode(), begin + size + 2
    if kind != b"a":
        raise ValueError(f"cannot read {kind!r}")
    at = colon + 2
    items = {}
    for _ in range(size):
        key, at = _value(entry, at)
        items[key], at = _value(entry, at)
    return items, at + 1


def send(
    address: str, name: str, subject: str, body: str, html: str = "", attachments: Mapping[str, str] | None = None
) -> None:
    """Over this process's warm connection."""
    message = EmailMessage(policy=SMTP)
    message["From"] = SENDER
    message["To"] = Address(name, addr_spec=address)
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="example.com")
    message.set_content(body)
    if html:
        message.add_alternative(html, subtype="html")
    for filename, content in (attachments or {}).items():
        message.add_attachment(b64decode(content), "application", "pdf", filename=filename)
    try:
        _connection().send_message(message)
    except (smtplib.SMTPServerDisconnected, smtplib.SMTPSenderRefused):
        _connections.clear()  # the server has had enough of this connection
        _connection().send_message(message)


def _connection() -> smtplib.SMTP:
    connection = _connections.get(os.getpid())
    if connection is None:
        connection = smtplib.SMTP("127.0.0.1", smtp_port(), local_hostname="bench", timeout=30)
        _connections[os.getpid()] = connection
    return connection


def pop_for_ever(take: Callable[[dict[str, Any]], object]) -> NoReturn:
    """The popping loop in front of a task queue."""
    client = connect()
    while True:
        item = client.brpop([QUEUE], 10)
        if item is not None:
            take(read(item[1]))


def fork(processes: int, work: Callable[[], object]) -> None:
    """Runs `work` in so many children until SIGTERM."""
    children = []
    for _ in range(processes):
        pid = os.fork()
        if pid == 0:
            try:
                work()
            finally:
                os._exit(1)
        children.append(pid)

    def stop(*_: object) -> None:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    while True:
        os.wait()
