"""How a relay words its replies, which tells what a reply answers: 250 is the answer to nearly everything.

With BDAT all replies to a stream of mails may be 250, so that one too many shifts all that follow, and a mail that was
refused counts as sent. But relays say different things to MAIL, RCPT and a message (`2.1.0 Ok`, `2.1.5 Ok`,
`2.0.0 Ok: queued as …`; `OK`, `Accepted`, `OK id=…`), and the same thing each time. What a relay says is learnt while
it is asked one thing at a time.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from ..errors import OutOfStep
from .replies import Reply

MOST: Final = 100
"""Ways to say yes to one command that are kept."""

_CHANGING = re.compile(r"\S*[\d@<>=\[\]]\S*")


class Wording:
    """What the relay has said to each step, with everything that changes from mail to mail left out."""

    def __init__(self) -> None:
        self._known: dict[str, set[str]] = {}
        self._last: dict[str, Reply] = {}

    def learn(self, step: str, reply: Reply) -> None:
        known = self._known.setdefault(step, set())
        if reply.positive and len(known) < MOST:
            known.add(_words(reply))

    def usual(self, step: str, reply: Reply) -> bool:
        """True where the relay has said this to the step before."""
        if reply is self._last.get(step):
            return True
        known = self._known.get(step)
        if not known or not reply.positive or _words(reply) not in known:
            return False
        self._last[step] = reply
        return True

    def alike(self, step: str, other: str) -> bool:
        """True where the relay says the same to both, so that one cannot be told from the other."""
        return bool(self._known.get(step, set()) & self._known.get(other, set()))

    def check(self, step: str, reply: Reply) -> bool:
        """True for a yes in other words than before. Raises `OutOfStep` for what the relay says to another step and
        never to this one; learns what is new."""
        if self.usual(step, reply) or not reply.positive:
            return False
        before = bool(self._known.get(step))
        words = _words(reply)
        if before and any(words in known for known in self._known.values()):
            raise OutOfStep(step, 0, f"the relay is out of step: {reply.code} where it says something else")
        self.learn(step, reply)
        return before


@lru_cache(maxsize=64)
def _words(reply: Reply) -> str:
    code, _, text = reply.text.partition(" ")
    return f"{code if re.fullmatch('2[.][0-9]+[.][0-9]+', code) else _CHANGING.sub('#', code)} " + _CHANGING.sub(
        "#", text[:200]
    )
