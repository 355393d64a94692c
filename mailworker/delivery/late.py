"""One thread in a process that delivers: it looks now and then whether a batch waits for its relay, and has it hand
over what it has not begun, whatever the batch hangs in: a name's look-up, a connection, TLS, a reply."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

logger = logging.getLogger(__name__)

LOOKS: Final = 0.5
"""Seconds between two looks."""

IDLE: Final = 10.0
"""Seconds without a batch after which the thread sleeps until there is one."""


class Watch:
    def __init__(self) -> None:
        self._watched: set[Callable[[float], None]] = set()
        self._awake = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    @contextmanager
    def over(self, hand_over: Callable[[float], None]) -> Iterator[None]:
        """Calls `hand_over(now)` now and then, in its own thread, until the end of the block."""
        self._watched.add(hand_over)
        if not self._awake.is_set():
            self._wake()
        try:
            yield
        finally:
            self._watched.discard(hand_over)

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
            for hand_over in list(self._watched):
                last = now
                try:
                    hand_over(now)
                except Exception as error:  # a bug of ours here must not stop what it watches
                    logger.error("the watch over late mails failed (%s)", type(error).__name__, exc_info=error)
            if now - last > IDLE:
                self._awake.clear()
                if self._watched:  # one came just now
                    self._awake.set()
