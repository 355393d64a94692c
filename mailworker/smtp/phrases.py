"""What relays say, as patterns: one table. A relay that says it otherwise is a line here. But for how long a relay asks
us to wait: that is read word by word, in `retry_after`.

`tests/unit/smtp/test_refusals.py` has the sentences that they were made from, with the servers that say them, and those
that sound alike and mean something else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words in a reply that mean something."""

    said: re.Pattern[str]
    unless: re.Pattern[str] | None = None
    """What shows that something else is meant."""

    def is_in(self, text: str) -> bool:
        return self.said.search(text) is not None and (self.unless is None or self.unless.search(text) is None)


def _phrase(said: str, unless: str = "", across_lines: bool = False) -> Phrase:
    flags = re.IGNORECASE | (re.DOTALL if across_lines else 0)
    return Phrase(re.compile(said, flags), re.compile(unless, re.IGNORECASE) if unless else None)


# How much the relay takes.

TOO_MANY_CONNECTIONS: Final = _phrase(
    r"too many (?:(?!messages|mails|errors|commands|recipients)\w+[ -]){0,3}?(?:connections?|sessions?|clients)\b"
    r"|\b(?:concurrent|simultaneous|parallel)\b.{0,40}\b(?:connections?|sessions?|logins?)\b"
    r"|\b(?:connections?|sessions?)\b.{0,40}\b(?:limit|exceed|maximum|concurren|simultaneous|reached)"
    r"|\b(?:limit|maximum|max(?:imum)? number)\b.{0,40}\b(?:connections?|sessions?)\b",
    across_lines=True,
)
"""At once, from us. Postfix, Exim, Exchange Online."""

TOO_MANY: Final = _phrase(r"\btoo many\W*$")
"""And not of what: to a connection, it is connections."""

TOO_FAST: Final = _phrase(
    r"too (?:many|much) (?:\w+ ){0,2}(?:e-?mails?|messages?|mails?)\b|too (?:fast|quickly)\b|slow down"
    r"|rate[- ]?limit|\b(?:sending|message|submission|mail|transmission|send|delivery)[- ]rate\b|throttl"
    r"|frequency.{0,20}limit|thread limit|\bper (?:\d+ )?(?:seconds?|minutes?|hours?|days?)\b"
    r"|(?:hourly|daily|sending|mail|messages?|sent|relay|credits?|outbound|outgoing)\b.{0,30}\b(?:quota|limits?)\b"
    r"|\b(?:quota|limit|rate|credits)\b.{0,40}\bexceeded|exceed\w*\b.{0,60}\b(?:quota|limit|rate)\b",
    unless=r"^\s*4\.2\.|mailbox|over (?:his |her |their |its )?quota|disk|storage|\bsize\b|too (?:large|big)"
    r"|user you are trying|recipient thread|\brecipient (?:has|is|domain)|connections?\b|log ?in attempts",
    across_lines=True,
)
"""In a time: it takes more later. Postfix, postfwd, mailcow, Mailu, IONOS, Exchange Online, SES. Not where it is about
the recipient's mailbox (Gmail), or about connections."""

TOO_MANY_RECIPIENTS: Final = _phrase(
    r"too many (?:\w+ ){0,2}(?:recipients?|rcpts?|addresses|receivers)\b"
    r"|\b(?:recipients?|rcpts?)\b.{0,30}\b(?:limit|exceed|maximum|too many)"
    r"|\b(?:limit|maximum|max)\b.{0,30}\b(?:recipients|rcpts)\b",
    across_lines=True,
)
"""In one mail."""

FULL_MAILBOX: Final = _phrase(r"mailbox|quota|user|account|^\s*[245]\.2\.")
"""A 452 or 552 that is about one recipient."""

QUOTA: Final = _phrase(
    r"\b(?:sending|submission|outgoing|outbound|relay|daily|hourly|messages?|e?mails?) ?(?:\w+ ){0,2}"
    r"(?:quota|limits?)\b"
    r"|submission ?quota|exceeded your\b.{0,40}\b(?:quota|limit)|\bper (?:minute|hour|day)\b"
    r"|rate (?:limit )?exceeded|rate limit|tenant has exceeded|sending activity|test purposes only",
    unless=r"\bsize\b|mailbox|\b(?:e?mail|user's?) quota|recipient (?:has|is|domain)|user (?:has|is)"
    r"|spam|score|length|\bhops?\b|\blines?\b",
    across_lines=True,
)
"""In a time, told as if it were for good. Gmail, Exchange Online, cPanel, Zoho, Mailgun, Prolateral. Not where it is
about a size, a mailbox (IONOS) or spam."""

# What the relay has against the site.

LOGIN_WANTED: Final = _phrase(
    r"auth(?:entication|entifi\w+|orization)?\b.{0,20}\b(?:required|needed|first|failed|fails)|\bneed auth\b"
    r"|un-?authenticated|requires? (?:smtp )?auth|(?:turn on|enable) (?:smtp )?auth|pop before smtp"
    r"|not (?:been )?(?:authenticated|logged in|authorized|authorised|permitted)\b"
    r"|(?:authenticate|log ?in) first|must (?:first )?(?:authenticate|log ?in)",
)
"""RFC 4954, 6, and those who say it in their own words."""

LOGIN_LOCKED: Final = _phrase(r"lock|too many|disabled|suspend|blocked|attempts|throttl")
"""In the refusal of a login: no further mechanism is tried."""

RELAYING_DENIED: Final = _phrase(
    r"relay(?:ing)?\b.{0,30}\b(?:denied|prohibited|not (?:permitted|allowed)|refused|disallowed)"
    r"|not (?:permitted|allowed) to relay"
    r"|unable to relay|cannot relay|we do not relay|no relaying|relay access|relaynotpermitted|credentials for relay"
    r"|\brcpthosts\b|delivery is not allowed to this address|non-?local|not a gateway",
)
"""Postfix, Exim, sendmail, qmail, Exchange, hMailServer, Google."""

SENDER_REFUSED: Final = _phrase(
    r"\bsend(?:er)?\b.{0,60}\b(?:not owned|not allowed|not permitted|denied|must be|does not match"
    r"|mismatch|unverified|not verified)"
    r"|send as this sender|sendas(?:denied)?|not (?:permitted|allowed|have permissions?) to send|permissions? to send"
    r"|mail from\b.{0,60}\b(?:must|not|same)|sender address rejected|sender (?:verify|address|domain)|from address"
    r"|not verified|unverified (?:address|sender|domain)|domain (?:is )?not (?:verified|allowed)"
    r"|account .{0,40}(?:suspended|disabled|blocked)",
)
"""Postfix, Exim, 163.com, Exchange Online, SES."""

CLIENT_REFUSED: Final = _phrase(
    r"client host|blocked using|(?:black|block|deny)-?list(?:ed)?|\brbl\b|dnsbl|spamhaus|barracuda"
    r"|your (?:ip|host|server|address)"
    r"|ip (?:address )?.{0,40}(?:blocked|blacklisted|listed|not allowed|rejected)"
    r"|reverse (?:dns|hostname|lookup)|\bptr\b|helo command rejected",
)
"""By its address or name: block lists, reverse look-ups."""

# What it has against one mail.

ABOUT_THE_RECIPIENT: Final = _phrase(
    r"user|mailbox|recipient|no such|account|address|unknown|disabled|inactive|does not exist|not found|alias"
    r"|domain|host|route"
    r"|quota|full|invalid|undeliverable|delivery error|mail ?box",
)

ABOUT_THE_CONTENT: Final = _phrase(
    r"spam|virus|malware|phish|content|attachment|header|subject|message-id|bare lf|line (?:too )?long"
    r"|too (?:large|big)|size"
    r"|dkim|spf|dmarc|score|policy|bulk|unsolicited|url|link|looks like|loop|hops|duplicate|8bit|smtputf8|conversion",
)

ABOUT_THE_SIZE: Final = _phrase(r"5\.3\.4|5\.2\.3|5\.6\.\d+|\bsize\b|too (?:large|big)|smtputf8|utf-?8|8bit")
"""Or about its characters."""

# What it has against how it is spoken to.

TOGETHER: Final = _phrase(
    r"pipelin|synchroni[sz]|out of (sequence|order)|must wait|not wait|without waiting|unexpected (data|input)"
    r"|(data|input) (received|sent) (before|ahead|too)|too (early|fast)|talk(ing|ed|s)? (too soon|before|first)",
)
"""Commands came together, which it announced to bear."""

ABOUT_THE_COMMAND: Final = _phrase(r"command|recogni[sz]|implement|sequence|order")
"""And not about what it says."""
