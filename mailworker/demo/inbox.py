"""The capture inbox: an SMTP server on a free port that keeps what it is given, in memory, and passes nothing on."""

from __future__ import annotations

import asyncio
import email
import email.policy
import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.policy import Policy
from functools import cached_property
from typing import Any, Final, Self

from aiosmtpd.smtp import SMTP, Envelope

from .content import Content, read

KEPT: Final = 1000


@dataclass(frozen=True)
class Mail:
    """A mail as it came in, with its envelope."""

    number: int
    at: datetime
    sender: str
    recipients: tuple[str, ...]
    raw: bytes

    @property
    def subject(self) -> str:
        return self.header("Subject")

    def header(self, name: str) -> str:
        """The decoded value, empty where there is none; as it came where Python's parser fails on it."""
        try:
            value = self._parsed(email.policy.default)[name]
            return "" if value is None else str(value)
        except Exception:  # noqa: BLE001 - mail is hostile, and the parser raises a good dozen of types
            return str(self._parsed(email.policy.compat32)[name])

    @cached_property
    def content(self) -> Content:
        """What is in it."""
        return read(self.raw)

    def _parsed(self, policy: Policy[Any]) -> Message:
        return email.message_from_bytes(self.raw, policy=policy)


class Inbox:
    """Runs in a thread of its own between `with` and its end. Keeps the newest thousand mails."""

    port: int

    def __init__(self) -> None:
        self._mails: deque[Mail] = deque(maxlen=KEPT)
        self._taken = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="inbox", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def mails(self) -> list[Mail]:
        """Oldest first."""
        return list(self._mails)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:
        self._taken += 1
        content = envelope.content
        raw = content if isinstance(content, bytes) else (content or "").encode("utf-8", "surrogateescape")
        recipients = tuple(str(address) for address in envelope.rcpt_tos)
        self._mails.append(Mail(self._taken, datetime.now(UTC), envelope.mail_from or "", recipients, raw))
        return f"250 2.0.0 kept as mail {self._taken}"

    async def _listen(self) -> int:
        self._server = await self._loop.create_server(self._session, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def _session(self) -> SMTP:
        return SMTP(self, hostname="inbox.localhost", ident="mailworker demo", enable_SMTPUTF8=True, loop=self._loop)

    async def _hang_up(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
