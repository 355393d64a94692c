"""The mechanisms of AUTH (RFC 4954). Pure: what each says, and what it answers to a challenge.

A new one is a function and a line of the table.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final

from .relay import Relay

Dialogue = Generator[str | None, str, None]
"""Yields first what goes with AUTH, or None. Is sent each challenge as it stands in the reply, still in base64, and
yields the answer as plain text, which is encoded for it. Where it ends, a further challenge is cancelled."""


def plain(relay: Relay, password: str) -> Dialogue:
    """RFC 4616. A relay that reads nothing behind AUTH's name asks for it."""
    token = f"\0{relay.user}\0{password}"
    yield token
    yield token


def login(relay: Relay, password: str) -> Dialogue:
    """As in draft-murchison-sasl-login, whatever the challenges say."""
    yield None
    yield relay.user
    yield password


def cram_md5(relay: Relay, password: str) -> Dialogue:
    """RFC 2195."""
    challenge = yield None
    try:
        nonce = base64.b64decode(challenge, validate=True)
    except ValueError:
        return
    yield f"{relay.user} {hmac.new(password.encode(), nonce, 'md5').hexdigest()}"


def xoauth2(relay: Relay, token: str) -> Dialogue:
    """As Microsoft and Google describe it. A refusal comes as a challenge, which wants an answer before the code."""
    yield f"user={relay.user}\1auth=Bearer {token}\1\1"
    yield ""


def oauthbearer(relay: Relay, token: str) -> Dialogue:
    """RFC 7628, 3.1; the name as in RFC 5801, 4. A refusal comes as a challenge, too (3.2.3)."""
    user = relay.user.replace("=", "=3D").replace(",", "=2C")
    yield f"n,a={user},\1host={relay.host}\1port={relay.port}\1auth=Bearer {token}\1\1"
    yield "\1"


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A way to log in (RFC 4954), and what its dialogue needs."""

    name: str
    dialogue: Callable[[Relay, str], Dialogue]
    token: bool = False
    """Wants a token, and no password."""
    hides: bool = False
    """Does not show the password to who listens in."""


MECHANISMS: Final = (
    Mechanism("XOAUTH2", xoauth2, token=True),
    Mechanism("OAUTHBEARER", oauthbearer, token=True),
    Mechanism("PLAIN", plain),
    Mechanism("LOGIN", login),
    Mechanism("CRAM-MD5", cram_md5, hides=True),
)


def known(relay: Relay, secure: bool) -> list[Mechanism]:
    """Those for which there is a token or a password, in the order in which they are tried: in clear text what hides
    the password goes first, inside TLS what any relay can check."""
    tokens = [one for one in MECHANISMS if one.token and relay.tokens is not None]
    passwords = [one for one in MECHANISMS if not one.token and (relay.tokens is None or relay.password)]
    return tokens + (passwords if secure else sorted(passwords, key=lambda one: not one.hides))
