"""The two ledgers side by side: what was pushed for certain, and what arrived how often."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path


class Arrivals:
    """The relay's ledger, read as it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.times: dict[str, int] = {}
        """When each token first arrived, in ns of the monotonic clock."""
        self.counts: Counter[str] = Counter()
        self.ids: dict[str, set[str]] = {}
        """The Message-IDs under which each token arrived: one, if all is well."""
        self._offset = 0

    def refresh(self) -> None:
        with self.path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        data = data[: data.rfind(b"\n") + 1]
        self._offset += len(data)
        for line in data.decode("ascii").splitlines():
            token, message_id, at = line.split()
            self.counts[token] += 1
            self.ids.setdefault(token, set()).add(message_id)
            self.times.setdefault(token, int(at))

    def total(self) -> int:
        self.refresh()
        return self.counts.total()

    def has(self, token: str) -> bool:
        self.refresh()
        return token in self.counts


@dataclass(frozen=True, slots=True)
class Comparison:
    pushed: int
    lost: list[str]
    """Acknowledged by Redis, and neither at the relay nor among the dead letters."""
    doubled: dict[str, int]
    """Arrived more than once, and how often more."""
    unexplained: list[str]
    """Of the doubled ones those that no worker had marked as in doubt."""
    strange: list[str]
    """Arrived and was never pushed, or with another mail's body, or under two Message-IDs."""

    @property
    def extra(self) -> int:
        return sum(self.doubled.values())


def compare(pushes: Path, arrivals: Arrivals, buried: set[str], doubts: set[str]) -> Comparison:
    arrivals.refresh()
    tried: set[str] = set()
    acknowledged: set[str] = set()
    for line in pushes.read_text("ascii").splitlines():
        word, token = line.split()
        (acknowledged if word == "ack" else tried).add(token)
    doubled = {token: count - 1 for token, count in arrivals.counts.items() if count > 1}
    return Comparison(
        pushed=len(acknowledged),
        lost=sorted(token for token in acknowledged if token not in arrivals.counts and token not in buried),
        doubled=doubled,
        unexplained=sorted(token for token in doubled if not arrivals.ids[token] <= doubts),
        strange=sorted(token for token in arrivals.counts if token not in tried or len(arrivals.ids[token]) > 1),
    )
