"""SMTP replies (RFC 5321, 4.2) read from a socket, each as a whole within its deadline."""

from __future__ import annotations

import re
import select
import socket
import ssl
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ..errors import OutOfStep, SmtpError

LATE: Final = "no reply in time"
MAX_REPLY: Final = 64 * 1024
USUAL: Final = 512
"""Octets of a reply's line (RFC 5321, 4.5.3.1.5). Longer ones are not kept."""

MAX_UNREAD: Final = 8 * 1024 * 1024
"""Octets of replies that are kept while a long group of commands is still being written."""

_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)
"""Linux forgets it again and again. Without it a reply's acknowledgement waits 40 ms for something to travel with, and
a relay that answers a group of commands one by one, as Postfix does, sends the next reply no sooner (RFC 896)."""

_LINE = re.compile(rb"([2-5][0-9][0-9])([ -]|$)(.*)", re.DOTALL)
_CONTROL: Final = bytes({*range(32), 127} - {9})
"""Octets that say nothing in a reply: some relays end what they say with a NUL, and none is to reach a terminal."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`code` 200 to 599, and the text of all its lines with a line feed between them."""

    code: int
    text: str

    @property
    def positive(self) -> bool:
        """Done. What asks for more (3xx) is not: a 354 in the wrong place must never count as a mail taken."""
        return self.code < 300

    @property
    def intermediate(self) -> bool:
        return 300 <= self.code < 400

    @property
    def transient(self) -> bool:
        return 400 <= self.code < 500


@lru_cache(maxsize=32)
def _of_one_line(line: bytes) -> Reply | None:
    """None where the reply has more lines, or this is none. Most relays say the same to every MAIL and RCPT.

    So equal replies are one object: who answered what is never to be told by which object it is.
    """
    match = _parsed(line)
    if match is None or match[2] == b"-":
        return None
    return Reply(int(match[1]), match[3].decode("utf-8", "backslashreplace"))


def _parsed(line: bytes) -> re.Match[bytes] | None:
    return _LINE.fullmatch(line.translate(None, _CONTROL))


def _poll(sock: socket.socket) -> select.poll | None:
    """To ask whether anything is here, a fifth of what it costs to try to read. None where TLS may keep octets back,
    and where a library of greenlets has put its own sockets there, which ask another way."""
    if type(sock).__module__ != "socket":
        return None
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return poll


class ReplyReader:
    """The receiving half of a connection. Keeps what was received beyond the reply that was asked for."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.closed = False
        """The relay has closed or reset the connection."""
        self.count = 0
        """Replies read."""
        self._waits = True
        self._buffer = bytearray()
        self._poll = _poll(sock)

    @property
    def buffered(self) -> bool:
        """True where at least a line is here already."""
        return b"\n" in self._buffer

    def stale(self) -> bool:
        """True where the relay has closed, or said something nobody asked for, while the connection was idle."""
        self.collect()
        return self.closed or bool(self._buffer)

    def wait(self, seconds: float) -> bool:
        """True as soon as there is something to read, or the end of it."""
        if self._buffer or self.closed:
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def waiting(self) -> bytes:
        """What is here and was not asked for. To be looked at while no reply is due: before each command."""
        if not self._buffer and self._poll is not None and not self._poll.poll(0):
            return b""
        self.collect()
        return bytes(self._buffer)

    def collect(self) -> None:
        """Takes in what is here now, and does not wait."""
        if self.closed:
            return
        try:
            if self.sock.gettimeout() != 0:
                self.sock.settimeout(0)
            received = self.sock.recv(65536)
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError):
            return
        except OSError:
            received = b""
        self.closed = not received
        self._buffer += received

    def last_words(self) -> None:
        """Takes in all that is here. From now on nothing else is waited for."""
        self._waits = False
        size = -1
        while size < len(self._buffer) < MAX_UNREAD:
            size = len(self._buffer)
            self.collect()

    def overflows(self) -> bool:
        return len(self._buffer) > MAX_UNREAD

    def read(self, phase: str, seconds: float) -> Reply:
        """The next reply.

        Raises `SmtpError` with code 0 when the relay closes or is late, `OutOfStep` where it answers what is not SMTP.
        """
        deadline = 0.0
        end = self._buffer.find(b"\n")
        if end < 0:
            deadline = time.monotonic() + seconds
            line = self._line(phase, deadline)
        else:
            line = self._take(end)
        self.count += 1
        reply = _of_one_line(line) if len(line) <= USUAL else None
        if reply is None:
            return self._of_more_lines(line, phase, deadline or time.monotonic() + seconds)
        return reply

    def _of_more_lines(self, line: bytes, phase: str, deadline: float) -> Reply:
        lines: list[str] = []
        size = 0
        code = b""
        while True:
            size += len(line)
            match = _parsed(line)
            if match is None or size > MAX_REPLY or match[1] != (code or match[1]):
                raise OutOfStep(phase, 0, "what the relay answered is not an SMTP reply")
            code = match[1]
            lines.append(match[3].decode("utf-8", "backslashreplace"))
            if match[2] != b"-":
                return Reply(int(match[1]), "\n".join(lines))
            line = self._line(phase, deadline)

    def _line(self, phase: str, deadline: float) -> bytes:
        searched = 0
        while True:
            end = self._buffer.find(b"\n", searched)
            if end >= 0:
                return self._take(end)
            searched = len(self._buffer)
            if searched > MAX_REPLY:
                raise OutOfStep(phase, 0, "the relay's reply has no end")
            self._buffer += self._receive(phase, deadline)

    def _take(self, end: int) -> bytes:
        """The line that ends here."""
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.removesuffix(b"\r")

    def _receive(self, phase: str, deadline: float) -> bytes:
        left = deadline - time.monotonic()
        if self.closed:
            raise SmtpError(phase, 0, "the relay closed the connection")
        if left <= 0 or not self._waits:
            raise SmtpError(phase, 0, LATE)
        try:
            self.sock.settimeout(left)
            if _QUICKACK is not None:
                self.sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
            received = self.sock.recv(65536)
        except TimeoutError:
            raise SmtpError(phase, 0, LATE) from None
        except OSError as error:
            self.closed = True
            raise SmtpError(phase, 0, f"the relay closed the connection ({type(error).__name__})") from error
        if not received:
            self.closed = True
            raise SmtpError(phase, 0, "the relay closed the connection")
        return received
