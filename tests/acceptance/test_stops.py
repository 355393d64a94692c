"""However a worker is stopped: a mail whose child still waits for the relay's answer is not in doubt."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailworker.mail.address import Mailbox
from mailworker.mail.email import Email
from mailworker.mail.entry import to_php
from tests.conftest import Inbox, RedisServer, Workers, until
from tests.spools import queries_of

QUEUE = "queue:email"
CHILDREN = 3


def push(server: RedisServer, count: int) -> list[str]:
    subjects = [f"mail {number}" for number in range(count)]
    entries = [to_php(Email((Mailbox("a@example.com"),), subject.encode(), b"text")) for subject in subjects]
    server.client().lpush(QUEUE, *entries)
    return subjects


def report(server: RedisServer) -> dict[str, dict[str, int]]:
    return queries_of(server.client(), [QUEUE]).status()


def children(worker: subprocess.Popen[bytes]) -> list[int]:
    found = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    return [int(process) for process in found]


@pytest.fixture
def slow(inbox: Inbox) -> Iterator[Inbox]:
    """A relay that answers after a second and a half."""

    def beat() -> None:
        while not over.wait(0.05):
            if inbox.begun and not opened.is_set() and time.monotonic() - begun() > 1.5:
                opened.set()
                inbox.gate.set()

    first: list[float] = []

    def begun() -> float:
        first[:] = first or [time.monotonic()]
        return first[0]

    over, opened = threading.Event(), threading.Event()
    inbox.gate.clear()
    thread = threading.Thread(target=beat)
    thread.start()
    yield inbox
    over.set()
    thread.join()


def remote(workers: Workers, command: str) -> Callable[[subprocess.Popen[bytes]], None]:
    def tell(_: subprocess.Popen[bytes]) -> None:
        code = f"from mailworker import app; app.control.{command}"
        assert workers.run("python", "-c", code).returncode == 0

    return tell


def to_group(number: signal.Signals) -> Callable[[subprocess.Popen[bytes]], None]:
    """What systemd does: main process and children get it."""
    return lambda worker: os.killpg(worker.pid, number)


def twice(number: signal.Signals) -> Callable[[subprocess.Popen[bytes]], None]:
    def send(worker: subprocess.Popen[bytes]) -> None:
        worker.send_signal(number)
        time.sleep(0.5)  # for the first one's handler: a signal that is pending is not delivered twice
        worker.send_signal(number)

    return send


STOPS = {
    "TERM": lambda worker: worker.send_signal(signal.SIGTERM),
    "QUIT": lambda worker: worker.send_signal(signal.SIGQUIT),
    "INT twice": twice(signal.SIGINT),
    "TERM to all": to_group(signal.SIGTERM),
    "QUIT to all": to_group(signal.SIGQUIT),
}


@pytest.mark.parametrize("how", [*STOPS, "remote"])
def test_no_stop_puts_a_mail_in_doubt_whose_child_waits_for_its_answer(
    workers: Workers, redis_server: RedisServer, slow: Inbox, how: str
) -> None:
    """Celery starts steps that do not require each other in an order that differs from start to start, and stops them
    in the reverse. Service managers signal a whole group (systemd.kill(5), KillMode=control-group)."""
    worker = workers.start("-c", str(CHILDREN))
    stop = STOPS.get(how) or remote(workers, "shutdown(destination=['w0@test'])")
    subjects = push(redis_server, CHILDREN)
    until(lambda: slow.begun >= 1, what="a mail under way")
    other = workers.start("-c", "1")
    stop(worker)
    worker.wait(30)
    until(lambda: len(slow.mails) >= len(subjects), what="every mail")
    until(lambda: not any(report(redis_server)["states"].values()), what="the end")
    assert sorted(slow.subjects()) == sorted(subjects)
    assert report(redis_server)["totals"]["in_doubt"] == 0
    other.terminate()
    other.wait(20)
    assert queries_of(redis_server.client(), [QUEUE]).beats() == {}


@pytest.mark.parametrize("command", ["pool_shrink(1)", "pool_restart()", "autoscale(1, 1)"])
def test_no_change_of_the_pool_puts_a_mail_in_doubt(
    workers: Workers, redis_server: RedisServer, slow: Inbox, command: str
) -> None:
    (workers.folder / "celeryconfig.py").write_text("worker_pool_restarts = True\nworker_max_tasks_per_child = 1\n")
    options = ("--autoscale=3,1",) if command.startswith("autoscale") else ("-c", "3")
    workers.start(*options)
    subjects = push(redis_server, CHILDREN)
    until(lambda: slow.begun >= 1, what="a mail under way")
    remote(workers, command)(workers.processes[0])
    until(lambda: len(slow.mails) >= len(subjects), what="every mail")
    until(lambda: not any(report(redis_server)["states"].values()), what="the end")
    assert sorted(slow.subjects()) == sorted(subjects)
    assert report(redis_server)["totals"]["in_doubt"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_child_that_is_told_to_end_waits_for_the_answer_first(
    workers: Workers, redis_server: RedisServer, slow: Inbox, number: signal.Signals
) -> None:
    """Its worker lives on and makes a new one."""
    worker = workers.start("-c", "1")
    (child,) = children(worker)
    push(redis_server, 3)
    until(lambda: slow.begun >= 1, what="a mail under way")
    os.kill(child, number)
    until(lambda: len(slow.mails) == 3, what="every mail")
    until(lambda: child not in children(worker) and children(worker), what="a new child")
    assert report(redis_server)["totals"]["in_doubt"] == 0
    assert len(set(slow.subjects())) == 3
