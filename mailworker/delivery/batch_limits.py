"""When a batch begins no further mail, and when its end waits for nothing any more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What a batch asks before it begins a mail, and before it waits."""

    seconds: float
    """No mail of a batch is begun after this time; the rest goes back to the queue."""
    stopping: Callable[[], bool] = lambda: False
    """The worker stops: no mail is begun."""
    hurried: Callable[[], bool] = lambda: False
    """A cold stop whose time is over: nothing is waited for any more."""
