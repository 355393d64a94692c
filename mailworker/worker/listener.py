"""Rings the bridge when a legacy list has new entries, or a record of the spool is due. It takes nothing itself."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Final

import redis

from .. import runtime, stopping
from ..errors import SpoolError
from ..spool import Spool, redis_errors, token_of
from ..spool.owner import BEAT_SECONDS
from .forks import gate
from .loop import repeat

logger = logging.getLogger(__name__)

CHECK_SECONDS: Final = 60.0
"""So often it is looked whether the key is a list at all."""

TELL_SECONDS: Final = 3600.0
"""What is wrong with a list is told again after so long."""


class Listener:
    """Waits on one legacy list without taking from it, and on `due`; rings when there is work."""

    def __init__(self, spool: Spool, queue: str, ring: Callable[[str], None]) -> None:
        self.spool = spool
        self.queue = queue
        self.ring = ring
        self._told = self._checked = float("-inf")

    def run(self, stop: threading.Event) -> None:
        repeat(self._look, stop)

    def _look(self, pause: float) -> float:
        """Rings, listens or neither; returns the seconds to pause before the next look."""
        if stopping.begun():
            return BEAT_SECONDS
        if time.monotonic() - self._checked > CHECK_SECONDS:
            self._check()
        token = token_of(runtime.worker_name())
        look = self.spool.look(token)
        if look.ring:
            self.ring(token)
            return 0.002
        if look.wait_ms < 0:  # a bridge is at work and will give the lock back: mostly in a few ms
            return min(max(pause * 2, 0.002), 0.25)
        seconds = min(look.wait_ms / 1000, BEAT_SECONDS)
        if not look.listen:
            return seconds
        try:
            self.spool.listen(self.queue, seconds, gate.outside)
        except (SpoolError, redis.ResponseError) as error:
            if redis_errors.is_full(error):  # nobody may wait on a list then, and nobody adds to it
                return min(seconds, BEAT_SECONDS / 4)
            if redis_errors.code(error) not in ("WRONGTYPE", "NOPERM"):
                raise
            self._tell(error)
            return BEAT_SECONDS
        return 0.0

    def _check(self) -> None:
        """Is it a list, and may it be touched? If not it is left out, and the others flow."""
        self._checked = time.monotonic()
        try:
            self.spool.client.llen(self.queue)
        except redis.ResponseError as error:
            if redis_errors.code(error) in ("WRONGTYPE", "NOPERM"):
                self._tell(error)

    def _tell(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._told < TELL_SECONDS:
            return
        self._told = now
        kind = ""
        if redis_errors.code(error) == "WRONGTYPE":
            with contextlib.suppress(redis.RedisError):
                kind = f", it is of type {self.spool.client.type(self.queue).decode()}"  # type: ignore[union-attr]
        logger.error("%s is not drained%s: Redis says %s", self.queue, kind, redis_errors.words(error))
