"""Pure: a relay's complaints about how it is spoken to. They say nothing of a mail."""

from __future__ import annotations

import re

from .replies import Reply

_TOGETHER = re.compile(
    r"pipelin|synchroni[sz]|out of (sequence|order)|must wait|not wait|without waiting|unexpected (data|input)"
    r"|(data|input) (received|sent) (before|ahead|too)|too (early|fast)|talk(ing|ed|s)? (too soon|before|first)",
    re.IGNORECASE,
)
_COMMAND = re.compile(r"command|recogni[sz]|implement|sequence|order", re.IGNORECASE)


def says_pipelining(text: str) -> bool:
    """True where a relay complains that commands came together, which it announced to bear."""
    return _TOGETHER.search(text) is not None


def blames_the_group(reply: Reply) -> bool:
    """True for a refusal that says so."""
    return not reply.positive and not reply.intermediate and says_pipelining(reply.text)


def refuses_the_command(reply: Reply) -> bool:
    """True for a refusal of a command's order (503) or name, and not of what it says."""
    return reply.code == 503 or (reply.code in (500, 501, 502, 504) and _COMMAND.search(reply.text) is not None)
