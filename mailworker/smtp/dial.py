"""A TCP connection to one of the relay's addresses."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import time
from typing import Any, Final

from .. import keepalive
from ..errors import SmtpError
from .relay import Relay

SHARE: Final = 0.5
"""Seconds that an address has for itself. Then the next one is tried beside it, as RFC 8305 does."""

_Address = tuple[Any, ...]
_worked: dict[tuple[str, int], Any] = {}
"""By host and port, the address that was reached last: tried first from then on."""


def dial(relay: Relay) -> socket.socket:
    """The first that answers, all within one deadline. Raises `SmtpError`, with what each address said."""
    deadline = time.monotonic() + relay.deadlines.connect
    attempts = _Attempts(relay)
    try:
        return attempts.race(deadline)
    finally:
        attempts.close()


class _Attempts:
    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.left = _addresses(relay)
        self.several = len(self.left) > 1
        self.under_way: dict[int, tuple[socket.socket, Any]] = {}
        self.failures: dict[str, str] = {}

    def race(self, deadline: float) -> socket.socket:
        next_at = 0.0
        while self.left or self.under_way:
            now = time.monotonic()
            if now >= deadline:
                break
            if self.left and (not self.under_way or now >= next_at):
                self._start(self.left.pop(0))
                next_at = now + SHARE
            elif (winner := self._wait(min(deadline, next_at) if self.left else deadline)) is not None:
                return winner
        for _, address in self.under_way.values():
            self.failures[str(address[0])] = "no connection in time"
        raise SmtpError("connect", 0, self._said())

    def _start(self, entry: _Address) -> None:
        family, kind, protocol, _, address = entry
        sock = None
        try:
            sock = socket.socket(family, kind, protocol)
            _prepare(sock)
            sock.setblocking(False)
            code = sock.connect_ex(address)
        except OSError as error:
            code = error.errno or errno.EIO
        if sock is not None and code in (0, errno.EINPROGRESS, errno.EAGAIN, errno.EWOULDBLOCK):
            self.under_way[sock.fileno()] = (sock, address)
            return
        self._failed(sock, address, code)

    def _wait(self, until: float) -> socket.socket | None:
        poll = select.poll()
        for number in self.under_way:
            poll.register(number, select.POLLOUT)
        for number, _ in poll.poll(max(0, until - time.monotonic()) * 1000 + 1):
            sock, address = self.under_way.pop(number)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code == 0:
                _worked[self.relay.host, self.relay.port] = address
                return sock
            self._failed(sock, address, code)
        return None

    def _failed(self, sock: socket.socket | None, address: Any, code: int) -> None:
        if sock is not None:
            sock.close()
        # It had answered, and ended the connection before anybody looked: the same as a moment later.
        reset = code == errno.ECONNRESET
        text = "the relay closed the connection (ConnectionResetError)" if reset else os.strerror(code)
        self.failures[str(address[0])] = text

    def _said(self) -> str:
        if not self.several:
            return next(iter(self.failures.values()), "no connection in time")
        return "; ".join(f"{place}: {text}" for place, text in self.failures.items()) or "no connection in time"

    def close(self) -> None:
        for sock, _ in self.under_way.values():
            sock.close()


def _prepare(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in keepalive.options().items():
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _addresses(relay: Relay) -> list[_Address]:
    """In the resolver's order, but the one that worked last goes first."""
    try:
        entries: list[_Address] = list(socket.getaddrinfo(relay.host, relay.port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        text = getattr(error, "strerror", None) or "not a host name"
        raise SmtpError("connect", 0, text) from error
    worked = _worked.get((relay.host, relay.port))
    return sorted(entries, key=lambda entry: entry[4] != worked)
