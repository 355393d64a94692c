"""The demo from start to end: servers, worker, Flower, three mails, and the line that says they arrived."""

from __future__ import annotations

import os
import re
import secrets
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import redis

from . import producer, redis_server
from .children import Child, Children
from .errors import DemoError, Stopped
from .redis_server import RedisServer

QUEUE: Final = "queue:email"
LEGACY_SUBJECT: Final = "Pushed by PHP onto the legacy list"
SECONDS: Final = 60.0

# What a child inherits. Neither MAILWORKER_* nor CELERY_* nor FLOWER_*: a demo must never touch a real Redis or relay.
INHERITED: Final = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TZ")


def run(once: bool = False) -> int:
    """The exit code. Raises `DemoError` when something does not start, dies, or the mails do not arrive."""
    with stop_signals() as stop, ExitStack() as stack:
        try:
            return _run(stack, stop, once)
        except Stopped:
            return 1 if once else 0  # whoever wants it once waits for the delivery


def _run(stack: ExitStack, stop: threading.Event, once: bool) -> int:
    try:
        from .inbox import Inbox  # noqa: PLC0415 - comes with an extra
        from .web import Web  # noqa: PLC0415
    except ImportError:
        raise DemoError("the demo needs its extra: pip install 'mailworker[demo]'") from None

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailworker-demo-")))
    inbox = stack.enter_context(Inbox())
    web = stack.enter_context(Web(inbox))
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ} | {"TMPDIR": str(folder)}
    children = stack.enter_context(Children(folder, environment, stop))

    server = redis_server.start(children)
    login = f"demo:{secrets.token_urlsafe(12)}"
    settings = {
        "MAILWORKER_REDIS_URL": server.url,
        "MAILWORKER_LEGACY_QUEUES": QUEUE,
        "MAILWORKER_SMTP_URL": f"smtp://127.0.0.1:{inbox.port}",
        "MAILWORKER_SMTP_HELO": "demo.localhost",
        "MAILWORKER_FROM": "mailworker demo <demo@example.com>",
        "FLOWER_BASIC_AUTH": login,
    }
    celery = [sys.executable, "-m", "celery", "-A", "mailworker"]
    children.start("The worker", [*celery, "worker", "--loglevel", "INFO", "--concurrency", "2"], settings)
    flower = children.start("Flower", [*celery, "flower", "--port=0"], settings)
    children.start("The producer", [sys.executable, "-m", producer.__name__], settings, passing=True)
    push(server)

    flower_url = children.wait(lambda: _address(flower), "Flower did not start", SECONDS)
    _say_where(web.url, flower_url, login, server)
    wanted = {LEGACY_SUBJECT, producer.TEXT_SUBJECT, producer.RICH_SUBJECT}
    children.wait(
        lambda: wanted <= {mail.subject for mail in inbox.mails()} or None, "the mails did not arrive", SECONDS
    )
    print(f"{len(wanted)} of {len(wanted)} delivered", flush=True)
    if once:
        return 0
    print("\nEverything runs until Ctrl-C.", flush=True)
    while True:
        children.check()
        children.pause(0.25)


def push(server: RedisServer) -> None:
    """What the site's PHP does: `$redis->lpush("queue:email", serialize([…]))`."""
    with redis.Redis.from_url(server.url, socket_timeout=10) as client:
        client.lpush(QUEUE, legacy_entry())


def legacy_entry() -> bytes:
    """As PHP's serialize() writes it: `s:` counts octets."""
    to = f"a:1:{{{_php('ada@example.com')}{_php('Ada Lovelace')}}}"
    body = _php("Hello Ada,\n\nan entry of the legacy list is a mail like any other: café, naïve, Ελλάδα.\n")
    entry = f"a:3:{{{_php('to')}{to}{_php('body')}{body}{_php('subject')}{_php(LEGACY_SUBJECT)}}}"
    return entry.encode("utf-8")


def _php(text: str) -> str:
    return f's:{len(text.encode("utf-8"))}:"{text}";'


def _address(flower: Child) -> str | None:
    """It chooses its port itself and says which."""
    found = re.search(r"Visit me at (http://127\.0\.0\.1:\d+)", flower.text())
    return found[1] if found else None


def _say_where(inbox: str, flower: str, login: str, server: RedisServer) -> None:
    user, _, password = login.partition(":")
    print(f"inbox    {inbox}", flush=True)
    print(f"flower   {flower}/  (user {user}, password {password})", flush=True)
    print(f"redis    {server.url}  (the legacy list is {QUEUE})", flush=True)


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Ctrl-C, SIGTERM and a closed terminal set the event; whatever waits on it then ends in order."""
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
