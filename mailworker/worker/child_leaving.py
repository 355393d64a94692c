"""A pool child that is told to end while it sends: it waits for the relay's answer, begins nothing more, and ends then.

Service managers signal every process of a service, not the main one alone; Celery signals a child that it believes idle
when the pool shrinks. Without this the child would end where it stands, and its mails were in doubt.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any, Final

from .. import runtime, stopping

SIGNALS: Final = (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
LOOK_SECONDS: Final = 0.2


def prepare() -> None:
    """In a pool child, once Celery has set its own handlers."""
    for number in SIGNALS:
        before = signal.getsignal(number)
        if callable(before):
            signal.signal(number, _after_the_answer(before))


def _after_the_answer(end: Callable[[int, Any], Any]) -> Callable[[int, Any], None]:
    def handle(number: int, frame: Any) -> None:
        if not _busy():
            end(number, frame)
            return
        stopping.end_this_process()
        signal.signal(signal.SIGALRM, look)
        signal.setitimer(signal.ITIMER_REAL, LOOK_SECONDS, LOOK_SECONDS)

    def look(_: int, frame: Any) -> None:
        if not _busy():
            signal.setitimer(signal.ITIMER_REAL, 0)
            end(signal.SIGTERM, frame)

    return handle


def _busy() -> bool:
    return runtime.at_work() and not stopping.hurried()
