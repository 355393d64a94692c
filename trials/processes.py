"""Processes of a stage: started in their own session, looked at through /proc, ended by their id and no other way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

ROOT: Final = Path(__file__).resolve().parent.parent
T = TypeVar("T")


class StalledError(AssertionError):
    """Something did not happen by its deadline."""


class CancelledError(BaseException):
    """Somebody wants the runner to end."""


cancelled: Final = threading.Event()


def wait_for(what: str, condition: Callable[[], T | None], seconds: float, pause: float = 0.01) -> T:
    """The first true value of the condition. Raises `StalledError` after its deadline,
    `CancelledError` when `cancelled` is set."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if cancelled.is_set():
            raise CancelledError
        if time.monotonic() > deadline:
            raise StalledError(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause)
    return value


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def start(command: Sequence[str], log: Path, environment: Mapping[str, str], folder: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(environment), cwd=folder,
            start_new_session=True,
        )  # fmt: skip


def children(process: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def kill(process: int, number: signal.Signals = signal.SIGKILL) -> bool:
    """False where it is gone already."""
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return False
    return True


def alive(process: int) -> bool:
    return _state(process) not in ("", "Z", "X")


def freeze(process: int) -> bool:
    """Stops it, and returns when it stands still. False where it is gone."""
    if not kill(process, signal.SIGSTOP):
        return False
    deadline = time.monotonic() + 5
    while (state := _state(process)) not in ("T", "t"):
        if state in ("", "Z", "X") or time.monotonic() > deadline:
            return False
        time.sleep(0.0005)
    return True


def thaw(process: int) -> None:
    kill(process, signal.SIGCONT)


def _state(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return ""
