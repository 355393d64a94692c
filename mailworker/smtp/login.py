"""Logging in (RFC 4954): each mechanism that both sides know, one round at most.

Relays refuse PLAIN and take LOGIN with the same password, and announce what they do not take. But a relay that counts
wrong passwords locks the account, so no mechanism is tried twice, what worked is tried first the next time, and a relay
that speaks of too many attempts is left alone.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Final, Protocol

from ..errors import SmtpError
from . import phrases
from .auth import Mechanism, known
from .relay import Relay
from .replies import Reply

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
    ours = known(relay, session.secure)
    wanted = [one for one in ours if one.name in offered.upper().split()]
    if not wanted:
        names = ", ".join(one.name for one in ours)
        raise SmtpError("AUTH", 0, f"the relay offers {offered or 'no login'}, and not {names}", configuration=True)
    favourite = _worked.get((relay.host, relay.port, relay.user))
    for mechanism in sorted(wanted, key=lambda one: one.name != favourite):
        if mechanism.name not in so_far.refused and _try(session, mechanism, so_far):
            return
    raise so_far.error()


def _try(session: Session, mechanism: Mechanism, so_far: Round) -> bool:
    """False where it was refused, and another may be taken."""
    relay = session.relay
    try:
        reply = _with_secret(session, mechanism, so_far)
    except SmtpError as error:
        if so_far.refused and not error.configuration and (error.code == 421 or session.ended_by_relay):
            raise (Ended() if _left(session, so_far) else so_far.error()) from error
        raise
    if reply.positive or (reply.code == 503 and "already" in reply.text.lower()):
        _worked[relay.host, relay.port, relay.user] = mechanism.name
        return True
    if reply.transient:
        raise SmtpError("AUTH", reply.code, f"{mechanism.name}: {_line(reply)}")
    so_far.refused[mechanism.name] = reply
    if phrases.LOGIN_LOCKED.is_in(reply.text):
        raise so_far.error()
    return False


def _left(session: Session, so_far: Round) -> bool:
    return any(one.name not in so_far.refused for one in known(session.relay, session.secure))


def _with_secret(session: Session, mechanism: Mechanism, so_far: Round) -> Reply:
    """A token that is refused is asked for anew, once: the same one would only be refused again."""
    tokens = session.relay.tokens
    if not mechanism.token or tokens is None:
        return _speak(session, mechanism, session.relay.password)
    token = tokens.get()
    reply = _speak(session, mechanism, token)
    if reply.code == 535 and not so_far.renewed:
        so_far.renewed = True
        if tokens.get(renew=True) != token:
            reply = _speak(session, mechanism, tokens.get())
    return reply


def _speak(session: Session, mechanism: Mechanism, secret: str) -> Reply:
    """The relay's last word to this mechanism."""
    dialogue = mechanism.dialogue(session.relay, secret)
    first = next(dialogue)
    reply = session.command(f"AUTH {mechanism.name}{'' if first is None else f' {_base64(first)}'}", "AUTH")
    reason = ""
    while reply.intermediate:
        reason = reason or _reason(reply.text)
        try:
            answer = dialogue.send(reply.text)
        except StopIteration:
            reply = _cancelled(session)
        else:
            reply = session.command(_base64(answer or ""), "AUTH")
    if not mechanism.token:
        return reply
    text = f"{reply.text} ({reason})" if reason else reply.text
    return Reply(reply.code, text.replace(secret, "***"))


def _cancelled(session: Session) -> Reply:
    """A challenge where none is due is cancelled (RFC 4954, 4)."""
    reply = session.command("*", "AUTH")
    return reply if not reply.positive and not reply.intermediate else Reply(501, "asks without end")


def _reason(challenge: str) -> str:
    """In the challenge with which a token is refused (RFC 7628, 3.2.2)."""
    try:
        text = base64.b64decode(challenge, validate=True).decode("utf-8", "replace")
    except ValueError:
        return ""
    match = re.search(r'"status"\s*:\s*"?([\w. -]{1,40})', text)
    return f"status {match[1]}" if match else ""


def _line(reply: Reply) -> str:
    return " ".join(reply.text.split())[:_SAID]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")
