"""Pure: what a refusal means beyond the one mail. Has the relay too many connections, a mail too many recipients, does
it refuse the site? By its code and its words, which stand in `phrases`. And its words with the addresses masked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ..errors import SmtpError
from . import phrases
from .replies import Reply
from .verdict import Verdict

_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:=]+@[^\s<>()\[\]\"',;:]+")
_VARIABLE = re.compile(r"\[[^\]\s]*\]|https?://\S+|\b(?=[\w.-]*\d)[\w.:-]{3,}|\d+", re.ASCII)
"""What differs between two replies that say the same: addresses of hosts, links, ids, times, numbers."""

_ENHANCED = re.compile(r"^\s*([245]\.\d{1,3}\.\d{1,3})\b")

# A relay that has enough connections.

_BEFORE_MAIL: Final = ("connect", "greeting", "EHLO", "HELO", "STARTTLS", "TLS", "AUTH", "MAIL")
_CROWD_CODES: Final = (421, 432, 450, 451, 452, 454, 550, 554)


def crowded(phase: str, code: int, text: str) -> bool:
    """The relay says that it has too many connections of ours."""
    if phase not in _BEFORE_MAIL or code not in _CROWD_CODES:
        return False
    return phrases.TOO_MANY_CONNECTIONS.is_in(text) or (code == 421 and phrases.TOO_MANY.is_in(text))


def perhaps_crowded(error: SmtpError) -> bool:
    """The same, where it only closes, refuses or says 421 and not why."""
    if error.code == 421:
        return error.phase in ("greeting", "EHLO", "HELO")
    return error.code == 0 and error.phase in ("connect", "greeting", "EHLO", "TLS") and "in time" not in error.text


# A relay that takes so much in a time and no more.


def too_fast(reply: Reply) -> bool:
    """For now, in words that speak of how much we send and not of whom it is for."""
    if not reply.transient or too_many_recipients(reply):
        return False
    return phrases.TOO_FAST.is_in(reply.text)


def throttled(verdict: Verdict) -> bool:
    """The relay took this mail for nobody, as it has had enough for a while. Those behind it would fare no better."""
    final = verdict.final
    if final is None or final.code == 421 or not too_fast(final):
        return False
    return verdict.phase in ("MAIL", "DATA", "message") or all(map(too_fast, verdict.recipients))


# Too many recipients.


def too_many_recipients(reply: Reply) -> bool:
    """The relay says so, whatever the code (RFC 5321, 4.5.3.1.10, and what others made of it)."""
    if reply.code < 400:
        return False
    said = _ENHANCED.match(reply.text)
    return (said is not None and said[1].endswith(".5.3")) or phrases.TOO_MANY_RECIPIENTS.is_in(reply.text)


def likely_too_many_recipients(reply: Reply) -> bool:
    """A 452, or a 552 that counts as one, without words for it: so where others were taken before this one."""
    return reply.code in (452, 552) and not phrases.FULL_MAILBOX.is_in(reply.text)


# Refusals that are the site's.

PLAIN: Final = 1
CERTAIN: Final = 3
LIKELY: Final = 5
"""Mails in a row that are refused in the same words, until that is the configuration. A relay that has never taken a
mail needs no three where the words are certain."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """`said` is the same for all that were refused so; `enough` of them in a row open the breaker. `text` is for the
    operator: step, code and words, with the addresses masked."""

    said: str
    enough: int
    text: str


_SITES_CODES: Final = (530, 534, 535, 538, 571)


def refusal(verdict: Verdict, own_sender: bool = False) -> Refusal | None:
    """What in this verdict may be meant for every mail of the site; None where somebody was taken, where it is about
    this mail or its recipients, or no final refusal.

    With `own_sender` the mail's author is not the site's, and the relay has perhaps something against that one alone:
    more mails are wanted then.
    """
    replies = [verdict.final] if verdict.phase in ("MAIL", "DATA", "message") else list(verdict.recipients)
    if verdict.final is None or verdict.phase == "SMTPUTF8" or not replies:
        return None
    first = replies[0]
    if first is None or any(reply is None or reply.code < 500 for reply in replies):
        return None
    same = normal(first.text)
    if any(reply is not None and normal(reply.text) != same for reply in replies):
        return None
    enough = _enough(verdict.phase, first)
    if enough is None:
        return None
    if own_sender and _may_be_the_senders(verdict.phase, first):
        enough = LIKELY
    return Refusal(
        f"{verdict.phase} {first.code} {same}", enough, f"{verdict.phase}: {first.code} {masked(first.text)}"
    )


def _may_be_the_senders(phase: str, reply: Reply) -> bool:
    """At MAIL whatever does not speak of the login, of relaying or of a quota; elsewhere what speaks of a sender."""
    text, about = _ADDRESS.sub("", reply.text), _about(reply)
    if phrases.SENDER_REFUSED.is_in(text) or about in ("5.1.7", "5.1.8", "5.7.60"):
        return True
    of_the_site = phrases.LOGIN_WANTED.is_in(text) or phrases.RELAYING_DENIED.is_in(text) or _quota(text, about)
    return phase == "MAIL" and not of_the_site


def _about(reply: Reply) -> str:
    """Its enhanced status code (RFC 3463), empty where it has none."""
    said = _ENHANCED.match(reply.text)
    return said[1] if said else ""


def _enough(phase: str, reply: Reply) -> int | None:
    text, about = _ADDRESS.sub("", reply.text), _about(reply)
    if phase == "MAIL":  # nearly always by the same sender
        if phrases.ABOUT_THE_SIZE.is_in(text):
            return None
        against_the_site = (phrases.LOGIN_WANTED, phrases.SENDER_REFUSED, phrases.RELAYING_DENIED)
        plain = any(phrase.is_in(text) for phrase in against_the_site) or _quota(text, about)
        return PLAIN if plain else CERTAIN
    if about != "5.5.3" and _quota(text, about):
        return CERTAIN
    if too_many_recipients(reply):
        return None
    if reply.code in _SITES_CODES or phrases.LOGIN_WANTED.is_in(text) or phrases.RELAYING_DENIED.is_in(text):
        return CERTAIN
    return _of_recipients(text, about) if phase == "RCPT" else _of_contents(text, about)


def _quota(text: str, about: str) -> bool:
    """So much in a time and no more, told as if it were for good."""
    if about.startswith("5.2.") and "submission" not in text.lower():
        return False
    return phrases.QUOTA.is_in(text)


def _of_recipients(text: str, about: str) -> int | None:
    senders = about in ("5.1.7", "5.1.8", "5.1.0")
    if about.startswith(("5.2.", "5.4.")) or (about.startswith("5.1.") and not senders):
        return None
    if phrases.CLIENT_REFUSED.is_in(text) or (phrases.SENDER_REFUSED.is_in(text) and "recipient" not in text.lower()):
        return CERTAIN
    return None if about == "5.1.0" or phrases.ABOUT_THE_RECIPIENT.is_in(text) else LIKELY


def _of_contents(text: str, about: str) -> int | None:
    if about in ("5.7.60", "5.7.64", "5.4.5") or phrases.SENDER_REFUSED.is_in(text):
        return CERTAIN
    if phrases.ABOUT_THE_CONTENT.is_in(text):
        return None
    if phrases.CLIENT_REFUSED.is_in(text):
        return CERTAIN
    return None if phrases.ABOUT_THE_RECIPIENT.is_in(text) or phrases.ABOUT_THE_SIZE.is_in(text) else LIKELY


def wants_login(reply: Reply) -> bool:
    """To MAIL: the relay wants a login first, by its words and not by the code for it."""
    return reply.code >= 500 and phrases.LOGIN_WANTED.is_in(_ADDRESS.sub("", reply.text))


def masked(text: str) -> str:
    """On one line, without addresses of people."""
    return " ".join(_ADDRESS.sub("…", text).split())[:300]


def normal(text: str) -> str:
    """The same for two replies that say the same of two mails."""
    said = _ENHANCED.match(text)
    return f"{said[1] if said else ''} {_VARIABLE.sub('#', masked(text)).lower()}"
