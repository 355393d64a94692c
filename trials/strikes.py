"""The strikes. Each returns the seconds until what it hit went on, once it saw that it hit work in hand."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import redis

from . import control, points, processes, relay
from .processes import StalledError, wait_for
from .stage import Stage, Worker

Strike = Callable[[Stage, int, random.Random], float]
"""The stage, the number of the strike, chance. Raises `StalledError` where it found nothing to hit."""

AIM_SECONDS: Final = 60
PATIENCE: Final = 120


# The bridge.


def bridge_child(stage: Stage, number: int, chance: random.Random) -> float:
    """At a named point, or at random: then it is stopped first, and killed if it still holds the lock."""
    if number % 2 == 0:
        point = points.BRIDGE[number // 2 % len(points.BRIDGE)]
        _at_point(stage, point, chance)
    else:
        wait_for("a bridge is caught at work", lambda: _kill_bridge(stage), AIM_SECONDS, 0.001)
    begun = time.monotonic()
    token = stage.push_marker()
    wait_for("an entry pushed after it arrives", lambda: stage.arrivals.has(token), PATIENCE)
    return time.monotonic() - begun


def _kill_bridge(stage: Stage) -> bool:
    process = stage.watch.bridge()
    if not process or not processes.freeze(process):
        return False
    # What it had written when it was stopped is handled by the time of the second answer.
    if stage.watch.bridge() == process and stage.watch.bridge() == process:
        return processes.kill(process)
    processes.thaw(process)
    return False


# Pool children.


def sending_child(stage: Stage, number: int, chance: random.Random) -> float:
    if number % 2 == 0:
        point = points.CHILD[number // 2 % len(points.CHILD)]
        process = _at_point(stage, point, chance)
        return _gone_on(stage, stage.watch.hand(process))
    return _gone_on(stage, wait_for("a child is caught sending", lambda: _kill_sending(stage, chance), AIM_SECONDS))


def rung_child(stage: Stage, number: int, chance: random.Random) -> float:
    """With a doorbell in hand, before it took the mails it is for. All mails that wait at that moment are watched."""
    _at_point(stage, points.DOORBELL, chance)
    return _gone_on(stage, stage.watch.everything())


def _at_point(stage: Stage, point: str, chance: random.Random) -> int:
    """The process that died there."""
    before = len(stage.arms.struck(point))
    time.sleep(chance.random() * 0.3)
    stage.arms.arm(point)
    try:
        wait_for(f"{point} is reached", lambda: len(stage.arms.struck(point)) > before, AIM_SECONDS, 0.002)
    except StalledError:
        stage.arms.disarm(point)
        raise
    process = stage.arms.struck(point)[-1]
    wait_for(f"the child at {point} is dead", lambda: not processes.alive(process), 5, 0.001)
    return process


def _kill_sending(stage: Stage, chance: random.Random) -> dict[str, str]:
    """What it had in hand; nothing where none was caught."""
    candidates = [child for one in stage.workers for child in one.pool()]
    for process in chance.sample(candidates, len(candidates)):
        time.sleep(chance.random() * 0.01)
        if processes.freeze(process):
            hand = stage.watch.hand(process)
            if "committing" in hand.values():
                processes.kill(process)
                return hand
            processes.thaw(process)
    return {}


def _gone_on(stage: Stage, hand: Iterable[str]) -> float:
    """Seconds until the relay has all of these mails."""
    begun = time.monotonic()
    mails = list(hand)
    wait_for("the mails in its hand are sent", lambda: not stage.watch.left(mails), PATIENCE)
    return time.monotonic() - begun


# Whole workers.


def main_process(stage: Stage, number: int, chance: random.Random) -> float:
    """Alone, so that its children are orphans, or with all its children. A new worker takes its place."""
    struck, hand = wait_for("a worker has mails in hand", lambda: _busy(stage, chance), AIM_SECONDS)
    pool = struck.pool()
    processes.kill(struck.main)
    if number % 2:
        for child in pool:
            processes.kill(child)
    struck.process.wait()
    hand = {**hand, **stage.watch.worker_hand(struck.main, pool)}
    seconds = _gone_on(stage, hand)
    wait_for("no child is left", lambda: not any(map(processes.alive, pool)), PATIENCE)
    stage.reap()
    stage.start_worker()
    return seconds


def _busy(stage: Stage, chance: random.Random) -> tuple[Worker, dict[str, str]] | None:
    candidate = chance.choice(stage.workers)
    time.sleep(chance.random() * 0.02)
    hand = stage.watch.worker_hand(candidate.main, candidate.pool())
    return (candidate, hand) if "committing" in hand.values() else None


def freeze_worker(stage: Stage, number: int, chance: random.Random) -> float:
    """Main process and children stand still until others have taken over, then wake up. Seconds to the take-over."""
    struck, family, hand = wait_for(
        "a worker is stopped with mails in hand", lambda: _freeze(stage, chance), AIM_SECONDS
    )
    try:
        seconds = _gone_on(stage, hand)
        wait_for("its name is struck off", lambda: not stage.watch.owners(struck.main), PATIENCE)
    finally:
        for process in family:
            processes.thaw(process)
    wait_for("it is at work again", lambda: stage.watch.worker_hand(struck.main, struck.pool()), PATIENCE)
    return seconds


def _freeze(stage: Stage, chance: random.Random) -> tuple[Worker, list[int], dict[str, str]] | None:
    found = _busy(stage, chance)
    if not found:
        return None
    struck, _ = found
    family = [struck.main, *struck.pool()]
    for process in chance.sample(family, len(family)):
        processes.freeze(process)
    hand = stage.watch.worker_hand(struck.main, family)
    if "committing" in hand.values():
        return struck, family, hand
    for process in family:
        processes.thaw(process)
    return None


STOPS: Final = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)


def stop_worker(stage: Stage, number: int, chance: random.Random) -> float:
    """A rolling restart: a new worker comes, an old one is told to stop while it sends. Seconds until it is gone."""
    struck, hand = wait_for("a worker has mails in hand", lambda: _busy(stage, chance), AIM_SECONDS)
    pool = struck.pool()
    begun = time.monotonic()
    processes.kill(struck.main, STOPS[number % len(STOPS)])
    wait_for("the worker is gone", lambda: struck.process.poll() is not None, 60)
    seconds = time.monotonic() - begun
    wait_for("its children are gone", lambda: not any(map(processes.alive, pool)), 30)
    _gone_on(stage, hand)
    stage.reap()
    stage.start_worker()
    return seconds


def stop_slow_worker(stage: Stage, number: int, chance: random.Random) -> float:
    """While the relay keeps its children waiting; every other time the whole group is told, as service managers do. The
    other worker has time to take whom it likes for dead. Seconds until it is gone."""
    struck, hand = wait_for("a worker has mails in hand", lambda: _busy(stage, chance), AIM_SECONDS)
    pool = struck.pool()
    begun = time.monotonic()
    for process in (struck.main, *(pool if number % 2 else ())):
        processes.kill(process, STOPS[number // 2 % len(STOPS)])
    wait_for("the worker is gone", lambda: struck.process.poll() is not None, 60)
    seconds = time.monotonic() - begun
    _gone_on(stage, hand)
    stage.reap()
    stage.start_worker()
    return seconds


# Redis.


def kill_redis(stage: Stage, number: int, chance: random.Random) -> float:
    """Killed while mails are under way, and started again on its append-only file. Seconds until mail flows again."""
    wait_for("mails are under way", stage.watch.under_way, AIM_SECONDS)
    time.sleep(chance.random() * 0.05)
    stage.kill_redis()
    time.sleep(chance.choice((0.0, 0.5, 2.0)) * chance.random())
    stage.start_redis()
    begun = time.monotonic()
    token = wait_for("Redis takes a push", lambda: _marker(stage), 20)
    wait_for("an entry pushed after it arrives", lambda: stage.arrivals.has(token), PATIENCE)
    return time.monotonic() - begun


def _marker(stage: Stage) -> str:
    try:
        return stage.push_marker()
    except redis.RedisError:
        return ""


def lose_answer(stage: Stage, number: int, chance: random.Random) -> float:
    """The answer to one of our scripts, in turn, or to one of the broker's commands. Seconds until mail flows."""
    proxy = stage.proxy
    if proxy is None:
        raise StalledError("this stage has no proxy")
    name, word = words(stage)[number % len(words(stage))]
    before = len(proxy.lost)
    time.sleep(chance.random() * 0.3)
    proxy.lose(word)
    try:
        wait_for(f"{name} is asked", lambda: len(proxy.lost) > before, AIM_SECONDS, 0.002)
    except StalledError:
        proxy.disarm()
        raise
    begun = time.monotonic()
    token = stage.push_marker()
    wait_for("an entry pushed after it arrives", lambda: stage.arrivals.has(token), PATIENCE)
    return time.monotonic() - begun


def words(stage: Stage) -> list[tuple[str, bytes]]:
    """What each request can be known by."""
    from mailworker.runtime import make_spool  # noqa: PLC0415
    from mailworker.settings import Settings  # noqa: PLC0415
    from mailworker.spool.scripts import name_of  # noqa: PLC0415

    scripts = make_spool(Settings()).runner.scripts
    found = {name_of(script): text.digest.encode() for script, text in scripts.items()}
    ours = [(name, found[name]) for name in ("take", "settle", "unlock", "claim", "look", "accept", "beat")]
    return [*ours, ("BRPOP", b"BRPOP"), ("LPUSH", b"LPUSH"), ours[1]]


# The relay.


def misbehave(*steps: str, actions: Sequence[str] = relay.ACTIONS) -> Strike:
    """At one of these steps, each action in turn."""

    def strike(stage: Stage, number: int, chance: random.Random) -> float:
        step = steps[number // len(actions) % len(steps)]
        if step in ("connect", "greeting", "EHLO"):
            stage.arms.arm("MAIL", "close")  # so that a new connection is needed
            wait_for("a connection ends", lambda: not (stage.folder / "MAIL").exists(), AIM_SECONDS)
        before = len(stage.arms.struck(step))
        stage.arms.arm(step, actions[number % len(actions)])
        wait_for(f"{step} is reached", lambda: len(stage.arms.struck(step)) > before, AIM_SECONDS, 0.002)
        begun = time.monotonic()
        token = stage.push_marker()
        wait_for("an entry pushed after it arrives", lambda: stage.arrivals.has(token), PATIENCE)
        return time.monotonic() - begun

    return strike


def kill_relay(stage: Stage, number: int, chance: random.Random) -> float:
    """Killed while mails are under way, and started again. Seconds until it gets the next mail."""
    wait_for("mails are under way", stage.watch.under_way, AIM_SECONDS)
    time.sleep(chance.random() * 0.05)
    stage.kill_relay()
    time.sleep(chance.random())
    before = stage.arrivals.total()
    stage.start_relay()
    begun = time.monotonic()
    wait_for("a mail arrives", lambda: stage.arrivals.total() > before, PATIENCE)
    return time.monotonic() - begun


# Everything, and the control group.


def anything(stage: Stage, number: int, chance: random.Random) -> float:
    """One act at random while mails are under way; what it needs to go on comes back, nobody waits for it."""
    wait_for("mails are under way", lambda: _under_way(stage), AIM_SECONDS)
    chance.choice(
        (_any_child, _any_child, _any_worker, _any_worker, _any_stop, _any_freeze, _relay_dies, _any_lie, _redis_dies)
    )(stage, chance)
    time.sleep(chance.random() * 5)
    stage.calm()
    return 0.0


def _under_way(stage: Stage) -> bool:
    try:
        return stage.watch.under_way() > 0
    except redis.RedisError:
        return False


def _any_child(stage: Stage, chance: random.Random) -> None:
    pool = [child for worker in stage.workers for child in worker.pool()]
    for child in chance.sample(pool, min(len(pool), chance.choice((1, 1, 2)))):
        processes.kill(child)


def _any_worker(stage: Stage, chance: random.Random) -> None:
    struck = chance.choice(stage.workers)
    family = [struck.main, *(struck.pool() if chance.random() < 0.5 else ())]
    for process in family:
        processes.kill(process)


def _any_stop(stage: Stage, chance: random.Random) -> None:
    processes.kill(chance.choice(stage.workers).main, chance.choice(STOPS))


def _any_freeze(stage: Stage, chance: random.Random) -> None:
    struck = chance.choice(stage.workers)
    for process in (struck.main, *struck.pool()):
        processes.freeze(process)
    time.sleep(chance.choice((1.0, 5.0, 25.0)))


def _relay_dies(stage: Stage, chance: random.Random) -> None:
    stage.kill_relay()
    time.sleep(chance.random() * 2)


def _any_lie(stage: Stage, chance: random.Random) -> None:
    step = chance.choice(relay.STEPS)
    stage.arms.arm(step, chance.choice(relay.SILENT if step == "dot" else relay.ACTIONS))


def _redis_dies(stage: Stage, chance: random.Random) -> None:
    stage.kill_redis()
    time.sleep(chance.random() * 3)


def anything_of_files(stage: Stage, number: int, chance: random.Random) -> float:
    """One act at random while mails are under way, or a child at a point where it settles or commits."""
    wait_for("mails are under way", lambda: _under_way(stage), AIM_SECONDS)
    acts = (_any_child, _any_settling, _producer_dies, _redis_dies, _any_worker, _producer_dies)
    (acts[number % len(acts)] if number < len(acts) else chance.choice(acts))(stage, chance)
    time.sleep(chance.random() * 2)
    stage.calm()
    return 0.0


def _any_settling(stage: Stage, chance: random.Random) -> None:
    _at_point(stage, chance.choice(("settle-before", "settle-after", "commit-after", "take-after")), chance)


def _producer_dies(stage: Stage, chance: random.Random) -> None:
    time.sleep(chance.random() * 0.3)
    stage.kill_producer()
    stage.start_producer()


def settling_child(stage: Stage, number: int, chance: random.Random) -> float:
    """Right after the script that settles."""
    return _gone_on(stage, stage.watch.hand(_at_point(stage, "settle-after", chance)))


def control_kill(stage: Stage, number: int, chance: random.Random) -> float:
    """A child of the control group, while it sends."""
    time.sleep(chance.random() * 0.3)
    processes.kill(wait_for("a child is caught sending", lambda: _control_child(stage, chance), AIM_SECONDS))
    return 0.0


def _control_child(stage: Stage, chance: random.Random) -> int:
    """Stopped, with a mail in hand."""
    pool = [child for worker in stage.workers for child in worker.pool()]
    for process in chance.sample(pool, len(pool)):
        if control.busy_mark(stage.folder, process).exists() and processes.freeze(process):
            if control.busy_mark(stage.folder, process).exists():
                return process
            processes.thaw(process)
    return 0
