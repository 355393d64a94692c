"""Opens a connection, in named steps: connect, TLS, greeting, EHLO, STARTTLS, login. And says why where that fails."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Callable
from typing import Final

from ..errors import SmtpError
from .connection import Connection
from .dial import dial
from .login import Ended, Round, log_in
from .relay import Relay, Security
from .replies import Reply
from .tls import is_tls, names, other, refused_later, secure, unusual

SILENT_TLS: Final = 2
SILENT: Final = 7
"""Seconds without a greeting, on port 465 and on others, after which it is looked at whether the relay waits for TLS.
Postfix's postscreen greets after 6."""


def open_connection(relay: Relay) -> Connection:
    """Ready for MAIL. Raises `SmtpError`; then nothing is left open."""
    tried = Round()
    while True:
        try:
            return _open(relay, tried)
        except Ended:  # each time with one mechanism less
            continue


def _open(relay: Relay, tried: Round) -> Connection:
    connection = Connection(relay, dial(relay))
    try:
        for step in _STEPS[relay.security]:
            step(connection)
        if relay.user:
            log_in(connection, connection.extensions.get("AUTH", ""), tried)
    except BaseException as error:
        connection.close(polite=False)
        if isinstance(error, SmtpError):
            raise _explained(connection, error) from error
        raise
    return connection


# The steps.


def _tls(connection: Connection) -> None:
    connection.secured(secure(connection.sock, connection.relay))


def _greeting(connection: Connection) -> None:
    """A relay that waits for TLS says nothing, and neither does a slow one. Which it is is looked at once."""
    relay = connection.relay
    whole = relay.deadlines.reply
    soon = min(whole, SILENT_TLS if relay.port == 465 else SILENT)
    if relay.security is Security.TLS or soon >= whole or connection.replies.wait(soon):
        _expect(connection.reply("greeting"), "greeting")
        return
    if is_tls(relay, soon):
        text = f"the relay waits for TLS on port {relay.port}: write {other(relay, 'smtps')} in MAILWORKER_SMTP_URL"
        raise SmtpError("greeting", 0, text, configuration=True)
    with connection.replies_within(whole - soon):
        _expect(connection.reply("greeting"), "greeting")


def _hello(connection: Connection) -> None:
    name = connection.relay.helo or _own_name(connection.sock)
    begun = time.monotonic()
    reply = connection.command(f"EHLO {name}", "EHLO")
    seconds = time.monotonic() - begun
    if reply.code in (500, 502, 504):
        _expect(connection.command(f"HELO {name}", "HELO"), "HELO")
        connection.greeted({}, seconds)
        return
    _expect(reply, "EHLO")
    connection.greeted(announced(reply.text), seconds)


def _starttls(connection: Connection) -> None:
    if not connection.has("STARTTLS"):
        text = f"the relay does not offer it: write {other(connection.relay, 'smtps')} where it speaks TLS from the"
        text += " start, or smtp:// where nobody can listen in on the way, in MAILWORKER_SMTP_URL"
        raise SmtpError("STARTTLS", 0, text, configuration=True)
    _expect(connection.command("STARTTLS", "STARTTLS"), "STARTTLS", configuration=True)


_STEPS: Final[dict[Security, tuple[Callable[[Connection], None], ...]]] = {
    Security.CLEAR: (_greeting, _hello),
    Security.STARTTLS: (_greeting, _hello, _starttls, _tls, _hello),
    Security.TLS: (_tls, _greeting, _hello),
}
"""Between the connection to the relay's address and the login."""


def _expect(reply: Reply, phase: str, configuration: bool = False) -> None:
    if not reply.positive:
        raise SmtpError(phase, reply.code, reply.text, configuration and not reply.transient)


def announced(text: str) -> dict[str, str]:
    """The extensions in the reply to EHLO: keywords in upper case, and their parameters. Of several lines for AUTH
    each counts, and some old relays say "AUTH=LOGIN", from before the keyword was settled."""
    extensions: dict[str, str] = {}
    for line in text.split("\n")[1:]:
        keyword, _, parameters = re.sub(r"[=\s]", " ", line.strip(), count=1).partition(" ")
        keyword = keyword.upper()
        if keyword == "AUTH":
            parameters = " ".join([extensions.get("AUTH", ""), parameters.replace("=", " ")]).strip()
        extensions[keyword] = parameters.strip()
    return extensions


def _own_name(sock: socket.socket) -> str:
    """An address literal (RFC 5321, 4.1.3). A look-up of the host's name may take seconds and prove nothing."""
    host = sock.getsockname()[0]
    return f"[IPv6:{host.partition('%')[0]}]" if ":" in host else f"[{host}]"


# What the error does not know itself.


def _explained(connection: Connection, error: SmtpError) -> SmtpError:
    """The names in a certificate, a port that is mostly another scheme's, what TLS 1.3 refuses after the hand-shake."""
    relay = connection.relay
    if error.phase == "TLS" and "not valid for" in error.text:
        return _with_names(relay, error)
    if error.phase == "greeting" and not error.code and not error.configuration and (hint := unusual(relay)):
        return SmtpError("greeting", 0, f"{error.text}; {hint} in MAILWORKER_SMTP_URL")
    if isinstance(error.__cause__, ssl.SSLError) and error.phase != "TLS":
        return refused_later(error.__cause__, relay) or error
    return error


def _with_names(relay: Relay, error: SmtpError) -> SmtpError:
    found: list[str] = []
    with contextlib.suppress(OSError, SmtpError):
        found = _names(relay)
    if not found:
        return error
    text = error.text.replace(": write a host", f": it is for {', '.join(found[:5])}: write a host")
    return SmtpError("TLS", 0, text, configuration=True)


def _names(relay: Relay) -> list[str]:
    """In the relay's certificate, over a connection of its own."""
    connection = Connection(relay, dial(relay))
    try:
        for step in _STEPS[relay.security]:
            if step is _tls:
                break
            step(connection)
        return names(connection.sock, relay)
    finally:
        connection.close(polite=False)
