"""The control of the row of files: what the scripts count down is counted down beside them, by a command of its own.

A worker that dies in between leaves a file that nobody needs. Where the trials do not see that, they are blind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailworker.outcome import Sent
from mailworker.spool import Spool, script_text

IN_THE_SCRIPT = "  if blobs then need_blobs(blobs, -1) end\n"


def take_out_of_the_scripts() -> None:
    """Before the first spool of this process is made."""
    inner = script_text._read

    def read(name: str) -> str:
        text = inner(name)
        if name != "lib/state.lua":
            return text
        if IN_THE_SCRIPT not in text:
            raise AssertionError("the scripts count elsewhere now")
        return text.replace(IN_THE_SCRIPT, "").replace("(id, from, how, large, blobs)", "(id, from, how, large)")

    script_text._read = read  # type: ignore[assignment]


def count_beside(settle: Callable[..., Any]) -> Callable[..., Any]:
    """Around `Spool.settle`."""

    def counted(spool: Spool, relay: str, owner: str, outcomes: Any, *more: Any, **options: Any) -> Any:
        redis: Any = spool.client
        sent = [mail_id for mail_id, outcome in outcomes if isinstance(outcome, Sent)]
        needed = [redis.hget(f"{spool.prefix}mail:{mail_id}", "blobs") for mail_id in sent]
        answer = settle(spool, relay, owner, outcomes, *more, **options)
        for digest in b" ".join(filter(None, needed)).decode().split():
            if redis.hincrby(spool.prefix + "blobs", digest, -1) <= 0:
                redis.hdel(spool.prefix + "blobs", digest)
                redis.unlink(f"{spool.prefix}blob:{digest}")
        return answer

    return counted
