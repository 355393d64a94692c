"""Who is taken for dead: by `giveback`, and by another worker's pulse."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from mailworker.delivery import giveback
from mailworker.delivery.giveback import release_the_gone
from mailworker.spool import Queries, Spool, machine, owner
from mailworker.worker import pulse as pulses
from tests.conftest import RedisServer, settings_for, until
from tests.spools import queries_of, spool_of

HERE = machine.space()


def name(process: int, space: str = HERE, started: str = "") -> str:
    return f"one-host:{space}:{process}:{started or machine.started(process)}-abc123"


@pytest.fixture
def spool(redis_server: RedisServer) -> Spool:
    return spool_of(redis_server.client(), ["queue:email"])


@pytest.fixture
def views(redis_server: RedisServer) -> Queries:
    return queries_of(redis_server.client(), ["queue:email"])


@pytest.fixture
def ended() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def sleeper() -> Iterator[int]:
    process = subprocess.Popen(["sleep", "60"])
    yield process.pid
    process.kill()
    process.wait()


def owned(spool: Spool, who: str) -> None:
    spool.beat(who, 1, ())
    spool.accept("mail", b"{}")
    assert spool.take(who + f"/{owner.member_of(who).process}.0", ["mail"]).records  # type: ignore[union-attr]


def state(views: Queries) -> str:
    (found,) = [name for name, count in views.status()["states"].items() if count]
    return found


def test_a_worker_killed_on_this_machine_is_released_at_once(spool: Spool, views: Queries, ended: int) -> None:
    owned(spool, name(ended, started="77"))
    begun = time.monotonic()
    assert release_the_gone(spool, views)
    assert time.monotonic() - begun < 2
    assert state(views) == "queued"


def test_a_worker_that_is_there_and_silent_is_not_released(spool: Spool, views: Queries, sleeper: int) -> None:
    owned(spool, name(sleeper))
    assert not release_the_gone(spool, views)
    assert state(views) == "leased"


def test_another_process_with_the_id_of_one_that_was_killed_does_not_keep_its_mails(
    spool: Spool, views: Queries, sleeper: int
) -> None:
    owned(spool, name(sleeper, started="1"))
    assert release_the_gone(spool, views)
    assert state(views) == "queued"


def test_of_another_machine_only_a_long_silence_tells(
    spool: Spool, views: Queries, ended: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giveback, "SILENT_SECONDS", 4.0)
    other = name(ended, space="another.1", started="77")
    owned(spool, other)
    beat = threading.Timer(2.5, lambda: spool.beat(other, 1, ()))  # a machine that is busy
    beat.start()
    assert not release_the_gone(spool, views)
    beat.join()
    assert state(views) == "leased"
    monkeypatch.setattr(giveback, "SILENT_SECONDS", 0.5)
    assert release_the_gone(spool, views)
    assert state(views) == "queued"


def test_a_command_waits_as_long_as_a_worker() -> None:
    assert giveback.SILENT_SECONDS == pulses.SILENT_SECONDS


@pytest.mark.parametrize("space", ["another.1.2", "4026531836", ""])
def test_a_pulse_does_not_look_for_another_machine_s_processes_here(
    spool: Spool, views: Queries, ended: int, space: str
) -> None:
    """Two machines with one host name, as cloned images have: each took the other's worker for dead."""
    owned(spool, name(ended, space=space, started="77"))
    pulse = pulses.Pulse(spool, owner.name_worker("one-host"), lambda: 1, lambda _: None)
    for _ in range(3):
        pulse._beat(0)
    assert state(views) == "leased"


def test_a_pulse_releases_whom_its_own_machine_has_lost(
    spool: Spool, views: Queries, ended: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulses, "QUIET_SECONDS", 0.2)
    owned(spool, name(ended, started="77"))
    pulse = pulses.Pulse(spool, owner.name_worker("another-name"), lambda: 1, lambda _: None)
    pulse._beat(0)
    assert state(views) == "leased"
    until(lambda: pulse._beat(0) and state(views) == "queued", 5, "the release")


def test_a_pulse_that_goes_on_is_believed_more_than_a_missing_process(
    spool: Spool, views: Queries, ended: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on machines that were copied while they ran."""
    monkeypatch.setattr(pulses, "QUIET_SECONDS", 0.2)
    twin = name(ended, started="77")
    owned(spool, twin)
    pulse = pulses.Pulse(spool, owner.name_worker("one-host"), lambda: 1, lambda _: None)
    for _ in range(5):
        spool.beat(twin, 1, [f"{twin}/{ended}.0"])
        pulse._beat(0)
        time.sleep(0.1)
    assert state(views) == "leased"


def test_a_pulse_leaves_its_own_living_children_alone_and_releases_the_dead(
    spool: Spool, views: Queries, ended: int
) -> None:
    mine = owner.name_worker("one-host")
    spool.accept("living", b"{}")
    spool.take(f"{mine}/{os.getpid()}.{machine.started(os.getpid())}.0", ["living"])
    spool.accept("dead", b"{}")
    spool.take(f"{mine}/{ended}.77.0", ["dead"])
    pulses.Pulse(spool, mine, lambda: 1, lambda _: None)._beat(0)
    states = views.status()["states"]
    assert (states["leased"], states["queued"]) == (1, 1)


def test_in_every_worker_the_pulse_and_the_release_outlast_the_pool() -> None:
    """Celery stops steps in the reverse of an order that it makes from a set."""
    code = """
from mailworker import app
for _ in range(5):
    names = [step.name for step in app.Worker(concurrency=1, quiet=True).steps]
    assert names[0] == "mailworker.worker.closing.Closing", names
    assert names.index("celery.worker.components.Pool") < names.index("mailworker.worker.watcher.Watcher"), names
"""
    environment = settings_for("redis://127.0.0.1:1/0", "smtp://127.0.0.1:1")
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
