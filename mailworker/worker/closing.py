"""The first boot-step to start and the last to stop: what a worker had in hand is given back when its pool is down."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import Any, Final

from celery import bootsteps

from .. import runtime, stopping
from ..errors import SpoolError
from ..spool import Spool, machine, owner

GONE_SECONDS: Final = 5.0
"""A stop waits so long until its children, which were told to end, have ended."""


class Closing(bootsteps.StartStopStep):  # type: ignore[misc]  # celery has no types
    """Starts before all other steps and stops after all of them: the pulse goes on while children still wait for the
    relay, and what is given back at the end is in nobody's hand any more."""

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        runtime.worker_name()
        _wait_first(parent)
        self.closed = threading.Event()
        self.threads: list[threading.Thread] = []

    def include(self, parent: Any) -> None:
        """Celery sorts a set: the order of steps that do not require each other differs from start to start."""
        super().include(parent)
        parent.steps.remove(self)
        parent.steps.insert(0, self)

    def start(self, parent: Any) -> None:
        """There is nothing to close yet."""

    def close(self, parent: Any) -> None:
        """A stop begins, whoever asked for it: a signal, or `celery control shutdown`."""
        stopping.begin()

    def stop(self, parent: Any) -> None:
        """The pool is down: whatever it had in hand goes back now, not after a lease."""
        self.closed.set()
        for thread in self.threads:
            thread.join(timeout=5)
        with contextlib.suppress(SpoolError):
            _release_all(runtime.spool(), runtime.worker_name())

    terminate = stop


def _wait_first(worker: Any) -> None:
    """For a cold stop (SIGQUIT, the second SIGINT). Celery sleeps through its soft shutdown before it tells anybody,
    and not at all where it does not know yet that a child began. So the pool is told, and its hands are waited for."""
    wait = worker.wait_for_soft_shutdown

    def tell_and_wait() -> None:
        stopping.begin()
        seconds = float(worker.app.conf.worker_soft_shutdown_timeout or 0)
        try:
            _wait_for_hands(seconds)
        except SpoolError:
            wait()
        finally:
            stopping.hurry()

    worker.wait_for_soft_shutdown = tell_and_wait


def _wait_for_hands(seconds: float) -> None:
    """Until no child of this worker has a mail in hand, or the time is over."""
    spool, worker = runtime.make_spool(runtime.settings()), runtime.worker_name()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and spool.in_hand(worker):
        time.sleep(0.05)


def _release_all(spool: Spool, worker: str) -> None:
    """But for what somebody still works on: a process that does not end in time, a thread that cannot be ended. Who
    sees it gone gives it back."""
    deadline = time.monotonic() + GONE_SECONDS
    mine = [name for name in spool.beat(worker, 1, ()) if name.startswith(worker + "/")]
    for name in mine:
        while not _done(name) and time.monotonic() < deadline:
            time.sleep(0.02)
        if _done(name):
            spool.release(name, died=False)
    spool.release(worker, died=False)


def _done(name: str) -> bool:
    """Nobody works under this name any more: its process is gone, or its slot in this one is free."""
    member = owner.member_of(name)
    if member is not None and member.process == os.getpid():
        return name not in runtime.owners_at_work()
    return member is None or machine.gone(member)
