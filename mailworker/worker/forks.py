"""A fork waits until no thread of ours may hold a lock, whosever lock it is.

A pool child is a copy of the main process with one thread. A lock that another thread held at that moment (OpenSSL's,
the resolver's, a connection pool's, Celery's) stays locked in it for ever. So our threads are *inside* while they do
anything but wait, and a fork waits until nobody is.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

LONGEST_WAIT: Final = 10.0
"""Seconds that a fork waits at most; below the time after which a worker without a beat is taken for dead. A child that
is born hung after all is replaced: see `prefork`."""


class Gate:
    """Many threads may be inside; a fork waits for all to be outside, and they for it."""

    def __init__(self) -> None:
        self._open()

    def _open(self) -> None:
        self._change = threading.Condition()
        self._inside = 0
        self._forks = 0

    def watch(self) -> None:
        """From here on every fork of this process waits. To be called once, by a worker that has threads of ours."""
        os.register_at_fork(before=self._before, after_in_parent=self._after, after_in_child=self._open)

    @contextmanager
    def inside(self) -> Iterator[None]:
        self._enter()
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def outside(self) -> Iterator[None]:
        """For a wait within `inside` that holds nothing: a read of a socket that only this thread uses."""
        self._leave()
        try:
            yield
        finally:
            self._enter()

    def _enter(self) -> None:
        with self._change:
            while self._forks:
                self._change.wait()
            self._inside += 1

    def _leave(self) -> None:
        with self._change:
            self._inside -= 1
            self._change.notify_all()

    def _before(self) -> None:
        deadline = time.monotonic() + LONGEST_WAIT
        with self._change:
            self._forks += 1
            while self._inside and (left := deadline - time.monotonic()) > 0:
                self._change.wait(left)

    def _after(self) -> None:
        with self._change:
            self._forks -= 1
            self._change.notify_all()


gate = Gate()
