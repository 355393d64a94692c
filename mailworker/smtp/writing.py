"""The sending half of a connection: octets written within a deadline, while replies are taken in."""

from __future__ import annotations

import math
import select
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from typing import Final

from ..errors import SmtpError
from .replies import ReplyReader

LARGE: Final = 64 * 1024
"""Octets above which joining for the sake of one segment costs more than it saves."""

UNDER_WAY: Final = 4 * 1024 * 1024
"""Octets of content that is not answered, from which on no further mail is begun, nor even built: a window of large
mails would fill the memory, and such take longer than a reply."""


class Writer:
    """Of one socket. Counts what left this process."""

    def __init__(self, sock: socket.socket, replies: ReplyReader) -> None:
        self.sock = sock
        self.replies = replies
        self.written = 0
        """Octets of the last `write` that left this process."""

    def write(self, parts: Sequence[bytes], phase: str, seconds: float) -> None:
        """All parts within the deadline, taking in replies meanwhile: neither side ever waits for the other to read
        (RFC 2920, 3.1). Large parts are not copied.

        Raises `SmtpError` with code 0; then `written` says how much may have arrived.
        """
        deadline = time.monotonic() + seconds
        self.written = 0
        try:
            if self.sock.gettimeout() != 0:  # each time it is set is a call of the system
                self.sock.settimeout(0)
            for packet in [b"".join(parts)] if sum(map(len, parts)) <= LARGE else _packets(parts):
                self._write(packet, phase, deadline)
        except SmtpError:
            raise
        except OSError as error:
            self.replies.last_words()
            self.replies.closed = True
            raise SmtpError(phase, 0, f"the relay closed the connection ({type(error).__name__})") from error

    def _write(self, octets: bytes | memoryview, phase: str, deadline: float) -> None:
        while octets:
            events = select.POLLIN | select.POLLOUT
            try:
                sent = self.sock.send(octets)
            except (BlockingIOError, InterruptedError, ssl.SSLWantWriteError):
                self._wait(events, phase, deadline)
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN, phase, deadline)
            else:
                self.written += sent
                if sent == len(octets):
                    return
                octets = memoryview(octets)[sent:]

    def _wait(self, events: int, phase: str, deadline: float) -> None:
        """Until the socket takes more, or has something to read, which is then taken in."""
        poll = select.poll()
        poll.register(self.sock, events)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(math.ceil(left * 1000)):
            raise SmtpError(phase, 0, "the relay did not read in time")
        self.replies.collect()
        if self.replies.closed:
            raise SmtpError(phase, 0, "the relay closed the connection")
        if self.replies.overflows():
            raise SmtpError(phase, 0, "the relay answers without end")


def _packets(parts: Sequence[bytes]) -> Iterator[bytes]:
    """Small parts joined, so that a small mail is one segment; a large one as it is."""
    small: list[bytes] = []
    size = 0
    for part in parts:
        if size + len(part) > LARGE and small:
            yield b"".join(small)
            small, size = [], 0
        if len(part) > LARGE:
            yield part
        else:
            small.append(part)
            size += len(part)
    if small:
        yield b"".join(small)
