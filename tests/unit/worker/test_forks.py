"""A fork waits until no thread of ours may hold a lock, and a child finds the gate open."""

from __future__ import annotations

import os
import threading
import time

import pytest

from mailworker.worker import forks
from mailworker.worker.forks import Gate
from tests.conftest import until


def test_a_fork_waits_for_the_thread_that_is_inside_and_not_for_one_that_only_waits() -> None:
    gate, stop = Gate(), threading.Event()
    gate.watch()
    lock = threading.Lock()

    def work() -> None:
        while not stop.is_set():
            with gate.inside(), lock:
                time.sleep(0.002)
                lock.release()
                with gate.outside():
                    time.sleep(0.001)
                lock.acquire()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(50):
            child = os.fork()
            if child == 0:
                # What it inherited is free, and so is the gate.
                free = lock.acquire(timeout=5)
                with gate.inside():
                    os._exit(0 if free else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join()


def test_many_may_be_inside_and_none_comes_in_while_a_fork_waits() -> None:
    gate = Gate()
    came: list[int] = []
    leave = threading.Event()

    def work() -> None:
        with gate.inside():
            came.append(1)
            leave.wait(5)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads[:2]:
        thread.start()
    until(lambda: len(came) == 2)
    fork = threading.Thread(target=gate._before)
    fork.start()
    until(lambda: gate._forks)
    threads[2].start()
    assert fork.is_alive()
    leave.set()
    fork.join(5)
    assert not fork.is_alive()
    assert len(came) == 2
    gate._after()
    until(lambda: len(came) == 3)
    for thread in threads:
        thread.join(5)


def test_a_thread_that_stays_inside_does_not_keep_a_fork_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "LONGEST_WAIT", 0.05)
    gate = Gate()
    with gate.inside():
        gate._before()
        gate._after()
