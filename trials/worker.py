"""`celery` with named points at which it can be killed. `python -m trials.worker -A mailworker worker …`.

The product has no hooks for tests: its methods are wrapped here, before Celery starts and forks. At an armed point
(see `arms`) the process kills itself with SIGKILL.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from celery.__main__ import main as celery

from mailworker.delivery import bridge
from mailworker.smtp.connection import Connection
from mailworker.smtp.replies import ReplyReader
from mailworker.spool import Spool

from . import counting
from .arms import Arms


def main() -> None:
    arms = Arms(Path(os.environ["TRIALS_ARMS"]))

    def point(name: str) -> None:
        if arms.take(name) is not None:
            _die()

    if "TRIALS_COUNT_BESIDE" in os.environ:
        counting.take_out_of_the_scripts()
    _wrap(Spool, "claim", point, lambda *_: "claim")
    _wrap(Spool, "unlock", point, lambda *_: "unlock")
    _wrap(Spool, "take", point, lambda *_: "take")
    _wrap(Spool, "settle", point, _settle)
    _wrap(ReplyReader, "read", point, lambda _, phase, *__: "reply" if phase == "message" else None)
    _wrap_write(arms, point)
    _wrap_doorbells(point)
    if "TRIALS_COUNT_BESIDE" in os.environ:
        _replace(Spool, "settle", counting.count_beside(Spool.settle))
    celery()


def _settle(_: Spool, __: str, ___: str, settle: Sequence[Any], commit: Sequence[str] = (), *____: Any) -> str | None:
    """A call that only commits is `commit`; one that settles too counts as either, in turn."""
    if commit and settle:
        return "commit" if len(settle) % 2 else "settle"
    return "commit" if commit else "settle" if settle else None


def _wrap(owner: type, method: str, point: Callable[[str], None], name: Callable[..., str | None]) -> None:
    inner = getattr(owner, method)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        at = name(*args, **kwargs)
        if at:
            point(f"{at}-before")
        result = inner(*args, **kwargs)
        if at:
            point(f"{at}-after")
        return result

    _replace(owner, method, wrapped)


def _wrap_write(arms: Arms, point: Callable[[str], None]) -> None:
    inner: Any = Connection.write

    def write(self: Connection, octets: Any, phase: str, seconds: float) -> None:
        if phase == "message":
            point("dot-before")
            if arms.take("dot-middle") is not None:
                content = octets if isinstance(octets, bytes) else b"".join(octets)
                self.sock.settimeout(5)
                self.sock.sendall(content[: len(content) // 2])
                _die()
        inner(self, octets, phase, seconds)
        if phase == "message":
            point("dot-after")

    _replace(Connection, "write", write)


def _replace(owner: Any, name: str, value: Any) -> None:
    setattr(owner, name, value)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _wrap_doorbells(point: Callable[[str], None]) -> None:
    inner = bridge.doorbells

    def doorbells(*args: Any) -> Iterator[list[str]]:
        for ids in inner(*args):
            yield ids
            point("rung")

    _replace(bridge, "doorbells", doorbells)


if __name__ == "__main__":
    main()
