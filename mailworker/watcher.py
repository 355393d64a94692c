"""The watcher: in every worker a thread a list that sees new entries and rings the bridge, and the worker's pulse.

It makes `celery -A mailworker worker` alone the whole system. Idle, it asks Redis once a second.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import redis
from celery import bootsteps
from kombu.exceptions import OperationalError

from . import runtime
from .errors import SpoolError
from .greeting import greet
from .spool import Spool

logger = logging.getLogger(__name__)

BEAT_SECONDS: Final = 1.0
DEAD_AFTER_SECONDS: Final = 20.0
"""An owner that has no beat for so long, while this worker's own went on, is taken to be gone."""


# Celery's and kombu's publishing takes locks. A pool child that is forked while this thread holds one would be born
# with it locked for ever; so no fork while a watcher publishes.
_publishing = threading.Lock()
os.register_at_fork(before=_publishing.acquire, after_in_parent=_publishing.release, after_in_child=_publishing.release)


class Watcher(bootsteps.StartStopStep):  # type: ignore[misc]  # celery has no types
    """Started before the pool, so that it is stopped after it and can give back what the pool left."""

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        runtime.worker_name()
        _stop_first(parent)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, parent: Any) -> None:
        def ring(token: str) -> None:
            parent.app.tasks["mailworker.bridge"].apply_async((token,))

        greet(runtime.settings(), _hands(parent))
        spool = runtime.make_spool(runtime.settings())
        pulse = Pulse(spool, runtime.worker_name(), lambda: _pool_size(parent), lambda: _pool_processes(parent))
        # The pulse has a thread of its own: a broker that hangs must not make this worker look dead.
        loops = {"pulse": pulse.run} | {queue: Listener(spool, queue, ring).run for queue in spool.queues}
        for name, loop in loops.items():
            thread = threading.Thread(target=loop, args=(self._stop,), name=f"mailworker-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, parent: Any) -> None:
        """The pool is down: whatever it had in hand goes back now, not after a lease."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=5)
        with contextlib.suppress(SpoolError):
            _release_all(runtime.spool(), runtime.worker_name())

    terminate = stop


def _stop_first(worker: Any) -> None:
    """At SIGQUIT Celery sleeps through its soft shutdown before it tells anybody; the pool must know before that."""
    wait = worker.wait_for_soft_shutdown

    def stop_beginning_and_wait() -> None:
        runtime.say_stopping()
        wait()

    worker.wait_for_soft_shutdown = stop_beginning_and_wait


def _release_all(spool: Spool, worker: str) -> None:
    for owner in spool.beat(worker, 1, ()):
        if owner.startswith(worker + "/"):
            spool.release(owner, died=False)
    spool.release(worker, died=False)


def _pool_size(worker: Any) -> int:
    return int(worker.concurrency or 1)


def _hands(worker: Any) -> str:
    """How many mails go at once, for people."""
    pool = getattr(worker.pool_cls, "__module__", str(worker.pool_cls))
    kinds = {"thread": "threads", "gevent": "greenlets", "eventlet": "greenlets", "solo": "one process", "prefork": ""}
    kind = next((name for part, name in kinds.items() if part in pool), "") or "pool children"
    return kind if kind == "one process" else f"{_pool_size(worker)} {kind}"


def _pool_processes(worker: Any) -> set[int]:
    """The ids of the processes that run tasks: the living prefork children, and this process itself."""
    processes: Any = getattr(getattr(worker.pool, "_pool", None), "_pool", None)
    if not isinstance(processes, list):  # threads, greenlets, solo
        return {os.getpid()}
    # One that is being forked just now has no id yet.
    running = {process.pid for process in list(processes) if process.pid is not None}
    return {process for process in running if not _exited(process)} | {os.getpid()}


def _exited(process: int) -> bool:
    """Asks the kernel: Celery notices a dead child up to five seconds later. The zombie is left to Celery."""
    try:
        return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _repeat(act: Callable[[float], float], stop: threading.Event) -> None:
    """Calls `act(pause)` until the stop, each time after the seconds that it returned the last time."""
    pause = 0.0
    while not stop.wait(pause):
        try:
            pause = act(pause)
        except (SpoolError, redis.RedisError, OperationalError, OSError) as error:
            if pause < 1:
                logger.warning("the watcher waits for Redis or the broker (%s)", type(error).__name__)
            pause = min(max(pause * 2, 0.5), 5)
        except Exception as error:  # these threads are the worker's ears: they must survive their own bugs
            logger.error("the watcher failed (%s), and goes on", type(error).__name__, exc_info=error)
            pause = 1.0


class Listener:
    """Waits on one legacy list without taking from it, and on `due`; rings when there is work."""

    def __init__(self, spool: Spool, queue: str, ring: Callable[[str], None]) -> None:
        self.spool = spool
        self.queue = queue
        self.ring = ring

    def run(self, stop: threading.Event) -> None:
        _repeat(self._look, stop)

    def _look(self, pause: float) -> float:
        """Rings, listens or neither; returns the seconds to pause before the next look."""
        if runtime.stopping():
            return BEAT_SECONDS
        token = secrets.token_hex(8)
        look = self.spool.ring(token)
        if look.rung:
            with _publishing:
                self.ring(token)
            return 0.002
        if look.wait_ms < 0:  # a bridge is at work and will give the ring back: mostly in a few ms
            return min(max(pause * 2, 0.002), 0.25)
        seconds = min(look.wait_ms / 1000, BEAT_SECONDS)
        if not look.listen:
            return seconds
        # Moves the tail onto itself: waits for an entry and takes none.
        client: Any = self.spool.client  # redis-py types whole seconds; Redis 6 takes fractions
        client.blmove(self.queue, self.queue, seconds, "RIGHT", "RIGHT")
        return 0.0


class Pulse:
    """Says that this worker and its children are alive, and sees who is not."""

    def __init__(self, spool: Spool, worker: str, size: Callable[[], int], processes: Callable[[], set[int]]) -> None:
        self.spool = spool
        self.worker = worker
        self.size = size
        self.processes = processes
        self._seen: dict[str, tuple[int, float]] = {}
        self._owners: list[str] = []
        self._last = time.monotonic()

    def run(self, stop: threading.Event) -> None:
        _repeat(self._beat, stop)

    def _beat(self, pause: float) -> float:
        """One beat, and a look at the others'. Returns the seconds to the next."""
        now = time.monotonic()
        if now - self._last > 5 * BEAT_SECONDS:
            self._seen.clear()  # this process slept, or Redis did: silence in that time proves nothing
        beats = self.spool.beat(self.worker, self.size(), self._owners)
        self._last = now
        self._owners = self._living_children(beats)
        for owner in self._silent(beats, now):
            released = self.spool.release(owner, died=True)
            if released:
                logger.warning("%s is gone; %d mails go on elsewhere", owner, released)
        return BEAT_SECONDS

    def _living_children(self, beats: dict[str, int]) -> list[str]:
        processes = self.processes()
        living = []
        for owner in beats:
            if not owner.startswith(self.worker + "/"):
                continue
            if _process(owner) in processes:
                living.append(owner)
            else:
                self.spool.release(owner, died=True)
        return living

    def _silent(self, beats: dict[str, int], now: float) -> Sequence[str]:
        """Owners of other workers whose process is gone, or whose beat did not change for too long."""
        silent = []
        self._seen = {owner: seen for owner, seen in self._seen.items() if owner in beats}
        for owner, beat in beats.items():
            if owner == self.worker or owner.startswith(self.worker + "/"):
                continue
            seen = self._seen.get(owner)
            if seen is None or seen[0] != beat:
                self._seen[owner] = (beat, now)
            if now - self._seen[owner][1] > DEAD_AFTER_SECONDS or self._gone_from_here(owner):
                silent.append(owner)
        return silent

    def _gone_from_here(self, owner: str) -> bool:
        if owner.split(":")[:2] != self.worker.split(":")[:2]:
            return False
        try:
            os.kill(_process(owner), 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False


def _process(owner: str) -> int:
    """The process id in `host:space:pid:random` or `host:space:pid:random/pid.desk`."""
    worker, _, child = owner.partition("/")
    return int(child.partition(".")[0]) if child else int(worker.split(":")[-2])
