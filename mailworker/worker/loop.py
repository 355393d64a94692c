"""A loop that a thread of a worker runs until the stop: Redis and the broker may be away meanwhile."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import redis
from kombu.exceptions import OperationalError

from ..errors import NewerFormat, SpoolError, WrongFormat
from ..spool import redis_errors
from .forks import gate

logger = logging.getLogger(__name__)


def repeat(act: Callable[[float], float], stop: threading.Event) -> None:
    """Calls `act(pause)` until the stop, each time after the seconds that it returned the last time."""
    pause = 0.0
    while not stop.wait(pause):
        with gate.inside():
            pause = _once(act, pause)


def _once(act: Callable[[float], float], pause: float) -> float:
    try:
        return act(pause)
    except NewerFormat:
        return 1.0  # the pulse stops this worker
    except (SpoolError, redis.RedisError, OperationalError, OSError) as error:
        if pause < 1:
            logger.warning("the watcher waits for Redis or the broker (%s)", _said(error))
        return min(max(pause * 2, 0.5), 5)
    except Exception as error:  # these threads are the worker's ears: they must survive their own bugs
        logger.error("the watcher failed (%s), and goes on", type(error).__name__, exc_info=error)
        return 1.0


def _said(error: Exception) -> str:
    if isinstance(error, WrongFormat):
        return str(error)
    return redis_errors.told(error) if redis_errors.code(error) else redis_errors.words(error)
