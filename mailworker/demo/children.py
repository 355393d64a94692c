"""The processes of a demo: each has a log in the demo's folder, and none outlives the demo."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeVar

from .errors import DemoError, Stopped

T = TypeVar("T")

LOOK_SECONDS: Final = 0.05
STOP_SECONDS: Final = 10.0
LAST_LINES: Final = 15


@dataclass(frozen=True, slots=True)
class Child:
    """A process that the demo started."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    passing: bool
    """It ends by itself; an exit code of 0 is then no reason to worry."""

    def text(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def obituary(self) -> str:
        lines = self.text().splitlines()[-LAST_LINES:]
        said = "\n".join(["; it last said:", *(f"    {line}" for line in lines)]) if lines else " and said nothing"
        return f"{self.name} ended with exit code {self.process.returncode}{said}"


class Children:
    """Starts processes in `folder` with `environment` and nothing of ours, and stops them, the last one first."""

    def __init__(self, folder: Path, environment: Mapping[str, str], stop: threading.Event) -> None:
        self.folder = folder
        self.environment = environment
        self._stop = stop
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self._children):
            self.end(child)

    def start(
        self, name: str, command: Sequence[str], more: Mapping[str, str] | None = None, passing: bool = False
    ) -> Child:
        """With `more` in its environment. In a session of its own: Ctrl-C in the terminal reaches the demo alone, which
        then stops it in order."""
        path = self.folder / f"{name.replace(' ', '-').lower()}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env={**self.environment, **(more or {})}, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        child = Child(name, process, path, passing)
        self._children.append(child)
        return child

    def wait(self, look: Callable[[], T | None], what: str, seconds: float) -> T:
        """The first value that `look` returns. Raises `DemoError` when a child dies or the time is over, `Stopped`."""
        deadline = time.monotonic() + seconds
        while True:
            found = look()
            if found is not None:
                return found
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(f"{what} within {seconds:.0f} seconds; the logs end with:\n{self._last_lines()}")
            self.pause(LOOK_SECONDS)

    def pause(self, seconds: float) -> None:
        """Raises `Stopped` as soon as somebody asks for it."""
        if self._stop.wait(seconds):
            raise Stopped

    def check(self) -> None:
        """Raises `DemoError` for a child that ended and should not have."""
        for child in self._children:
            code = child.process.poll()
            if code is not None and not (child.passing and code == 0):
                raise DemoError(child.obituary())

    def end(self, child: Child) -> None:
        """Asks it to stop, and kills what is left of it and of its own children."""
        process = child.process
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                print(
                    f"{child.name} did not stop within {STOP_SECONDS:.0f} seconds and is killed",
                    file=sys.stderr,
                    flush=True,
                )
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._children.remove(child)

    def _last_lines(self) -> str:
        ends = ((child.name, line) for child in self._children for line in child.text().splitlines()[-5:])
        return "\n".join(f"    {name}: {line}" for name, line in ends)
