"""What the peers share, so that they differ in nothing but how work reaches a process."""

from __future__ import annotations

import os
import re
import signal
import smtplib
from collections.abc import Callable
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from typing import Final, NoReturn

import redis

QUEUE: Final = "queue:email"
SENDER: Final = Address("The Shop", addr_spec="shop@example.com")

# Enough for the benchmark's entries, which is what a hand-written consumer would take.
_ENTRY: Final = re.compile(
    rb'a:3:\{s:2:"to";a:1:\{s:\d+:"(?P<address>[^"]*)";s:\d+:"(?P<name>[^"]*)";\}'
    rb's:7:"subject";s:\d+:"(?P<subject>[^"]*)";s:4:"body";s:\d+:"(?P<body>.*)";\}',
    re.DOTALL,
)

_connections: dict[int, smtplib.SMTP] = {}


def redis_url() -> str:
    return os.environ["BENCH_REDIS_URL"]


def smtp_port() -> int:
    return int(os.environ["BENCH_SMTP_PORT"])


def read(entry: bytes) -> dict[str, str]:
    found = _ENTRY.fullmatch(entry)
    if found is None:
        raise ValueError("not an entry of this benchmark")
    return {key: value.decode() for key, value in found.groupdict().items()}


def send(address: str, name: str, subject: str, body: str) -> None:
    """Over this process's warm connection."""
    message = EmailMessage(policy=SMTP)
    message["From"] = SENDER
    message["To"] = Address(name, addr_spec=address)
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="example.com")
    message.set_content(body)
    connection = _connection()
    try:
        connection.send_message(message)
    except smtplib.SMTPServerDisconnected:
        _connections.clear()
        _connection().send_message(message)


def _connection() -> smtplib.SMTP:
    connection = _connections.get(os.getpid())
    if connection is None:
        connection = smtplib.SMTP("127.0.0.1", smtp_port(), local_hostname="bench", timeout=30)
        _connections[os.getpid()] = connection
    return connection


def pop_for_ever(take: Callable[[dict[str, str]], object]) -> NoReturn:
    """The popping loop in front of a task queue."""
    client = redis.Redis.from_url(redis_url())
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
