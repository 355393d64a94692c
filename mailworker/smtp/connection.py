"""A connection's life: open, greet, secure, log in, be reused, be closed. Foreign errors end here.

Not smtplib: its deadlines are per `recv`, so that a relay which sends an octet a second holds it for ever, and an
endless multi-line reply fills its memory.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import socket
import ssl
import time
from functools import cache

from ..errors import SmtpError
from .relay import Relay, Security
from .replies import Reply, ReplyReader


class Connection:
    """One session with a relay, greeted and logged in, ready for MAIL. Made by `open_connection`."""

    def __init__(self, relay: Relay, sock: socket.socket) -> None:
        self.relay = relay
        self.sock = sock
        self.replies = ReplyReader(sock)
        self.extensions: dict[str, str] = {}
        self.mails = 0
        self.used_at = time.monotonic()
        self.broken = False

    def has(self, extension: str) -> bool:
        return extension in self.extensions

    @property
    def pipelining(self) -> bool:
        return self.relay.pipelining and self.has("PIPELINING")

    @property
    def chunking(self) -> bool:
        """BDAT in the same write as MAIL and RCPT, which needs both extensions."""
        return self.relay.chunking and self.pipelining and self.has("CHUNKING")

    def reusable(self) -> bool:
        """True where the next mail may go over this connection."""
        return (
            not self.broken
            and self.mails < self.relay.mails
            and time.monotonic() - self.used_at < self.relay.idle
            and not self.replies.stale()
        )

    def write(self, octets: bytes, phase: str, seconds: float) -> None:
        """Raises `SmtpError` with code 0; then nobody knows how much arrived."""
        try:
            self.sock.settimeout(seconds)
            self.sock.sendall(octets)
        except TimeoutError:
            raise SmtpError(phase, 0, "the relay did not read in time") from None
        except OSError as error:
            raise SmtpError(phase, 0, f"connection lost ({type(error).__name__})") from error

    def command(self, line: str, phase: str) -> Reply:
        seconds = self.relay.deadlines.reply
        self.write(line.encode("utf-8") + b"\r\n", phase, seconds)
        return self.replies.read(phase, seconds)

    def close(self, polite: bool = True) -> None:
        """Says QUIT where that makes sense, and does not wait for the answer. Never raises."""
        with contextlib.suppress(OSError, SmtpError):
            if polite and not self.broken:
                self.write(b"QUIT\r\n", "QUIT", 1)
        with contextlib.suppress(OSError):
            self.sock.close()
        self.broken = True


def open_connection(relay: Relay) -> Connection:
    """Connects, greets, secures and logs in. Raises `SmtpError`; then nothing is left open."""
    connection = Connection(relay, _connect(relay))
    try:
        if relay.security is Security.TLS:
            _secure(connection)
        _expect(connection.replies.read("greeting", relay.deadlines.reply), "greeting")
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
    try:
        sock = socket.create_connection((relay.host, relay.port), timeout=relay.deadlines.connect)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except TimeoutError:
        raise SmtpError("connect", 0, "no connection in time") from None
    except OSError as error:
        raise SmtpError("connect", 0, error.strerror or type(error).__name__) from error
    return sock


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


def _expect(reply: Reply, phase: str, configuration: bool = False) -> Reply:
    if not reply.positive:
        raise SmtpError(phase, reply.code, reply.text, configuration and not reply.transient)
    return reply


def _hello(connection: Connection) -> None:
    name = connection.relay.helo or _own_name(connection.sock)
    reply = connection.command(f"EHLO {name}", "EHLO")
    if reply.code in (500, 502, 504):
        reply = connection.command(f"HELO {name}", "HELO")
        connection.extensions = {}
        _expect(reply, "HELO")
        return
    _expect(reply, "EHLO")
    lines = (line.partition(" ") for line in reply.text.split("\n")[1:])
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
    user, password = connection.relay.user, connection.relay.password
    offered = connection.extensions.get("AUTH", "").upper().split()
    if "CRAM-MD5" in offered:
        _cram_md5(connection, user, password)
    elif "PLAIN" in offered:
        token = _base64(f"\0{user}\0{password}".encode())
        _expect(connection.command(f"AUTH PLAIN {token}", "AUTH"), "AUTH", configuration=True)
    elif "LOGIN" in offered:
        _expect(connection.command("AUTH LOGIN", "AUTH"), "AUTH", configuration=True)
        _expect(connection.command(_base64(user.encode()), "AUTH"), "AUTH", configuration=True)
        _expect(connection.command(_base64(password.encode()), "AUTH"), "AUTH", configuration=True)
    else:
        raise SmtpError("AUTH", 0, "the relay offers neither CRAM-MD5, PLAIN nor LOGIN", configuration=True)


def _cram_md5(connection: Connection, user: str, password: str) -> None:
    challenge = _expect(connection.command("AUTH CRAM-MD5", "AUTH"), "AUTH", configuration=True)
    try:
        nonce = base64.b64decode(challenge.text, validate=True)
    except ValueError:
        raise SmtpError("AUTH", 0, "the relay's CRAM-MD5 challenge is not base64") from None
    digest = hmac.new(password.encode(), nonce, "md5").hexdigest()
    answer = _base64(f"{user} {digest}".encode())
    _expect(connection.command(answer, "AUTH"), "AUTH", configuration=True)


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
