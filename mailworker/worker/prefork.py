"""Celery's prefork pool, which outlives what happens to its children.

Stock Celery ends the worker when a child dies while it starts, when a hundred die in a second, and when the system
gives no further process; and it never looks at whether the first children came up.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import resource
import signal
import time
from typing import Any, Final

from billiard.pool import EX_OK, EX_RECYCLE, RUN
from celery.concurrency import asynpool, prefork

from . import child_leaving

logger = logging.getLogger(__name__)

READY_SECONDS: Final = 30.0
"""A child that has not said by then that it is ready is taken to hang, and replaced."""

BURST_SECONDS: Final = 10.0
BURST_EACH: Final = 4
"""So many deaths for each child in this time are more than chance: new ones are made only at every look then."""

LOOK_SECONDS: Final = 1.0

STARVED: Final = "no further pool child can be started"
DYING: Final = "pool children die one after the other"

ROOM: Final = 4
"""Where processes are few, so many are left for the main process's threads: a limit counts them alike."""

FILES_EACH: Final = 8
FILES_ELSE: Final = 64
"""What a child costs the main process in file descriptors, and what the rest of it needs."""


class Worker(asynpool.Worker):  # type: ignore[misc]  # celery has no types
    """A pool child."""

    def on_loop_start(self, pid: int) -> None:
        child_leaving.prepare()
        super().on_loop_start(pid)


class Pool(asynpool.AsynPool):  # type: ignore[misc]
    """The children, with an event loop that looks after them once a second."""

    Worker = Worker

    def __init__(self, *args: Any, **options: Any) -> None:
        self._unready: dict[int, int] = {}
        """The children that did not say yet that they are ready, and how many looks ago each began."""
        self._deaths: list[float] = []
        self._trouble = ""
        super().__init__(*args, **options)

    def register_with_event_loop(self, hub: Any) -> None:
        super().register_with_event_loop(hub)
        hub.call_repeatedly(LOOK_SECONDS, self._look)

    def _track_child_process(self, proc: Any, hub: Any) -> None:
        """Celery does it for all children when the broker is there again, and one may have ended in the meantime: its
        end was seen, and only its exit code not yet. Celery's ValueError would end the worker."""
        if getattr(proc, "_sentinel_poll", 0) is not None:
            super()._track_child_process(proc, hub)

    # Their birth.

    def _create_worker_process(self, i: int) -> Any:
        """None where the system gives no further process: the pool goes on with fewer, and tries again."""
        before = list(self._pool)
        try:
            if self._trouble == STARVED:
                _probe()
            child = super()._create_worker_process(i)
        except (OSError, MemoryError) as error:
            for stillborn in [child for child in self._pool if child not in before]:
                self._forget(stillborn)
            if self._trouble != STARVED and not self._registered_with_event_loop:
                for last in self._pool[max(1, len(self._pool) - ROOM) :]:
                    self._forget(last)
            self._tell(STARVED, f" ({_why(error)})")
            return None
        self._unready[child.pid] = 0
        return child

    def _forget(self, child: Any) -> None:
        self._pool.remove(child)
        self._process_cleanup_queues(child)
        if child._popen is not None:  # it was born, and there was no descriptor to watch it with
            os.kill(child.pid, signal.SIGKILL)
            child.join()
            self._poolctrl.pop(child.pid, None)
            self._on_ready_counters.pop(child.pid, None)

    def on_process_alive(self, pid: int) -> None:
        self._unready.pop(pid, None)
        with contextlib.suppress(AssertionError):  # its pipe was another child's, whose end is not seen yet
            super().on_process_alive(pid)

    def did_start_ok(self) -> bool:
        """A child that is dead already is replaced like any other."""
        return True

    def _repopulate_pool(self, exitcodes: list[int]) -> None:
        """Without Celery's limit, at which the worker ends; but not as fast as they die."""
        now = time.monotonic()
        violent = [code for code in exitcodes if code not in (EX_OK, EX_RECYCLE)]
        self._deaths = [at for at in self._deaths if now - at < BURST_SECONDS] + [now] * len(violent)
        known = {child.pid for child in self._pool}
        self._unready = {pid: looks for pid, looks in self._unready.items() if pid in known}
        if violent and len(self._deaths) > BURST_EACH * max(self._processes, 1):
            self._tell(DYING, f" ({len(self._deaths)} in {BURST_SECONDS:.0f} s; killed, or out of memory?)")
            return  # the next look makes new ones
        while self._state == RUN and len(self._pool) < self._processes:
            if self._create_worker_process(self._avail_index()) is None:
                return

    def maintain_pool(self) -> None:
        """Never raises: whatever is wrong with a child, the main process goes on."""
        try:
            super().maintain_pool()
        except Exception as error:
            logger.error("the pool cannot be maintained (%s), and goes on", type(error).__name__, exc_info=error)

    # And those that do not come up.

    def _look(self) -> None:
        """Once a second while the event loop runs. Counting looks and not seconds: what a child said while the main
        process stood still is read before the next."""
        closing = self._state != RUN  # nothing was ever given to it: it need not be waited for
        for pid in list(self._unready):
            self._unready[pid] += 1
            if not closing and self._unready[pid] * LOOK_SECONDS <= READY_SECONDS:
                continue
            if not closing:
                logger.warning("pool child %d was not ready after %.0f s, and is replaced", pid, READY_SECONDS)
            self._unready.pop(pid, None)
            if any(child.pid == pid and child._is_alive() for child in list(self._pool)):
                os.kill(pid, signal.SIGKILL)
        if closing:
            return
        if len(self._pool) < self._processes:
            self.maintain_pool()
        elif self._trouble and not self._unready and not self._dying():
            logger.warning("all %d pool children are there", self._processes)
            self._trouble = ""

    def _dying(self) -> bool:
        return bool(self._deaths) and time.monotonic() - self._deaths[-1] < BURST_SECONDS

    def close(self) -> None:
        super().close()
        self._look()

    def _tell(self, trouble: str, more: str) -> None:
        """One line for each trouble, and not one for each child."""
        if self._trouble != trouble:
            self._trouble = trouble
            logger.warning(
                "%s%s; the worker goes on with %d of %d and tries again",
                trouble, more, len(self._pool), self._processes,
            )  # fmt: skip


def _probe() -> None:
    """Raises `OSError` where there is still no process to be had beside the room for threads. (billiard would leave a
    pipe open at each attempt.)"""
    ended = []
    try:
        for _ in range(ROOM + 1):
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            ended.append(pid)
    finally:
        for pid in ended:
            os.waitpid(pid, 0)


class TaskPool(prefork.TaskPool):  # type: ignore[misc]
    """The pool as Celery's worker knows it: `worker_pool` names it."""

    Pool = Pool
    limit: int

    def on_start(self) -> None:
        fit = max(1, (_files(FILES_ELSE + FILES_EACH * (self.limit or 0)) - FILES_ELSE) // FILES_EACH)
        if self.limit and self.limit > fit:
            logger.warning(
                "%d pool children need more than the %d open files that the system allows (RLIMIT_NOFILE): "
                "the worker goes on with %d", self.limit, _files(0), fit,
            )  # fmt: skip
            self.limit = fit
        super().on_start()


def _files(wanted: int) -> int:
    """How many open files this process may have, once the limit that it may set itself is as wanted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft if soft != resource.RLIM_INFINITY else 1_000_000


def _why(error: OSError | MemoryError) -> str:
    """With the limit to look at."""
    if isinstance(error, MemoryError) or error.errno == errno.ENOMEM:
        return "out of memory: RLIMIT_AS, or the memory of the container"
    limits = {errno.EAGAIN: "RLIMIT_NPROC, or pids.max of the container", errno.EMFILE: "RLIMIT_NOFILE"}
    hint = limits.get(error.errno or 0)
    return f"{error.strerror}: {hint}" if hint else str(error.strerror or error)
