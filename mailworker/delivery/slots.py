"""Slots: with how many hands a process delivers. Each has a name in the spool and a warm connection of its own, and one
task at a time.

A prefork child has one slot for its life; a process with threads or greenlets has as many as tasks run at once.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from ..smtp.relay import Relay
from ..smtp.warm import WarmConnection
from ..spool.owner import name_slot
from .breaker import Seldom
from .connection_limit import Limit
from .late import LateWatch


@dataclasses.dataclass(frozen=True, slots=True)
class Slot:
    """An owner's name and its warm connection: one task at a time holds it."""

    owner: str
    """The name under which its mails are in hand."""
    warm: WarmConnection
    limit: Limit = dataclasses.field(default_factory=Limit)
    seldom: Seldom = dataclasses.field(default_factory=Seldom)
    late: LateWatch = dataclasses.field(default_factory=LateWatch)


class Slots:
    """The slots of this process. `worker` is the name under which its pulse is known to the spool."""

    def __init__(self, worker: str, relay: Relay) -> None:
        self.worker = worker
        self.relay = relay
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
            slot = Slot(name_slot(self.worker, next(self._numbers)), WarmConnection(self.relay), late=self._late)
        self.taken.add(slot.owner)
        try:
            yield slot
        finally:
            self.taken.discard(slot.owner)
            self._free.append(slot)
