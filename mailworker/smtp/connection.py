"""A connection's life: open, greet, secure, log in, be reused, be closed. Foreign errors end here.

Not smtplib: its deadlines are per `recv`, so that a relay which sends an octet a second holds it for ever, and an
endless multi-line reply fills its memory.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import math
import select
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final

from ..errors import OutOfStep, SmtpError
from .kinds import Kinds
from .relay import Relay, Security
from .replies import Reply, ReplyReader

LARGE: Final = 64 * 1024
"""Octets above which joining for the sake of one segment costs more than it saves."""


class Connection:
    """One session with a relay, greeted and logged in, ready for MAIL. Made by `open_connection`."""

    def __init__(self, relay: Relay, sock: socket.socket) -> None:
        self.relay = relay
        self.sock = sock
        self.replies = ReplyReader(sock)
        self.extensions: dict[str, str] = {}
        self.secure = False
        self.mails = 0
        """Mails begun, whatever became of them."""
        self.accepted = 0
        """Mails that the relay took."""
        self.clean = True
        """The last transaction ended well, so that MAIL may follow without RSET."""
        self.written = 0
        """Octets of the last `write` that left this process."""
        self.mistrusted: set[str] = set()
        """Extensions that the relay announced and does not know: not used any more, nor by the next connection."""
        self.suspected: set[str] = set()
        """The same, where it may as well have been something else: the next connection goes without."""
        self.proven: set[str] = set()
        """Groups of commands of which the relay has shown that it reads them, by what they begin with."""
        self.kinds = Kinds()
        self.patience = relay.deadlines.reply
        """Seconds for the reply to a command."""
        self.good_bye = False
        self.used_at = time.monotonic()
        self.broken = False

    def has(self, extension: str) -> bool:
        return extension in self.extensions

    @property
    def pipelining(self) -> bool:
        return self.relay.pipelining and self.has("PIPELINING") and "PIPELINING" not in self.mistrusted

    @property
    def chunking(self) -> bool:
        """BDAT in the same write as MAIL and RCPT, which needs both extensions."""
        return self.relay.chunking and self.pipelining and self.has("CHUNKING") and "CHUNKING" not in self.mistrusted

    @property
    def ended_by_relay(self) -> bool:
        """It said 421, closed or reset; False where it is good, late or talks nonsense."""
        return self.good_bye or self.replies.closed

    def reusable(self) -> bool:
        """True where the next mail may go over this connection."""
        return (
            not self.broken
            and self.mails < self.relay.mails
            and time.monotonic() - self.used_at < self.relay.idle
            and not self.replies.stale()
        )

    def write(self, parts: Sequence[bytes], phase: str, seconds: float) -> None:
        """All parts within the deadline, taking in replies meanwhile: neither side ever waits for the other to read
        (RFC 2920, 3.1). Large parts are not copied.

        Raises `SmtpError` with code 0; then `written` says how much may have arrived.
        """
        deadline = time.monotonic() + seconds
        self.written = 0
        try:
            self.sock.settimeout(0)
            for packet in _packets(parts):
                self._write(memoryview(packet), phase, deadline)
        except SmtpError:
            raise
        except OSError as error:
            self.replies.last_words()
            self.replies.closed = True
            raise SmtpError(phase, 0, f"the relay closed the connection ({type(error).__name__})") from error

    def _write(self, octets: memoryview, phase: str, deadline: float) -> None:
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
                octets = octets[sent:]

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

    def reply(self, phase: str) -> Reply:
        """The reply to a command.

        Raises `SmtpError` with its code where the relay says good-bye (421: RFC 5321, 3.8), which it may at any
        time; it then reads nothing of what is still on its way.
        """
        reply = self.replies.read(phase, self.patience)
        if reply.code == 421:
            self.good_bye = True
            raise SmtpError(phase, 421, reply.text)
        return reply

    def expect_silence(self, phase: str, content: bool = False) -> None:
        """To be called before a command while no reply is due: what is here already answers nothing.

        Raises `OutOfStep` where something is. Good-bye may come at any time (RFC 5321, 3.8): before a command it is
        left for its reply, before the content it raises.
        """
        waiting = self.replies.waiting()
        if waiting.startswith(b"421") and content:
            self.reply(phase)
        if waiting and not waiting.startswith(b"421"):
            raise OutOfStep(phase, 0, "the relay said something that nobody asked for")

    def command(self, line: str, phase: str) -> Reply:
        self.write([line.encode("utf-8") + b"\r\n"], phase, self.relay.deadlines.reply)
        return self.reply(phase)

    def close(self, polite: bool = True) -> None:
        """Says QUIT where that makes sense, and does not wait for the answer. Never raises."""
        with contextlib.suppress(OSError):
            if polite and not self.broken:
                self.write([b"QUIT\r\n"], "QUIT", 1)
        with contextlib.suppress(OSError):
            self.sock.close()
        self.broken = True


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


def open_connection(relay: Relay) -> Connection:
    """Connects, greets, secures and logs in. Raises `SmtpError`; then nothing is left open."""
    connection = Connection(relay, _connect(relay))
    try:
        if relay.security is Security.TLS:
            _secure(connection)
        _expect(connection.reply("greeting"), "greeting")
        _hello(connection)
        if relay.security is Security.STARTTLS:
            _starttls(connection)
        if relay.user:
            _log_in(connection)
    except BaseException:
        connection.close(polite=False)
        raise
    return connection


def _connect(relay: Relay) -> socket.socket:
    """One of the relay's addresses, all of them within one deadline."""
    deadline = time.monotonic() + relay.deadlines.connect
    failure = SmtpError("connect", 0, "no connection in time")
    for family, kind, protocol, _, address in _addresses(relay):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.settimeout(left)
            sock.connect(address)
        except BaseException as error:
            sock.close()
            if not isinstance(error, OSError):
                raise
            if not isinstance(error, TimeoutError):
                failure = SmtpError("connect", 0, error.strerror or type(error).__name__)
        else:
            return sock
    raise failure


def _addresses(relay: Relay) -> list[tuple[Any, ...]]:
    try:
        return list(socket.getaddrinfo(relay.host, relay.port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        text = getattr(error, "strerror", None) or "not a host name"
        raise SmtpError("connect", 0, text) from error


@cache
def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _secure(connection: Connection) -> None:
    relay = connection.relay
    try:
        context = _tls_context(relay.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SmtpError("TLS", 0, f"the CA file cannot be read: {error.strerror}", configuration=True) from error
    connection.sock.settimeout(relay.deadlines.reply)
    try:
        connection.sock = context.wrap_socket(connection.sock, server_hostname=relay.host)
    except ssl.SSLCertVerificationError as error:
        raise SmtpError("TLS", 0, f"bad certificate: {error.verify_message}", configuration=True) from error
    except TimeoutError:
        raise SmtpError("TLS", 0, "no hand-shake in time") from None
    except OSError as error:
        raise SmtpError("TLS", 0, f"hand-shake failed ({type(error).__name__})") from error
    # A new reader: what came in clear text before the hand-shake must not count as an answer inside it.
    connection.replies = ReplyReader(connection.sock)
    connection.secure = True


def _expect(reply: Reply, phase: str, configuration: bool = False) -> Reply:
    if not reply.positive:
        raise SmtpError(phase, reply.code, reply.text, configuration and not reply.transient)
    return reply


def _hello(connection: Connection) -> None:
    name = connection.relay.helo or _own_name(connection.sock)
    reply = connection.command(f"EHLO {name}", "EHLO")
    if reply.code in (500, 502, 504):
        connection.extensions = {}
        _expect(connection.command(f"HELO {name}", "HELO"), "HELO")
        return
    _expect(reply, "EHLO")
    # Some old relays announce "AUTH=LOGIN", from before the keyword was settled.
    lines = (line.replace("=", " ", 1).partition(" ") for line in reply.text.split("\n")[1:])
    connection.extensions = {keyword.upper(): parameters for keyword, _, parameters in lines}


def _own_name(sock: socket.socket) -> str:
    """An address literal (RFC 5321, 4.1.3). A look-up of the host's name may take seconds and prove nothing."""
    host = sock.getsockname()[0]
    return f"[IPv6:{host.partition('%')[0]}]" if ":" in host else f"[{host}]"


def _starttls(connection: Connection) -> None:
    if not connection.has("STARTTLS"):
        raise SmtpError("STARTTLS", 0, "the relay does not offer it", configuration=True)
    _expect(connection.command("STARTTLS", "STARTTLS"), "STARTTLS", configuration=True)
    _secure(connection)
    _hello(connection)


def _log_in(connection: Connection) -> None:
    """With the first mechanism that both sides know.

    In clear text CRAM-MD5 goes first, which does not show the password; inside TLS PLAIN, which any relay can check.
    """
    offered = connection.extensions.get("AUTH", "").upper().split()
    ways = {"PLAIN": _plain, "LOGIN": _login, "CRAM-MD5": _cram_md5}
    wanted = list(ways) if connection.secure else ["CRAM-MD5", "PLAIN", "LOGIN"]
    for mechanism in wanted:
        if mechanism in offered:
            reply = ways[mechanism](connection, connection.relay.user, connection.relay.password)
            _expect(reply, "AUTH", configuration=True)
            return
    raise SmtpError("AUTH", 0, "the relay offers neither CRAM-MD5, PLAIN nor LOGIN", configuration=True)


def _plain(connection: Connection, user: str, password: str) -> Reply:
    token = _base64(f"\0{user}\0{password}".encode())
    return connection.command(f"AUTH PLAIN {token}", "AUTH")


def _login(connection: Connection, user: str, password: str) -> Reply:
    for line in ("AUTH LOGIN", _base64(user.encode())):
        reply = connection.command(line, "AUTH")
        if not reply.intermediate:
            return reply
    return connection.command(_base64(password.encode()), "AUTH")


def _cram_md5(connection: Connection, user: str, password: str) -> Reply:
    challenge = connection.command("AUTH CRAM-MD5", "AUTH")
    if not challenge.intermediate:
        return challenge
    try:
        nonce = base64.b64decode(challenge.text, validate=True)
    except ValueError:
        raise SmtpError("AUTH", 0, "the relay's CRAM-MD5 challenge is not base64") from None
    digest = hmac.new(password.encode(), nonce, "md5").hexdigest()
    return connection.command(_base64(f"{user} {digest}".encode()), "AUTH")


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
