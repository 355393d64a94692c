"""Celery's consumer, which waits longer each time where the broker's Redis refuses, and says so in one line."""

from __future__ import annotations

import logging
import time
import warnings
from typing import Any, Final

import redis
from celery.exceptions import CPendingDeprecationWarning
from celery.worker.consumer import Consumer as StockConsumer
from celery.worker.state import maybe_shutdown

from ..spool import redis_errors

logger = logging.getLogger(__name__)

LONGEST: Final = 10.0
_FORGET: Final = 60.0


class Pause:
    """Seconds to wait after a refusal: longer each time, from the start again after a minute without one."""

    def __init__(self) -> None:
        self._next = 0.5
        self._last = float("-inf")

    def after(self, now: float) -> float:
        self._next = 0.5 if now - self._last > _FORGET else min(self._next * 2, LONGEST)
        self._last = now
        return self._next


class Consumer(StockConsumer):  # type: ignore[misc]  # celery has no types
    """A connection may be good and the next command refused all the same, again and again: that must be no hot loop."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._pause = Pause()
        # Nobody here listens to what the workers tell each other, and when the broker is gone this step of Celery's
        # fails to end: a hundred lines of traceback that say nothing.
        options["worker_options"] = {**(options.get("worker_options") or {}), "without_gossip": True}
        super().__init__(*args, **options)

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        super().on_connection_error_before_connected(exc)
        self._wait(exc)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        maybe_shutdown()  # in a stop nobody connects again, and Celery would ask a pool that is gone
        with warnings.catch_warnings():
            # It tells of another default to come; celeryconfig.py has the value.
            warnings.simplefilter("ignore", CPendingDeprecationWarning)
            super().on_connection_error_after_connected(exc)
        self._wait(exc)

    def _wait(self, error: Exception) -> None:
        if not isinstance(error, redis.RedisError) or isinstance(error, redis.ConnectionError | redis.TimeoutError):
            return
        now = time.monotonic()
        seconds = self._pause.after(now)
        logger.error("broker: Redis says %s; tried again in %.1f s", redis_errors.words(error), seconds)
        while (left := now + seconds - time.monotonic()) > 0:
            maybe_shutdown()
            time.sleep(min(left, 0.5))
