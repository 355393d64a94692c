"""Whether the worker is stopping: known to its main process and to the children that it forked."""

from __future__ import annotations

import mmap
import os
from typing import Final

_BEGUN: Final = 1
_HURRIED: Final = 2

_stop = mmap.mmap(-1, 1)
"""One octet that the main process shares with the children it forks."""

_leaving: set[int] = set()
"""Processes that end alone. It is not shared: a process knows of itself."""


def begin() -> None:
    """The worker stops: no process of it begins a mail any more."""
    _stop[0] = max(_stop[0], _BEGUN)


def begun() -> bool:
    """The worker stops, or this process was told to end: no mail is begun any more."""
    return _stop[0] >= _BEGUN or os.getpid() in _leaving


def hurry() -> None:
    """What is under way is not waited for any more: a cold stop whose time is over."""
    _stop[0] = _HURRIED


def hurried() -> bool:
    """Nothing is waited for any more."""
    return _stop[0] == _HURRIED


def end_this_process() -> None:
    """This process alone ends, as soon as what it has under way is answered."""
    _leaving.add(os.getpid())
