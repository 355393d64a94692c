"""Slots: with how many hands a process delivers. Each has a name in the spool and warm connections of its own, and one
task at a time.

A prefork child has one slot for its life; a process with threads or greenlets has as many as tasks run at once.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..smtp.relay import Relay
from ..smtp.warm import WarmConnection
from ..spool.owner import name_slot
from .breaker import Seldom
from .connection_limit import Limit
from .late import LateWatch


@dataclass(frozen=True, slots=True)
class Line:
    """A slot's line to one relay, kept from batch to batch."""

    warm: WarmConnection
    limit: Limit = field(default_factory=Limit)
    seldom: Seldom = field(default_factory=Seldom)


@dataclass(frozen=True, slots=True)
class Slot:
    """An owner's name and its lines: one task at a time holds it."""

    owner: str
    """The name under which its mails are in hand."""
    relays: Mapping[str, Relay]
    """By their names."""
    late: LateWatch = field(default_factory=LateWatch)
    _lines: dict[str, Line] = field(default_factory=dict)

    def line(self, relay: str) -> Line:
        """To the relay of this name; made when it is first asked for."""
        found = self._lines.get(relay)
        if found is None:
            found = self._lines[relay] = Line(WarmConnection(self.relays[relay]))
        return found


class Slots:
    """The slots of this process. `worker` is the name under which its pulse is known to the spool."""

    def __init__(self, worker: str, relays: Sequence[Relay]) -> None:
        self.worker = worker
        self.relays = {relay.name: relay for relay in relays}
        self._numbers = itertools.count()
        self._free: deque[Slot] = deque()
        self._late = LateWatch()
        self.taken: set[str] = set()
        """The owners at work."""

    @contextmanager
    def take(self) -> Iterator[Slot]:
        """The slot used last, or a new one where all are taken."""
        try:
            slot = self._free.pop()
        except IndexError:
            slot = Slot(name_slot(self.worker, next(self._numbers)), self.relays, self._late)
        self.taken.add(slot.owner)
        try:
            yield slot
        finally:
            self.taken.discard(slot.owner)
            self._free.append(slot)
