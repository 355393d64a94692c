"""What a worker of ours does to its process: signals, memory, the log. A boot-step, so that no other process has it."""

from __future__ import annotations

import ctypes
import gc
from typing import Any

from celery import bootsteps, current_app, signals

from .. import runtime, stopping
from . import child_lost, command_line, privacy, sent_by_name

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


class Prepared(bootsteps.Step):  # type: ignore[misc]  # celery has no types
    """Made before the pool forks, so that the children have all of it."""

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        app = parent.app

        # Celery sends its signals to all receivers of a process, and a host may have started this worker in its own.

        def lost_child(sender: Any, task_id: str, exception: BaseException, args: Any, kwargs: Any, **_: Any) -> None:
            if sender.app is app:
                times = sent_by_name.times_of(sender.request)
                child_lost.wake(sender.name, task_id, args, kwargs or {}, times, exception)

        def child_begins(**_: Any) -> None:
            if current_app._get_current_object() is app:
                _spare_the_collector()

        def stops(sender: Any, **_: Any) -> None:
            if sender == parent.hostname:
                stopping.begin()

        signals.task_failure.connect(lost_child, weak=False)
        signals.worker_process_init.connect(child_begins, weak=False)
        signals.worker_shutting_down.connect(stops, weak=False)
        privacy.redact_the_log()
        _keep_freed_memory()
        with command_line.one_line_errors():
            _read_keys()


def _read_keys() -> None:
    """Those that mail is signed with, once: the children inherit them. Raises `SettingsError`."""
    signers = runtime.settings().author.signers
    if signers is not None:
        signers.read()


def _keep_freed_memory() -> None:
    """The children inherit it. glibc gives memory back to the kernel at once and takes it again for the next mail, page
    by page: of a mail of 1 MiB that was a third of the time. So 16 MiB are kept, at most."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # another C library has no such thing
        mallopt(_M_TRIM_THRESHOLD, 16 * 1024 * 1024)
        mallopt(_M_MMAP_THRESHOLD, 4 * 1024 * 1024)


def _spare_the_collector() -> None:
    """What was loaded before the fork lives as long as the child: the garbage collector need not walk it again."""
    gc.collect()
    gc.freeze()
