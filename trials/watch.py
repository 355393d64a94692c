"""What the spool says: who has which mails in hand, and whether anything is left."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import redis

from . import control, files
from .producer import client

PREFIX = "mailworker:"
QUEUE = "queue:email"
_TOKEN = re.compile(rb"tok[a-z][0-9a-f]{16}")


class Watch:
    def __init__(self, url: str, plain: bool = False) -> None:
        self.redis: Any = client(url)
        self.plain = plain

    def answers(self) -> bool:
        try:
            return bool(self.redis.ping())
        except redis.RedisError:
            return False

    def owners(self, process: int) -> list[str]:
        """The owners' names that this process goes by."""
        names = (name.decode() for name in self.redis.hkeys(PREFIX + "owners"))
        return [name for name in names if process_of(name) == process]

    def hand(self, process: int) -> dict[str, str]:
        """The state of each mail that this process has in hand: taken and not settled, or claimed and not rung for."""
        return self._hand(self.owners(process))

    def worker_hand(self, main: int, processes: Iterable[int]) -> dict[str, str]:
        names = [name.decode() for name in self.redis.hkeys(PREFIX + "owners")]
        wanted = {main, *processes}
        return self._hand([name for name in names if process_of(name) in wanted])

    def _hand(self, owners: list[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for owner in owners:
            for mail in self.redis.smembers(f"{PREFIX}lease:{owner}"):
                state, held = self.redis.hmget(f"{PREFIX}mail:{mail.decode()}", "state", "owner")
                if state is not None and held in (None, owner.encode()):
                    found[mail.decode()] = state.decode()
        return found

    def everything(self) -> list[str]:
        """All mails of the spool that are not final."""
        return [mail.decode() for mail in self.redis.zrange(PREFIX + "due", 0, -1)]

    def left(self, mails: Iterable[str]) -> list[str]:
        """Those of these mails that still have a record: not yet at the relay."""
        wanted = list(mails)
        pipeline = self.redis.pipeline(transaction=False)
        for mail in wanted:
            pipeline.hget(f"{PREFIX}mail:{mail}", "state")
        return [mail for mail, state in zip(wanted, pipeline.execute(), strict=True) if state not in (None, b"sent")]

    def bridge(self) -> int:
        """The process that runs the bridge now, or 0."""
        holder = (self.redis.get(PREFIX + "bridge_lock") or b"").decode()
        return process_of(holder) if "/" in holder else 0

    def counts(self) -> dict[str, int]:
        return {name.decode(): int(value) for name, value in self.redis.hgetall(PREFIX + "counts").items()}

    def under_way(self) -> int:
        counts = self.counts()
        return counts.get("leased", 0) + counts.get("committing", 0)

    def drained(self) -> bool:
        try:
            if self.plain:
                return bool(self.redis.llen(control.QUEUE) == 0)
            return bool(self.redis.llen(QUEUE) == 0 and self.redis.zcard(PREFIX + "due") == 0)
        except redis.RedisError:
            return False

    def waiting(self) -> str:
        """For a message: what is left where."""
        counts = {name: number for name, number in self.counts().items() if number and ":" not in name}
        return f"list {self.redis.llen(QUEUE)}, due {self.redis.zcard(PREFIX + 'due')}, {counts}"

    def buried(self) -> dict[str, str]:
        """The reason of each dead letter by its token."""
        found = {}
        for mail in self.redis.zrange(PREFIX + "dead", 0, -1):
            payload, reason = self.redis.hmget(f"{PREFIX}mail:{mail.decode()}", "payload", "reason")
            payload = payload or self.redis.lindex(f"{PREFIX}payload:{mail.decode()}", 0)
            for token in _TOKEN.findall(payload or b""):
                found[token.decode()] = (reason or b"?").decode()
        return found

    def doubts(self) -> set[str]:
        """The ids of all mails that were in doubt."""
        return {mail.decode().partition("~")[0] for mail in self.redis.zrange(PREFIX + "doubts", 0, -1)}

    def drift(self) -> dict[str, int]:
        """By how much the spool's counts differ from its records. Empty where they agree."""
        real: dict[str, int] = {}
        for key in self.redis.scan_iter(PREFIX + "mail:*", count=1000):
            state = (self.redis.hget(key, "state") or b"sent").decode()
            if state != "sent":
                real[state] = real.get(state, 0) + 1
        for key in self.redis.scan_iter(PREFIX + "payload:*", count=1000):
            if not self.redis.hexists(key.replace(b"payload:", b"mail:", 1), "size"):
                real["payload without a record"] = real.get("payload without a record", 0) + 1
        counted = {name: number for name, number in self.counts().items() if ":" not in name}
        differences = {name: counted.get(name, 0) - real.get(name, 0) for name in {*real, *counted}}
        return {name: number for name, number in differences.items() if number}

    def faults_of_files(self) -> list[str]:
        return files.faults(self.redis, PREFIX)


def process_of(owner: str) -> int:
    """The process in `host:space:pid:random` or `host:space:pid:random/pid.slot`."""
    worker, _, child = owner.partition("/")
    return int(child.partition(".")[0]) if child else int(worker.split(":")[-2])
