"""Pure: what a relay's words say beyond the one mail. Has it too many connections, a mail too many recipients, does it
refuse the site? And its words with the addresses masked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ..errors import SmtpError
from .replies import Reply
from .verdict import Verdict

_FLAGS: Final = re.IGNORECASE
_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:=]+@[^\s<>()\[\]\"',;:]+")
_VARIABLE = re.compile(r"\[[^\]\s]*\]|https?://\S+|\b(?=[\w.-]*\d)[\w.:-]{3,}|\d+", re.ASCII)
"""What differs between two replies that say the same: addresses of hosts, links, ids, times, numbers."""

_ENHANCED = re.compile(r"^\s*([245]\.\d{1,3}\.\d{1,3})\b")

# A relay that has enough connections.

_CROWDED = re.compile(
    r"too many (?:(?!messages|mails|errors|commands|recipients)\w+[ -]){0,3}?(?:connections?|sessions?|clients)\b"
    r"|\b(?:concurrent|simultaneous|parallel)\b.{0,40}\b(?:connections?|sessions?|logins?)\b"
    r"|\b(?:connections?|sessions?)\b.{0,40}\b(?:limit|exceed|maximum|concurren|simultaneous|reached)"
    r"|\b(?:limit|maximum|max(?:imum)? number)\b.{0,40}\b(?:connections?|sessions?)\b",
    _FLAGS | re.DOTALL,
)
_BEFORE_MAIL: Final = ("connect", "greeting", "EHLO", "HELO", "STARTTLS", "TLS", "AUTH", "MAIL")
_CROWD_CODES: Final = (421, 432, 450, 451, 452, 454, 550, 554)


def crowded(phase: str, code: int, text: str) -> bool:
    """The relay says that it has too many connections of ours."""
    if phase not in _BEFORE_MAIL or code not in _CROWD_CODES:
        return False
    return _CROWDED.search(text) is not None or (code == 421 and re.search(r"\btoo many\W*$", text, _FLAGS) is not None)


def perhaps_crowded(error: SmtpError) -> bool:
    """The same, where it only closes, refuses or says 421 and not why."""
    if error.code == 421:
        return error.phase in ("greeting", "EHLO", "HELO")
    return error.code == 0 and error.phase in ("connect", "greeting", "EHLO", "TLS") and "in time" not in error.text


# A relay that takes so much in a time and no more.

_TOO_FAST = re.compile(
    r"too (?:many|much) (?:\w+ ){0,2}(?:e-?mails?|messages?|mails?)\b|too (?:fast|quickly)\b|slow down"
    r"|rate[- ]?limit|\b(?:sending|message|submission|mail|transmission|send|delivery)[- ]rate\b|throttl"
    r"|frequency.{0,20}limit|thread limit|\bper (?:\d+ )?(?:seconds?|minutes?|hours?|days?)\b"
    r"|(?:hourly|daily|sending|mail|messages?|sent|relay|credits?|outbound|outgoing)\b.{0,30}\b(?:quota|limits?)\b"
    r"|\b(?:quota|limit|rate|credits)\b.{0,40}\bexceeded|exceed\w*\b.{0,60}\b(?:quota|limit|rate)\b",
    _FLAGS | re.DOTALL,
)
_ANOTHERS_LIMIT = re.compile(
    r"^\s*4\.2\.|mailbox|over (?:his |her |their |its )?quota|disk|storage|\bsize\b|too (?:large|big)"
    r"|user you are trying|recipient thread|\brecipient (?:has|is|domain)|connections?\b|log ?in attempts",
    _FLAGS,
)


def too_fast(reply: Reply) -> bool:
    """For now, in words that speak of how much we send and not of whom it is for."""
    if not reply.transient or too_many_recipients(reply):
        return False
    return _TOO_FAST.search(reply.text) is not None and _ANOTHERS_LIMIT.search(reply.text) is None


def throttled(verdict: Verdict) -> bool:
    """The relay took this mail for nobody, as it has had enough for a while. Those behind it would fare no better."""
    final = verdict.final
    if final is None or final.code == 421 or not too_fast(final):
        return False
    return verdict.phase in ("MAIL", "DATA", "message") or all(map(too_fast, verdict.recipients))


# Too many recipients.

_TOO_MANY = re.compile(
    r"too many (?:\w+ ){0,2}(?:recipients?|rcpts?|addresses|receivers)\b"
    r"|\b(?:recipients?|rcpts?)\b.{0,30}\b(?:limit|exceed|maximum|too many)"
    r"|\b(?:limit|maximum|max)\b.{0,30}\b(?:recipients|rcpts)\b",
    _FLAGS | re.DOTALL,
)
_FULL_MAILBOX = re.compile(r"mailbox|quota|user|account|^\s*[245]\.2\.", _FLAGS)


def too_many_recipients(reply: Reply) -> bool:
    """The relay says so, whatever the code (RFC 5321, 4.5.3.1.10, and what others made of it)."""
    if reply.code < 400:
        return False
    said = _ENHANCED.match(reply.text)
    return (said is not None and said[1].endswith(".5.3")) or _TOO_MANY.search(reply.text) is not None


def likely_too_many_recipients(reply: Reply) -> bool:
    """A 452, or a 552 that counts as one, without words for it: so where others were taken before this one."""
    return reply.code in (452, 552) and _FULL_MAILBOX.search(reply.text) is None


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


_LOGIN = re.compile(
    r"auth(?:entication|entifi\w+|orization)?\b.{0,20}\b(?:required|needed|first|failed|fails)|\bneed auth\b"
    r"|un-?authenticated|requires? (?:smtp )?auth|(?:turn on|enable) (?:smtp )?auth|pop before smtp"
    r"|not (?:been )?(?:authenticated|logged in|authorized|authorised|permitted)\b"
    r"|(?:authenticate|log ?in) first|must (?:first )?(?:authenticate|log ?in)",
    _FLAGS,
)
_RELAYING = re.compile(
    r"relay(?:ing)?\b.{0,30}\b(?:denied|prohibited|not (?:permitted|allowed)|refused|disallowed)"
    r"|not (?:permitted|allowed) to relay"
    r"|unable to relay|cannot relay|we do not relay|no relaying|relay access|relaynotpermitted|credentials for relay"
    r"|\brcpthosts\b|delivery is not allowed to this address|non-?local|not a gateway",
    _FLAGS,
)
_SENDER = re.compile(
    r"\bsend(?:er)?\b.{0,60}\b(?:not owned|not allowed|not permitted|denied|must be|does not match"
    r"|mismatch|unverified|not verified)"
    r"|send as this sender|sendas(?:denied)?|not (?:permitted|allowed|have permissions?) to send|permissions? to send"
    r"|mail from\b.{0,60}\b(?:must|not|same)|sender address rejected|sender (?:verify|address|domain)|from address"
    r"|not verified|unverified (?:address|sender|domain)|domain (?:is )?not (?:verified|allowed)"
    r"|account .{0,40}(?:suspended|disabled|blocked)",
    _FLAGS,
)
_QUOTA = re.compile(
    r"\b(?:sending|submission|outgoing|outbound|relay|daily|hourly|messages?|e?mails?) ?(?:\w+ ){0,2}"
    r"(?:quota|limits?)\b"
    r"|submission ?quota|exceeded your\b.{0,40}\b(?:quota|limit)|\bper (?:minute|hour|day)\b"
    r"|rate (?:limit )?exceeded|rate limit|tenant has exceeded|sending activity|test purposes only",
    _FLAGS | re.DOTALL,
)
_NO_QUOTA = re.compile(
    r"\bsize\b|mailbox|\b(?:e?mail|user's?) quota|recipient (?:has|is|domain)|user (?:has|is)"
    r"|spam|score|length|\bhops?\b|\blines?\b",
    _FLAGS,
)
_CLIENT = re.compile(
    r"client host|blocked using|(?:black|block|deny)-?list(?:ed)?|\brbl\b|dnsbl|spamhaus|barracuda"
    r"|your (?:ip|host|server|address)"
    r"|ip (?:address )?.{0,40}(?:blocked|blacklisted|listed|not allowed|rejected)"
    r"|reverse (?:dns|hostname|lookup)|\bptr\b|helo command rejected",
    _FLAGS,
)
_RECIPIENT = re.compile(
    r"user|mailbox|recipient|no such|account|address|unknown|disabled|inactive|does not exist|not found|alias"
    r"|domain|host|route"
    r"|quota|full|invalid|undeliverable|delivery error|mail ?box",
    _FLAGS,
)
_CONTENT = re.compile(
    r"spam|virus|malware|phish|content|attachment|header|subject|message-id|bare lf|line (?:too )?long"
    r"|too (?:large|big)|size"
    r"|dkim|spf|dmarc|score|policy|bulk|unsolicited|url|link|looks like|loop|hops|duplicate|8bit|smtputf8|conversion",
    _FLAGS,
)
_SITES_CODES: Final = (530, 534, 535, 538, 571)
_THIS_MAIL: Final = re.compile(r"5\.3\.4|5\.2\.3|5\.6\.\d+|\bsize\b|too (?:large|big)|smtputf8|utf-?8|8bit", _FLAGS)


def refusal(verdict: Verdict) -> Refusal | None:
    """What in this verdict may be meant for every mail of the site; None where somebody was taken, where it is about
    this mail or its recipients, or no final refusal."""
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
    return Refusal(
        f"{verdict.phase} {first.code} {same}", enough, f"{verdict.phase}: {first.code} {masked(first.text)}"
    )


def _enough(phase: str, reply: Reply) -> int | None:
    text = _ADDRESS.sub("", reply.text)
    said = _ENHANCED.match(reply.text)
    about = said[1] if said else ""
    if phase == "MAIL":  # the sender is always the same
        if _THIS_MAIL.search(text):
            return None
        plain = _LOGIN.search(text) or _SENDER.search(text) or _RELAYING.search(text) or _quota(text, about)
        return PLAIN if plain else CERTAIN
    if about != "5.5.3" and _quota(text, about):
        return CERTAIN
    if too_many_recipients(reply):
        return None
    if reply.code in _SITES_CODES or _LOGIN.search(text) or _RELAYING.search(text):
        return CERTAIN
    return _of_recipients(text, about) if phase == "RCPT" else _of_contents(text, about)


def _quota(text: str, about: str) -> bool:
    """So much in a time and no more, told as if it were for good."""
    if about.startswith("5.2.") and "submission" not in text.lower():
        return False
    return _QUOTA.search(text) is not None and _NO_QUOTA.search(text) is None


def _of_recipients(text: str, about: str) -> int | None:
    senders = about in ("5.1.7", "5.1.8", "5.1.0")
    if about.startswith(("5.2.", "5.4.")) or (about.startswith("5.1.") and not senders):
        return None
    if _CLIENT.search(text) or (_SENDER.search(text) and not re.search("recipient", text, _FLAGS)):
        return CERTAIN
    return None if about == "5.1.0" or _RECIPIENT.search(text) else LIKELY


def _of_contents(text: str, about: str) -> int | None:
    if about in ("5.7.60", "5.7.64", "5.4.5") or _SENDER.search(text):
        return CERTAIN
    if _CONTENT.search(text):
        return None
    if _CLIENT.search(text):
        return CERTAIN
    return None if _RECIPIENT.search(text) or _THIS_MAIL.search(text) else LIKELY


def wants_login(reply: Reply) -> bool:
    """To MAIL: the relay wants a login first, by its words and not by the code for it."""
    return reply.code >= 500 and _LOGIN.search(_ADDRESS.sub("", reply.text)) is not None


def masked(text: str) -> str:
    """On one line, without addresses of people."""
    return " ".join(_ADDRESS.sub("…", text).split())[:300]


def normal(text: str) -> str:
    """The same for two replies that say the same of two mails."""
    said = _ENHANCED.match(text)
    return f"{said[1] if said else ''} {_VARIABLE.sub('#', masked(text)).lower()}"
