"""A worker's pulse: once a second it says that it and its children are alive, and sees who is not."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from ..errors import NewerFormat
from ..spool import Spool, machine, owner
from ..spool.owner import BEAT_SECONDS, SILENT_SECONDS
from .loop import repeat

logger = logging.getLogger(__name__)

QUIET_SECONDS: Final = 2.5 * BEAT_SECONDS
"""A missing process is believed only when its pulse was still for so long, since a pulse is the better witness: two
machines that were copied while they ran have one boot id."""


class Pulse:
    """Says that this worker and its children are alive, and sees who is not."""

    def __init__(
        self, spool: Spool, worker: str, size: Callable[[], int], end_worker: Callable[[NewerFormat], None]
    ) -> None:
        self.spool = spool
        self.worker = worker
        self.size = size
        self.end_worker = end_worker
        self.space = owner.space_of(worker)
        self._seen: dict[str, tuple[int, float]] = {}
        self._owners: list[str] = []
        self._last = time.monotonic()

    def run(self, stop: threading.Event) -> None:
        repeat(self._beat_or_end, stop)

    def _beat_or_end(self, pause: float) -> float:
        """A worker of a newer version has migrated the spool: this one has no business there any more."""
        try:
            return self._beat(pause)
        except NewerFormat as error:
            self.end_worker(error)
            return BEAT_SECONDS

    def _beat(self, pause: float) -> float:
        """One beat, and a look at the others'. Returns the seconds to the next."""
        now = time.monotonic()
        if now - self._last > 5 * BEAT_SECONDS:
            self._seen.clear()  # this process slept, or Redis did: silence in that time proves nothing
        beats = self.spool.beat(self.worker, self.size(), self._owners)
        self._last = now
        self._owners = self._living_children(beats)
        for name in self._silent(beats, now):
            released = self.spool.release(name, died=True)
            if released:
                logger.warning("%s is gone; %d mails go on elsewhere", name, released)
        return BEAT_SECONDS

    def _living_children(self, beats: dict[str, int]) -> list[str]:
        living = []
        for name in beats:
            if not name.startswith(self.worker + "/"):
                continue
            member = owner.member_of(name)
            if member is not None and machine.gone(member):
                self.spool.release(name, died=True)
            else:
                living.append(name)
        return living

    def _silent(self, beats: dict[str, int], now: float) -> Sequence[str]:
        """Owners of other workers whose process is gone, or whose beat did not change for too long."""
        silent = []
        self._seen = {name: seen for name, seen in self._seen.items() if name in beats}
        for name, beat in beats.items():
            if owner.worker_of(name) == self.worker:
                continue
            seen = self._seen.get(name)
            if seen is None or seen[0] != beat:
                self._seen[name] = (beat, now)
            quiet = now - self._seen[name][1]
            if quiet > SILENT_SECONDS or (quiet >= QUIET_SECONDS and owner.gone(name, self.space)):
                silent.append(name)
        return silent
