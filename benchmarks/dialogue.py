"""The server's side of one SMTP session (RFC 5321; 2920 for PIPELINING, 3030 for CHUNKING): octets in, replies out.

Strict where a sender could be wrong, and no more than senders of this benchmark need.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache

from .ledger import Ledger

_COMMANDS, _CONTENT, _CHUNK, _REFUSED, _OVER = range(5)
GREETING = b"220 sink ESMTP\r\n"


@dataclass(frozen=True)
class Manner:
    """What the server announces, and how far away it is."""

    round_trip: float = 0
    """Seconds until a reply to what was received goes out; of the connection's opening, twice that."""
    pipelining: bool = True
    chunking: bool = True
    mails_per_connection: int = 0
    """After so many, MAIL is answered with 421 and the connection is closed; 0 for no limit."""
    bandwidth: float = 0
    """Octets a second that the line carries to the server, all connections together; 0 for no limit."""


class Dialogue:
    """One session. `feed` it what arrived."""

    __slots__ = ("chunks", "ledger", "mails", "manner", "missing", "mode", "recipients", "rest", "sender")

    def __init__(self, manner: Manner, ledger: Ledger) -> None:
        self.manner = manner
        self.ledger = ledger
        self.rest = b""
        self.mode = _COMMANDS
        self.sender = False
        self.recipients: list[bytes] = []
        self.chunks: list[bytes] = []
        self.missing = 0
        self.mails = 0

    def feed(self, octets: bytes, replies: list[bytes]) -> bool:
        """Appends the replies; True where the session ends with them. What comes after its end is not looked at."""
        rest = self.rest + octets if self.rest else octets
        position, end = 0, len(rest)
        while position < end and self.mode != _OVER:
            begun = position
            if self.mode == _CHUNK:
                position = self._chunk(rest, begun, replies)
            elif self.mode == _REFUSED:
                position = self._skip(rest, begun, replies)
            elif self.mode == _CONTENT:
                position = self._content(rest, begun, replies)
            else:
                stop = rest.find(b"\r\n", begun)
                if stop >= 0:
                    position = stop + 2
                    self._command(rest[begun:stop], replies)
                if begun < position < end and not self.manner.pipelining and self.mode == _COMMANDS:
                    self.ledger.fault("commands sent together without PIPELINING")
            if position == begun:
                break
        self.rest = rest[position:]
        return self.mode == _OVER

    def _chunk(self, octets: bytes, begin: int, replies: list[bytes]) -> int:
        """A piece of a BDAT; returns where it ends."""
        taken = min(self.missing, len(octets) - begin)
        self.chunks.append(octets[begin : begin + taken])
        self.missing -= taken
        if not self.missing:
            self._accepted(b"".join(self.chunks), False, replies)
        return begin + taken

    def _skip(self, octets: bytes, begin: int, replies: list[bytes]) -> int:
        """A piece of a BDAT without a recipient (RFC 3030, 2)."""
        taken = min(self.missing, len(octets) - begin)
        self.missing -= taken
        if not self.missing:
            self.mode = _COMMANDS
            replies.append(b"503 5.5.1 no recipient\r\n")
        return begin + taken

    def _content(self, octets: bytes, begin: int, replies: list[bytes]) -> int:
        """A piece of what follows DATA; returns where it ends. What may be the begin of its end is looked at again."""
        stop = octets.find(b"\r\n.\r\n", begin)
        end = stop + 2 if stop >= 0 else max(begin, len(octets) - 4)
        self.chunks.append(octets[begin:end])
        if stop < 0:
            return end
        self._accepted(b"".join(self.chunks), True, replies)
        return stop + 5

    def _accepted(self, content: bytes, stuffed: bool, replies: list[bytes]) -> None:
        self.ledger.accept(time.monotonic() + self.manner.round_trip, self.recipients, content, stuffed)
        self.mails += 1
        self.mode = _COMMANDS
        self.sender = False
        self.recipients = []
        self.chunks = []
        replies.append(b"250 2.0.0 accepted\r\n")

    def _command(self, line: bytes, replies: list[bytes]) -> None:
        verb = line[:4].upper()
        if verb == b"MAIL":
            replies.append(self._mail())
        elif verb == b"RCPT" and self.sender:
            self.recipients.append(line[line.find(b"<") + 1 : line.find(b">")])
            replies.append(b"250 2.1.5 ok\r\n")
        elif verb == b"BDAT":
            self._bdat(line.split(), replies)
        elif verb == b"DATA" and self.recipients:
            self.mode = _CONTENT
            replies.append(b"354 go on\r\n")
        elif verb == b"EHLO":
            replies.append(_hello(self.manner))
        elif verb in (b"RSET", b"NOOP"):
            if verb == b"RSET":
                self.sender, self.recipients = False, []
            replies.append(b"250 2.0.0 ok\r\n")
        elif verb == b"QUIT":
            self.mode = _OVER
            replies.append(b"221 2.0.0 bye\r\n")
        else:
            replies.append(self._out_of_order())

    def _mail(self) -> bytes:
        most = self.manner.mails_per_connection
        if most and self.mails >= most:
            self.mode = _OVER
            return b"421 4.7.0 enough for one connection\r\n"
        if self.sender:
            return self._out_of_order()
        self.sender = True
        return b"250 2.1.0 ok\r\n"

    def _bdat(self, words: list[bytes], replies: list[bytes]) -> None:
        if self.manner.chunking and not self.sender and len(words) == 2:
            self.missing = int(words[1])  # a sender finds out whether it is skipped
            self.mode = _REFUSED
            return
        if not self.manner.chunking or not self.recipients or len(words) != 3 or words[2].upper() != b"LAST":
            replies.append(self._out_of_order())
            self.mode = _OVER  # what follows is content, and of unknown length
            return
        self.missing = int(words[1])
        self.mode = _CHUNK

    def _out_of_order(self) -> bytes:
        self.ledger.fault("a command unknown or out of order")
        return b"503 5.5.1 not now\r\n"


@cache
def _hello(manner: Manner) -> bytes:
    names = ["sink", "8BITMIME", "SIZE 52428800"]
    names += ["PIPELINING"] * manner.pipelining + ["CHUNKING"] * manner.chunking
    lines = [f"250-{name}" for name in names[:-1]] + [f"250 {names[-1]}"]
    return "\r\n".join([*lines, ""]).encode()
