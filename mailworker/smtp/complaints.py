"""Pure: a relay's complaints about how it is spoken to. They say nothing of a mail."""

from __future__ import annotations

from . import phrases
from .replies import Reply


def says_pipelining(text: str) -> bool:
    """True where a relay complains that commands came together, which it announced to bear."""
    return phrases.TOGETHER.is_in(text)


def blames_the_group(reply: Reply) -> bool:
    """True for a refusal that says so."""
    return not reply.positive and not reply.intermediate and says_pipelining(reply.text)


def refuses_the_command(reply: Reply) -> bool:
    """True for a refusal of a command's order (503) or name, and not of what it says."""
    return reply.code == 503 or (reply.code in (500, 501, 502, 504) and phrases.ABOUT_THE_COMMAND.is_in(reply.text))
