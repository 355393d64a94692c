"""Pushes live, as the legacy PHP code and new code do, and keeps a ledger: `try` before each push, `ack` after it.

A push whose answer was lost has a `try` alone: nobody knows whether it is in Redis.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .files import mail_with_files


class Pushes:
    """One way to push, and the ledger around it."""

    def __init__(self, ledger: Path, push: Callable[[str], object]) -> None:
        self._ledger = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._push = push

    def push(self, kind: str = "p") -> str:
        """Returns the token. Raises what the push raises."""
        token = self.new_token(kind)
        self.note("try", token)
        self._push(token)
        self.note("ack", token)
        return token

    def new_token(self, kind: str) -> str:
        return f"tok{kind}{secrets.token_hex(8)}"

    def note(self, word: str, *tokens: str) -> None:
        os.write(self._ledger, "".join(f"{word} {token}\n" for token in tokens).encode())


def entry(token: str) -> bytes:
    """What `serialize(["to" => [address => name], "body" => …, "subject" => …])` gives."""
    fields = {"body": f"The body of {token}.\r\n" + "A line of it. " * 30, "subject": f"Trial {token}"}
    rest = "".join(f"{_string(key)}{_string(value)}" for key, value in fields.items())
    return f"a:3:{{{_string('to')}a:1:{{{_string(address(token))}{_string('A name')}}}{rest}}}".encode()


def address(token: str) -> str:
    return f"{token}@example.com"


def _string(text: str) -> str:
    return f's:{len(text)}:"{text}";'


def client(url: str) -> redis.Redis:
    """Never repeats a push by itself: that would be two."""
    return redis.Redis.from_url(url, socket_timeout=5, retry=Retry(NoBackoff(), 0))


def list_pushes(url: str, queue: str, ledger: Path) -> Pushes:
    connection = client(url)
    return Pushes(ledger, lambda token: connection.lpush(queue, entry(token)))


def _delay_pushes(ledger: Path) -> Pushes:
    from mailworker import send_email  # noqa: PLC0415 - reads the settings, and not every producer needs Celery

    def push(token: str) -> None:
        send_email.delay(to={address(token): "A name"}, subject=f"Trial {token}", body=f"The body of {token}.")

    return Pushes(ledger, push)


class _FilePushes(Pushes):
    """Mails with files, one by one and many in one step."""

    def __init__(self, ledger: Path) -> None:
        from mailworker import send_email  # noqa: PLC0415 - as above

        super().__init__(ledger, lambda token: send_email.delay(**mail_with_files(token, address(token))))

    def push_many(self, size: int) -> None:
        """All of them or none are accepted."""
        from mailworker import send_email  # noqa: PLC0415 - as above

        tokens = [self.new_token("f") for _ in range(size)]
        self.note("try", *tokens)
        send_email.many([mail_with_files(token, address(token)) for token in tokens])
        self.note("ack", *tokens)


def _plain_pushes(ledger: Path) -> Pushes:
    from .control import send  # noqa: PLC0415 - for the control group alone

    return Pushes(ledger, send.delay)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--redis", required=True)
    parser.add_argument("--queue", default="queue:email")
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--rate", type=float, required=True, help="Mails a second, in bursts.")
    parser.add_argument("--burst", type=int, default=1)
    parser.add_argument("--delays", type=int, default=5, help="Every so many bursts has one `send_email.delay()`.")
    parser.add_argument("--files", action="store_true", help="Mails with files, by new code alone.")
    parser.add_argument("--plain", action="store_true", help="For the control group.")
    options = parser.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    files = _FilePushes(options.ledger) if options.files else None
    if files:
        entries = delays = files
    elif options.plain:
        entries = delays = _plain_pushes(options.ledger)
    else:
        entries, delays = list_pushes(options.redis, options.queue, options.ledger), _delay_pushes(options.ledger)
    begun = time.monotonic()
    number = 0
    while not stop.wait(max(0.0, begun + number * options.burst / options.rate - time.monotonic())):
        number += 1
        try:
            if files and number % 2:
                files.push_many(options.burst)
                continue
            for _ in range(options.burst):
                entries.push()
            if number % options.delays == 0:
                delays.push("d")
        except Exception as error:  # noqa: BLE001 - whatever it was, the ledger has the push as a try alone
            print(f"push: {type(error).__module__}.{type(error).__name__}: {error}", flush=True)
            stop.wait(0.2)


if __name__ == "__main__":
    main()
