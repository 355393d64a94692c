"""Logging in (RFC 4954): each mechanism that both sides know, one round at most.

Relays refuse PLAIN and take LOGIN with the same password, and announce what they do not take. But a relay that counts
wrong passwords locks the account, so no mechanism is tried twice, what worked is tried first the next time, and a relay
that speaks of too many attempts is left alone.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from ..errors import SmtpError
from .relay import Relay
from .replies import Reply

_LOCKED: Final = re.compile(r"lock|too many|disabled|suspend|blocked|attempts|throttl", re.IGNORECASE)
_SAID: Final = 200
"""Letters of a relay's refusal that are told."""

_worked: dict[tuple[str, int, str], str] = {}
"""By host, port and user, the mechanism that the relay took last."""


class Session(Protocol):
    """What logging in needs of a connection."""

    @property
    def relay(self) -> Relay: ...

    @property
    def secure(self) -> bool: ...

    @property
    def ended_by_relay(self) -> bool: ...

    def command(self, line: str, phase: str) -> Reply: ...


@dataclass
class Round:
    """What was tried so far. A relay that closes after a refusal gets the rest over another connection."""

    refused: dict[str, Reply] = field(default_factory=dict)
    renewed: bool = False
    """The token was refused, and asked for anew."""

    def told(self) -> str:
        return "; ".join(f"{name}: {reply.code} {_line(reply)}" for name, reply in self.refused.items())

    def error(self) -> SmtpError:
        last = list(self.refused.values())[-1]
        if len(self.refused) == 1:
            return SmtpError("AUTH", last.code, f"{next(iter(self.refused))}: {_line(last)}", configuration=True)
        return SmtpError("AUTH", last.code, f"refused with each mechanism: {self.told()}", configuration=True)


class Ended(Exception):
    """The relay closed the connection after a refusal; there is something left to try."""


def log_in(session: Session, offered: str, so_far: Round) -> None:
    """Raises `SmtpError`, whose `configuration` is true where the relay refused for good, and `Ended`."""
    relay = session.relay
    known = _known(relay, session.secure)
    wanted = [name for name in known if name in offered.upper().split()]
    if not wanted:
        raise SmtpError(
            "AUTH", 0, f"the relay offers {offered or 'no login'}, and not {', '.join(known)}", configuration=True
        )
    favourite = _worked.get((relay.host, relay.port, relay.user))
    for name in sorted(wanted, key=lambda one: one != favourite):
        if name not in so_far.refused and _try(session, name, so_far):
            return
    raise so_far.error()


def _known(relay: Relay, secure: bool) -> list[str]:
    """In clear text CRAM-MD5 goes first, which does not show the password; inside TLS PLAIN, which any relay can
    check."""
    passwords = ["PLAIN", "LOGIN", "CRAM-MD5"] if secure else ["CRAM-MD5", "PLAIN", "LOGIN"]
    if relay.tokens is None:
        return passwords
    return ["XOAUTH2", "OAUTHBEARER", *(passwords if relay.password else [])]


def _try(session: Session, name: str, so_far: Round) -> bool:
    relay = session.relay
    try:
        reply = _WAYS[name](session)
        if reply.code == 535 and name in _TOKENS and not so_far.renewed:
            so_far.renewed = True
            if _another_token(relay):
                reply = _WAYS[name](session)
    except SmtpError as error:
        if so_far.refused and not error.configuration and (error.code == 421 or session.ended_by_relay):
            raise (Ended() if _left(session, so_far) else so_far.error()) from error
        raise
    if reply.positive or (reply.code == 503 and "already" in reply.text.lower()):
        _worked[relay.host, relay.port, relay.user] = name
        return True
    if reply.transient:
        raise SmtpError("AUTH", reply.code, f"{name}: {_line(reply)}")
    so_far.refused[name] = reply
    if _LOCKED.search(reply.text):
        raise so_far.error()
    return False


def _left(session: Session, so_far: Round) -> bool:
    return any(name not in so_far.refused for name in _known(session.relay, session.secure))


def _plain(session: Session) -> Reply:
    token = _base64(f"\0{session.relay.user}\0{session.relay.password}".encode())
    reply = session.command(f"AUTH PLAIN {token}", "AUTH")
    return _done(session, session.command(token, "AUTH") if reply.intermediate else reply)


def _login(session: Session) -> Reply:
    relay = session.relay
    for line in ("AUTH LOGIN", _base64(relay.user.encode())):
        reply = session.command(line, "AUTH")
        if not reply.intermediate:
            return reply
    return _done(session, session.command(_base64(relay.password.encode()), "AUTH"))


def _cram_md5(session: Session) -> Reply:
    challenge = session.command("AUTH CRAM-MD5", "AUTH")
    if not challenge.intermediate:
        return challenge
    try:
        nonce = base64.b64decode(challenge.text, validate=True)
    except ValueError:
        return _done(session, challenge)
    digest = hmac.new(session.relay.password.encode(), nonce, "md5").hexdigest()
    return _done(session, session.command(_base64(f"{session.relay.user} {digest}".encode()), "AUTH"))


def _xoauth2(session: Session) -> Reply:
    """As Microsoft and Google describe it."""
    relay = session.relay
    token = _token(relay)
    return _bearer(session, "XOAUTH2", f"user={relay.user}\1auth=Bearer {token}\1\1", "", token)


def _oauthbearer(session: Session) -> Reply:
    """RFC 7628, 3.1; the name as in RFC 5801, 4."""
    relay = session.relay
    token = _token(relay)
    user = relay.user.replace("=", "=3D").replace(",", "=2C")
    text = f"n,a={user},\1host={relay.host}\1port={relay.port}\1auth=Bearer {token}\1\1"
    return _bearer(session, "OAUTHBEARER", text, "AQ==", token)


def _bearer(session: Session, name: str, text: str, dummy: str, token: str) -> Reply:
    """A refusal comes as a challenge with the reason in it, which wants an answer before the code (RFC 7628, 3.2.3)."""
    reply = session.command(f"AUTH {name} {_base64(text.encode())}", "AUTH")
    if not reply.intermediate:
        return _masked(reply, token)
    reason = _reason(reply.text)
    reply = _done(session, session.command(dummy, "AUTH"))
    return _masked(Reply(reply.code, f"{reply.text} ({reason})" if reason else reply.text), token)


def _token(relay: Relay) -> str:
    assert relay.tokens is not None
    return relay.tokens.get()


def _another_token(relay: Relay) -> bool:
    """True where there is another one now: the same one would only be refused again."""
    assert relay.tokens is not None
    before = relay.tokens.get()
    return relay.tokens.get(renew=True) != before


def _masked(reply: Reply, token: str) -> Reply:
    return Reply(reply.code, reply.text.replace(token, "***"))


def _reason(challenge: str) -> str:
    try:
        text = base64.b64decode(challenge, validate=True).decode("utf-8", "replace")
    except ValueError:
        return ""
    match = re.search(r'"status"\s*:\s*"?([\w. -]{1,40})', text)
    return f"status {match[1]}" if match else ""


def _done(session: Session, reply: Reply) -> Reply:
    """A challenge where none is due is cancelled (RFC 4954, 4)."""
    if not reply.intermediate:
        return reply
    cancelled = session.command("*", "AUTH")
    return cancelled if not cancelled.positive and not cancelled.intermediate else Reply(501, "asks without end")


def _line(reply: Reply) -> str:
    return " ".join(reply.text.split())[:_SAID]


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


_WAYS: Final[dict[str, Callable[[Session], Reply]]] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "CRAM-MD5": _cram_md5,
    "XOAUTH2": _xoauth2,
    "OAUTHBEARER": _oauthbearer,
}
_TOKENS: Final = ("XOAUTH2", "OAUTHBEARER")
