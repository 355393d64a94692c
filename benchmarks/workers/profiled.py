"""`celery` that notes every two milliseconds of CPU what it is doing: `python -m benchmarks.workers.profiled …`.

Each of its processes writes what it counted into the folder BENCH_PROFILE when it ends, as JSON: from stacks, the
functions on them with semicolons between, to samples.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

from celery import signals
from celery.__main__ import main as celery

SECONDS: Final = 0.002
_stacks: Counter[str] = Counter()


def _sample(_: int, frame: FrameType | None) -> None:
    functions = []
    while frame is not None:
        functions.append(f"{frame.f_globals.get('__name__')}.{frame.f_code.co_name}")
        frame = frame.f_back
    _stacks[";".join(reversed(functions))] += 1


def _begin() -> None:
    _stacks.clear()
    signal.signal(signal.SIGPROF, _sample)
    signal.setitimer(signal.ITIMER_PROF, SECONDS, SECONDS)


def _write(name: str) -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    path = Path(os.environ["BENCH_PROFILE"]) / f"{name}-{os.getpid()}.json"
    path.write_text(json.dumps(_stacks))


@signals.worker_process_init.connect
def _child_begins(**_: object) -> None:
    _begin()


@signals.worker_process_shutdown.connect
def _child_ends(**_: object) -> None:
    _write("child")


@signals.worker_ready.connect
def _main_begins(**_: object) -> None:
    _begin()


@signals.worker_shutting_down.connect
def _main_ends(**_: object) -> None:
    _write("main")


if __name__ == "__main__":
    sys.exit(celery())
