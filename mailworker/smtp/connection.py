"""A connection's life: made (see `opening`), used, reused, broken off, closed. Foreign errors end here.

Not smtplib: its deadlines are per `recv`, so that a relay which sends an octet a second holds it for ever, and an
endless multi-line reply fills its memory.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Final

from ..errors import OutOfStep, SmtpError
from ..keepalive import FORGOTTEN
from .relay import Relay
from .replies import Reply, ReplyReader
from .wording import Wording
from .writing import Writer

SOON: Final = 0.8
"""Seconds for the answer of a connection that was idle."""


class Connection:
    """One session with a relay, greeted and logged in, ready for MAIL. Made by `opening`.

    Whoever finds out something about it says so by a method: nothing else changes what is known of it.
    """

    def __init__(self, relay: Relay, sock: socket.socket) -> None:
        self.relay = relay
        self.sock = sock
        self.replies = ReplyReader(sock)
        self.writer = Writer(sock, self.replies)
        self.secure = False
        self.extensions: dict[str, str] = {}
        self.largest = 0
        """Octets of a mail, at most; 0 where no limit was announced (RFC 1870, 4)."""
        self.wording = Wording()
        self.timeout = relay.deadlines.reply
        """Seconds for the reply to a command."""
        self.ehlo_took = 0.0
        """Seconds until the relay answered EHLO."""
        self.mails = 0
        """Mails begun, whatever became of them."""
        self.accepted = 0
        """Mails that the relay took."""
        self.clean = True
        """The last transaction ended well, so that MAIL may follow without RSET."""
        self.good_bye = False
        """The last reply was 421."""
        self.mistrusted: set[str] = set()
        """Extensions that the relay announced and does not know: not used any more, nor by the next connection."""
        self.suspected: set[str] = set()
        """The same, where it may as well have been something else: the next connection goes without."""
        self.proven: set[str] = set()
        """Groups of commands of which the relay has shown that it reads them, by what they begin with."""
        self.used_at = time.monotonic()
        self.broken = False
        """Nothing is to be sent over it any more."""

    # What it can.

    def has(self, extension: str) -> bool:
        return extension in self.extensions

    @property
    def pipelining(self) -> bool:
        return self.relay.pipelining and "PIPELINING" in self.extensions and "PIPELINING" not in self.mistrusted

    @property
    def dsn(self) -> bool:
        """Delivery status notifications (RFC 3461)."""
        return "DSN" in self.extensions and "DSN" not in self.mistrusted and self.relay.dsn

    @property
    def chunking(self) -> bool:
        """BDAT in the same write as MAIL and RCPT, which needs both extensions."""
        announced = "CHUNKING" in self.extensions and "CHUNKING" not in self.mistrusted
        return announced and self.relay.chunking and self.pipelining

    def mistrust(self, *extensions: str) -> None:
        self.mistrusted.update(extensions)

    def suspect(self, *extensions: str) -> None:
        self.suspected.update(extensions)

    def mark_proven(self, group: str) -> None:
        self.proven.add(group)

    # Its life: opened, used and used again, broken off or closed.

    def secured(self, sock: socket.socket) -> None:
        """Goes on inside TLS. What came in clear text before the hand-shake must not count as an answer inside it."""
        self.sock = sock
        self.replies = ReplyReader(sock)
        self.writer = Writer(sock, self.replies)
        self.secure = True

    def greeted(self, extensions: dict[str, str], seconds: float) -> None:
        """The relay has answered our name after so many seconds, with what it can."""
        self.extensions = extensions
        size = extensions.get("SIZE", "")
        self.largest = int(size) if size.isdecimal() and len(size) < 20 else 0
        self.ehlo_took = seconds

    def reusable(self) -> bool:
        """True where the next mail may go over this connection."""
        return (
            not self.broken
            and self.mails < self.relay.mails
            and time.monotonic() - self.used_at < self.relay.idle
            and not self.replies.stale()
        )

    def answers(self) -> bool:
        """False where the connection was idle for a while and something on the way has forgotten it meanwhile: found
        out before any mail is trusted to it, and soon. A relay that is only slow gets a new connection."""
        if time.monotonic() - self.used_at < FORGOTTEN:
            return True
        try:
            with self.replies_within(max(SOON, 2 * self.ehlo_took)):
                return self.command("NOOP", "MAIL").code < 500 and not self.replies.waiting()
        except SmtpError:
            return False
        finally:
            self.used()

    def used(self) -> None:
        """Up to now. From here on it is idle."""
        self.used_at = time.monotonic()

    def break_off(self) -> None:
        """What is under way stays as it is: not even QUIT may follow it."""
        self.broken = True

    @property
    def ended_by_relay(self) -> bool:
        """It said 421, closed or reset; False where it is good, late or talks nonsense."""
        return self.good_bye or self.replies.closed

    def closes(self) -> bool:
        """True where the relay, after 421, says nothing more and closes (RFC 5321, 3.8). One that stays open may have
        said it at any time, and go on to answer what it was asked."""
        try:
            self.replies.read("good-bye", 1)
        except SmtpError:
            return self.replies.closed
        return False

    def close(self, polite: bool = True) -> None:
        """Says QUIT where that makes sense, and does not wait for the answer. Never raises."""
        with contextlib.suppress(OSError):
            if polite and not self.broken:
                self.write([b"QUIT\r\n"], "QUIT", 1)
        with contextlib.suppress(OSError):
            self.sock.close()
        self.broken = True

    # A mail.

    def begin_mail(self) -> bool:
        """True where RSET is due before its MAIL."""
        reset = not self.clean
        self.clean = False
        self.mails += 1
        return reset

    def transaction_over(self) -> None:
        """The relay has nothing left of it that the next mail could get."""
        self.clean = True

    def mail_taken(self) -> None:
        self.accepted += 1

    # What is written.

    def command(self, line: str, phase: str) -> Reply:
        self.write([line.encode("utf-8") + b"\r\n"], phase, self.relay.deadlines.reply)
        return self.reply(phase)

    @property
    def written(self) -> int:
        """Octets of the last `write` that left this process."""
        return self.writer.written

    def nothing_written(self) -> None:
        """Of what is to be written next: an error that comes before the write must not find the count of the last."""
        self.writer.written = 0

    def write(self, parts: Sequence[bytes], phase: str, seconds: float) -> None:
        """See `Writer.write`."""
        self.writer.write(parts, phase, seconds)

    # What is read.

    @contextlib.contextmanager
    def replies_within(self, seconds: float) -> Iterator[None]:
        """Within the block so many seconds are the time for the reply to a command."""
        self.timeout = seconds
        try:
            yield
        finally:
            self.timeout = self.relay.deadlines.reply

    def reply(self, phase: str) -> Reply:
        """The reply to a command.

        Raises `SmtpError` with its code where the relay says good-bye (421: RFC 5321, 3.8), which it may at any
        time; it then reads nothing of what is still on its way.
        """
        reply = self.replies.read(phase, self.timeout)
        self.good_bye = reply.code == 421
        if self.good_bye:
            raise SmtpError(phase, 421, reply.text)
        return reply

    def reply_or_good_bye(self, phase: str, seconds: float) -> Reply:
        """A reply that may be 421 and still answers: `good_bye` says so."""
        reply = self.replies.read(phase, seconds)
        self.good_bye = reply.code == 421
        return reply

    def expect_silence(self, phase: str, content: bool = False) -> None:
        """To be called before a command while no reply is due: what is here already answers nothing.

        Raises `OutOfStep` where something is. Good-bye may come at any time (RFC 5321, 3.8): before a command it is
        left for its reply, before the content it raises.
        """
        waiting = self.replies.waiting()
        if not waiting:
            return
        if waiting.startswith(b"421") and content:
            self.reply(phase)
        if not waiting.startswith(b"421"):
            raise OutOfStep(phase, 0, "the relay said something that nobody asked for")
