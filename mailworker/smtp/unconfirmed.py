"""Verdicts that wait for a sign that the relay is in step: one reply too many, somewhere, would have made them another
mail's. DATA's 354 is such a sign, as nothing else is answered so; in a stream of BDATs it is a reply that fits."""

from __future__ import annotations

from typing import Final

from .journal import Journal, Outgoing
from .verdict import Verdict

MOST: Final = 10
"""Verdicts that wait."""


class Unconfirmed:
    """Verdicts that are kept back: the relay may be out of step, and its next reply shows whether they can be true."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._verdicts: list[tuple[Outgoing, Verdict]] = []

    def __len__(self) -> int:
        return len(self._verdicts)

    def add(self, mail: Outgoing, verdict: Verdict) -> None:
        self._verdicts.append((mail, verdict))
        if len(self._verdicts) > MOST:
            self._journal.done(*self._verdicts.pop(0))

    def confirm(self) -> None:
        """They are as they were understood: the journal is told."""
        if self._verdicts:
            verdicts, self._verdicts = self._verdicts, []
            for mail, verdict in verdicts:
                self._journal.done(mail, verdict)

    def doubt(self) -> None:
        """They are not to be believed. What left as a whole is in doubt, what did not was not sent."""
        verdicts, self._verdicts = self._verdicts, []
        for mail, verdict in reversed(verdicts):
            if verdict.phase != "message":
                self._journal.again(mail)
