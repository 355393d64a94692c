"""Mails that wait behind one with which the relay is late go elsewhere: others may have time for them.

One thread in a process that delivers looks now and then at the batches at work, whatever each hangs in: a name's
look-up, a connection, TLS, a reply.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from ..smtp.pace import Pace
from .batch import Batch
from .connection_limit import Places

logger = logging.getLogger(__name__)

LOOKS: Final = 0.5
"""Seconds between two looks."""

IDLE: Final = 10.0
"""Seconds without a batch after which the thread sleeps until there is one."""

Look = Callable[[float], None]
"""Is given the monotonic clock's time."""


def look_at(batch: Batch, pace: Pace, places: Places) -> Look:
    """Where the relay is late with a mail of the batch, those that are not begun go back to the queue at once. Where
    the connection itself is late, the first one stays: or a relay that greets late, and bears few connections, would
    never be given any."""

    def look(now: float) -> None:
        opening = not batch.under_way
        if not places.waiting and not batch.is_probe and now - batch.moved >= pace.late_after(opening):
            batch.hand_over(keep=int(opening))

    return look


class LateWatch:
    """The thread."""

    def __init__(self) -> None:
        self._looks: set[Look] = set()
        self._awake = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    @contextmanager
    def over(self, look: Look) -> Iterator[None]:
        """Looks now and then, until the end of the block."""
        self._looks.add(look)
        if not self._awake.is_set():
            self._wake()
        try:
            yield
        finally:
            self._looks.discard(look)

    def _wake(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mailworker-late", daemon=True)
                self._thread.start()
        self._awake.set()

    def _run(self) -> None:
        last = time.monotonic()
        while True:
            self._awake.wait()
            time.sleep(LOOKS)
            now = time.monotonic()
            for look in list(self._looks):
                last = now
                try:
                    look(now)
                except Exception as error:  # a bug of ours here must not stop what it watches
                    logger.error("the watch over late mails failed (%s)", type(error).__name__, exc_info=error)
            if now - last > IDLE:
                self._awake.clear()
                if self._looks:  # one came just now
                    self._awake.set()
