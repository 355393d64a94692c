"""How long a relay usually takes: so that one which is late with a mail is told from one that is slow with each."""

from __future__ import annotations

from collections import deque
from typing import Final

SLOW: Final = 3.0
"""Seconds without a verdict after which the relay is late with a mail, at least."""

LATEST: Final = 30.0
"""The same, at most: where the relay is slow with each mail, others would be no faster."""


class Pace:
    """How long a relay usually takes, by the last mails and the last opening."""

    def __init__(self) -> None:
        self._mails: deque[float] = deque(maxlen=5)
        self.opening = 0.0
        """Seconds that the last connection took to be made: a relay may greet late on purpose."""

    def mail_took(self, seconds: float) -> None:
        self._mails.append(seconds)

    def late_after(self, opening: bool = False) -> float:
        """Seconds after which the relay is late with a mail, or with letting a connection be opened."""
        usual = sorted(self._mails)[len(self._mails) // 2] if self._mails else 0.0
        if opening:
            usual = max(usual, self.opening)
        return min(max(4 * usual, SLOW), LATEST)
