"""The watcher: in every worker a thread a list that sees new entries and rings the bridge, and the worker's pulse.

It makes `celery -A mailworker worker` alone the whole system. Idle, it asks Redis once a second.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import redis
from celery import bootsteps
from kombu.exceptions import OperationalError

from .. import runtime, stopping
from ..errors import SpoolError
from ..spool import Spool, machine, owner, token_of
from ..spool import redis_errors as refusal
from ..spool.owner import BEAT_SECONDS, SILENT_SECONDS
from .forks import gate
from .greeting import greet
from .names import BRIDGE

logger = logging.getLogger(__name__)

CHECK_SECONDS: Final = 60.0
TELL_SECONDS: Final = 3600.0
"""What is wrong with a list is told again after so long."""

QUIET_SECONDS: Final = 2.5 * BEAT_SECONDS
"""A pulse that goes on is the better witness: for so long it must be still before a missing process is believed. Two
machines that were copied while they ran have one boot id."""

GONE_SECONDS: Final = 5.0
"""For which a stop waits until its children, which were told to end, have ended."""


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


class Watcher(bootsteps.StartStopStep):  # type: ignore[misc]
    """The threads. They start after the first children, which so need not wait for a Redis that is away."""

    requires = (Closing, "celery.worker.components:Pool")

    def start(self, parent: Any) -> None:
        def ring(token: str) -> None:
            parent.app.tasks[BRIDGE].apply_async((token,))

        greet(runtime.settings(), _hands(parent))
        gate.watch()
        closing = parent.blueprint[Closing.name]
        spool = runtime.make_spool(runtime.settings())
        pulse = Pulse(spool, runtime.worker_name(), lambda: _pool_size(parent))
        # The pulse has a thread of its own: a broker that hangs must not make this worker look dead.
        loops = {"pulse": pulse.run} | {queue: Listener(spool, queue, ring).run for queue in spool.queues}
        for name, loop in loops.items():
            thread = threading.Thread(target=loop, args=(closing.closed,), name=f"mailworker-{name}", daemon=True)
            thread.start()
            closing.threads.append(thread)

    def stop(self, parent: Any) -> None:
        """Not yet: see `Closing`."""

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
        return name not in runtime.seated()
    return member is None or machine.gone(member)


def _pool_size(worker: Any) -> int:
    return int(worker.concurrency or 1)


def _hands(worker: Any) -> str:
    """How many mails go at once, for people."""
    pool = getattr(worker.pool_cls, "__module__", str(worker.pool_cls))
    kinds = {"thread": "threads", "gevent": "greenlets", "eventlet": "greenlets", "solo": "one process", "prefork": ""}
    kind = next((name for part, name in kinds.items() if part in pool), "") or "pool children"
    return kind if kind == "one process" else f"{_pool_size(worker)} {kind}"


def _repeat(act: Callable[[float], float], stop: threading.Event) -> None:
    """Calls `act(pause)` until the stop, each time after the seconds that it returned the last time."""
    pause = 0.0
    while not stop.wait(pause):
        with gate.inside():
            pause = _once(act, pause)


def _once(act: Callable[[float], float], pause: float) -> float:
    try:
        return act(pause)
    except (SpoolError, redis.RedisError, OperationalError, OSError) as error:
        if pause < 1:
            said = refusal.told(error) if refusal.code(error) else refusal.words(error)
            logger.warning("the watcher waits for Redis or the broker (%s)", said)
        return min(max(pause * 2, 0.5), 5)
    except Exception as error:  # these threads are the worker's ears: they must survive their own bugs
        logger.error("the watcher failed (%s), and goes on", type(error).__name__, exc_info=error)
        return 1.0


class Listener:
    """Waits on one legacy list without taking from it, and on `due`; rings when there is work."""

    def __init__(self, spool: Spool, queue: str, ring: Callable[[str], None]) -> None:
        self.spool = spool
        self.queue = queue
        self.ring = ring
        self._told = self._checked = float("-inf")

    def run(self, stop: threading.Event) -> None:
        _repeat(self._look, stop)

    def _look(self, pause: float) -> float:
        """Rings, listens or neither; returns the seconds to pause before the next look."""
        if stopping.begun():
            return BEAT_SECONDS
        if time.monotonic() - self._checked > CHECK_SECONDS:
            self._check()
        token = token_of(runtime.worker_name())
        look = self.spool.look(token)
        if look.ring:
            self.ring(token)
            return 0.002
        if look.wait_ms < 0:  # a bridge is at work and will give the lock back: mostly in a few ms
            return min(max(pause * 2, 0.002), 0.25)
        seconds = min(look.wait_ms / 1000, BEAT_SECONDS)
        if not look.listen:
            return seconds
        try:
            self.spool.listen(self.queue, seconds, gate.outside)
        except (SpoolError, redis.ResponseError) as error:
            if refusal.is_full(error):  # nobody may wait on a list then, and nobody adds to it
                return min(seconds, BEAT_SECONDS / 4)
            if refusal.code(error) not in ("WRONGTYPE", "NOPERM"):
                raise
            self._tell(error)
            return BEAT_SECONDS
        return 0.0

    def _check(self) -> None:
        """Is it a list, and may it be touched? If not it is left out, and the others flow."""
        self._checked = time.monotonic()
        try:
            self.spool.client.llen(self.queue)
        except redis.ResponseError as error:
            if refusal.code(error) in ("WRONGTYPE", "NOPERM"):
                self._tell(error)

    def _tell(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._told < TELL_SECONDS:
            return
        self._told = now
        kind = ""
        if refusal.code(error) == "WRONGTYPE":
            with contextlib.suppress(redis.RedisError):
                kind = f", it is of type {self.spool.client.type(self.queue).decode()}"  # type: ignore[union-attr]
        logger.error("%s is not drained%s: Redis says %s", self.queue, kind, refusal.words(error))


class Pulse:
    """Says that this worker and its children are alive, and sees who is not."""

    def __init__(self, spool: Spool, worker: str, size: Callable[[], int]) -> None:
        self.spool = spool
        self.worker = worker
        self.size = size
        self.space = owner.space_of(worker)
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
        for name in self._silent(beats, now):
            released = self.spool.release(name, died=True)
            if released:
                logger.warning("%s is gone; %d mails go on elsewhere", name, released)
        return BEAT_SECONDS

    def _living_children(self, beats: dict[str, int]) -> list[str]:
        living = []
        for name in beats:
            if not name.startswith(self.worker + "/"):
                continue
            member = owner.member_of(name)
            if member is not None and machine.gone(member):
                self.spool.release(name, died=True)
            else:
                living.append(name)
        return living

    def _silent(self, beats: dict[str, int], now: float) -> Sequence[str]:
        """Owners of other workers whose process is gone, or whose beat did not change for too long."""
        silent = []
        self._seen = {name: seen for name, seen in self._seen.items() if name in beats}
        for name, beat in beats.items():
            if owner.worker_of(name) == self.worker:
                continue
            seen = self._seen.get(name)
            if seen is None or seen[0] != beat:
                self._seen[name] = (beat, now)
            quiet = now - self._seen[name][1]
            if quiet > SILENT_SECONDS or (quiet >= QUIET_SECONDS and owner.gone(name, self.space)):
                silent.append(name)
        return silent
