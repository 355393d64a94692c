"""What the commands show of the spool. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import redis

from . import format as spool_format
from .constants import SPOOL_FORMAT
from .keys import Key, Keys
from .redis_errors import code, refuses, translated

STATES: Final = ("queued", "leased", "committing", "deferred", "failed", "held")
TOTALS: Final = ("claimed", "accepted", "sent", "deferred", "failed", "held", "in_doubt")


PAGE: Final = 200
_DEAD: Final = (b"failed", b"held")
_BRIEF: Final = (b"state", b"reason", b"detail", b"source", b"tries", b"at", b"ended", b"rcpt")

SILENT_AFTER_SECONDS: Final = 10.0
"""A worker is heard of once a second, every five where Redis fails it. Only shown: nobody is declared dead by it."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A mail that somebody must look at. `accepted` and `ended` (when it became a dead letter) are
    Unix times in ms, `source` a list's name or `delay`."""

    id: str
    reason: str
    detail: str
    source: str
    attempts: int
    raw: bytes
    accepted: int
    ended: int
    recipients: str
    """JSON: those it concerns, or empty for all."""
    origin: str = ""
    """The id of the mail of whose recipients these are some; empty where it is itself."""
    framed: bool = False
    """New code wrote it: `raw` may be a frame."""


@dataclass(frozen=True, slots=True, order=True)
class Waiting:
    """`source` is the list, empty for mail from new code. `reached` is true where somebody has, or may have, the mail
    already. `since` is from when its age counts, which may be to come, and `expires` by when it is to be sent: Unix
    times in ms, or 0."""

    source: str
    payload: bytes
    reached: bool
    since: int = 0
    expires: int = 0


class Queries:
    """Raises `SpoolError` when Redis does not answer."""

    def __init__(self, client: redis.Redis, queues: Sequence[str], prefix: str, relays: Sequence[str]) -> None:
        self.client: Any = client  # redis-py's types say bytes or str, whatever the client decodes
        self.queues = list(queues)
        self.keys = Keys(prefix)
        self.relays = relays

    def status(self) -> dict[str, Any]:
        """The lists' lengths (None where the key is no list), with which code Redis refuses writes, mails by state,
        totals since ever, the relays by their names, and the pool children of each worker that is alive. `silent` are
        those not heard of for ten seconds; `heard_seconds` is when, None where nobody can tell; `stands_seconds` is how
        long no mail moved although some wait."""
        with self._reading(may_be_older=True):
            counts = self._hash(Key.COUNTS)
            relays = {name: (self._hash(Key.RELAY, name), self._limit(name)) for name in self.relays}
            pools = self._hash(Key.POOLS)
            waiting = {queue: self._length(queue) for queue in self.queues}
            refuses = self._refuses()
            heard, now = self._heard()
        ages = {name: _age(heard.get(name), now) for name in pools}
        return {
            "lists": waiting,
            "refuses": refuses,
            "states": {state: int(counts.get(state, 0)) for state in STATES},
            "totals": {total: int(counts.get("total:" + total, 0)) for total in TOTALS},
            "relays": {name: _relay(breaker, bears, now) for name, (breaker, bears) in relays.items()},
            "workers": {name: int(size) for name, size in pools.items() if _alive(ages[name])},
            "silent": {name: age for name, age in ages.items() if not _alive(age)},
            "heard_seconds": ages,
            "stands_seconds": _age(heard.get(" moved"), now),
        }

    @contextmanager
    def _reading(self, may_be_older: bool = False) -> Iterator[None]:
        """Raises `SpoolError` for what Redis says within the block, `WrongFormat` before it."""
        try:
            self._check_format(may_be_older)
            yield
        except redis.RedisError as error:
            raise translated(error) from error

    def _check_format(self, may_be_older: bool) -> None:
        """Raises `WrongFormat`. A user of Redis that may not look is not held up."""
        try:
            found = int(self.client.get(self.keys(Key.FORMAT)) or 0)
            spool_format.refuse(found)
            if found < SPOOL_FORMAT and not may_be_older and self.client.exists(self.keys(Key.COUNTS)):
                spool_format.refuse_older()
        except redis.exceptions.NoPermissionError:
            return

    def _length(self, queue: str) -> int | None:
        """None where the key holds something else than a list."""
        try:
            return int(self.client.llen(queue))
        except redis.ResponseError as error:
            if code(error) == "WRONGTYPE":
                return None
            raise

    def _refuses(self) -> str:
        """The code with which Redis refuses writes now: a full, failing, lonely or read-only Redis may take no pulse,
        so that all workers look gone. INFO says neither how many replicas are wanted nor whether a failed save is a
        reason to refuse: where it may be one, a write that changes nothing is tried."""
        try:
            info = self.client.info()
        except redis.exceptions.NoPermissionError:
            return ""
        found = refuses(info)
        if found == "OOM" or not (found or "min_slaves_good_slaves" in info):
            return found
        try:
            self.client.delete(self.keys(Key.NOTHING))
        except redis.exceptions.NoPermissionError:
            return found
        except redis.ResponseError as error:
            if said := code(error):
                return said
            raise
        return ""

    def _limit(self, relay: str) -> int:
        """Connections that the relay bears; 0 where no limit is known, or this user of Redis may not see it."""
        try:
            return int(self._hash(Key.LIMIT, relay).get("connections", 0))
        except redis.exceptions.NoPermissionError:
            return 0

    def _heard(self) -> tuple[dict[str, str], float]:
        """When each worker was last heard of, and the time by the same clock, in ms. Without the right to see that,
        nothing and 0: an older list of users is no reason to show no status."""
        try:
            seconds, micros = self.client.time()
            return self._hash(Key.HEARD), seconds * 1000 + micros / 1000
        except redis.exceptions.NoPermissionError:
            return {}, 0

    def dead_letters(self, ids: Sequence[str] | None = None, payloads: bool = True) -> Iterator[DeadLetter]:
        """All, oldest first, or these; read in pages as they are asked for. One that is retried or dropped meanwhile is
        left out. Without `payloads` their `raw` is empty, which is much less to read."""
        with self._reading():
            if ids is None:
                ids = [mail_id.decode() for mail_id in self.client.zrange(self.keys(Key.DEAD), 0, -1)]
            for begin in range(0, len(ids), PAGE):
                yield from self._page(ids[begin : begin + PAGE], payloads)

    def _page(self, ids: Sequence[str], payloads: bool) -> Iterator[DeadLetter]:
        pipeline = self.client.pipeline(transaction=False)
        for mail_id in ids:
            pipeline.hmget(self.keys(Key.MAIL, mail_id), *_BRIEF)
        for mail_id, values in zip(ids, pipeline.execute(), strict=True):
            record = {name: value for name, value in zip(_BRIEF, values, strict=True) if value is not None}
            letter = _letter(mail_id, record)
            if letter is not None and payloads:
                letter = self._whole(letter)
            if letter is not None:
                yield letter

    def whole(self, letter: DeadLetter) -> DeadLetter | None:
        """The same with its payload; None where it is no dead letter any more."""
        try:
            return self._whole(letter)
        except redis.RedisError as error:
            raise translated(error) from error

    def _whole(self, letter: DeadLetter) -> DeadLetter | None:
        return _letter(letter.id, self._record(letter.id))

    def blobs(self, digests: Sequence[str]) -> dict[str, bytes]:
        """The files that are kept once, by their digests. Without those that are gone."""
        with self._reading():
            found = {digest: self.client.get(self.keys(Key.BLOB, digest)) for digest in digests}
            return {digest: octets for digest, octets in found.items() if octets is not None}

    def waiting(self, dead: bool) -> list[tuple[int, str, Waiting]]:
        """(sequence, id, mail) of what is queued, deferred and, if asked, dead: oldest first."""
        with self._reading():
            ids = self.client.zrange(self.keys(Key.DUE), 0, -1)
            ids += self.client.zrange(self.keys(Key.DEAD), 0, -1) if dead else []
            mails = [(mail_id.decode(), self._record(mail_id.decode())) for mail_id in ids]
        states = (b"queued", b"deferred", b"failed", b"held")
        return sorted(
            (
                _sequence(mail_id, record),
                mail_id,
                Waiting(
                    _text(record, b"source"),
                    record[b"payload"],
                    b"rcpt" in record or b"doubts" in record,
                    int(record.get(b"since", 0)),
                    int(record.get(b"expires", 0)),
                ),
            )
            for mail_id, record in mails
            if record.get(b"state") in states
        )

    def doubts(self) -> list[tuple[str, int, str]]:
        """(id, when in ms, state by now or `sent`) of the mails that a relay may have twice, oldest first."""
        with self._reading():
            found = self.client.zrange(self.keys(Key.DOUBTS), 0, -1, withscores=True)
            return [
                (
                    mail_id.decode(),
                    int(at),
                    (self.client.hget(self.keys(Key.MAIL, mail_id.decode()), "state") or b"sent").decode(),
                )
                for mail_id, at in found
            ]

    def beats(self) -> dict[str, str]:
        """Each owner's pulse: it changes while its worker is alive."""
        with self._reading():
            return self._hash(Key.OWNERS)

    def _record(self, mail_id: str) -> dict[bytes, bytes]:
        """The record with its payload, wherever that lies."""
        record: dict[bytes, bytes] = self.client.hgetall(self.keys(Key.MAIL, mail_id))
        if b"size" in record:
            record[b"payload"] = self.client.lindex(self.keys(Key.PAYLOAD, mail_id), 0) or b""
        return record

    def _hash(self, key: Key, of: str = "") -> dict[str, str]:
        return {
            key.decode(): value.decode("utf-8", "replace")
            for key, value in self.client.hgetall(self.keys(key, of)).items()
        }


def _relay(breaker: dict[str, str], bears: int, now: float) -> dict[str, Any]:
    """What there is to see of a relay."""
    return {
        "open": "open_until" in breaker,
        "failures": int(breaker.get("failures", 0)),
        "needs_operator": breaker.get("configuration") == "1",
        "slower": breaker.get("slower") == "1",
        "last_error": breaker.get("text", ""),
        "place": breaker.get("place", ""),
        "down_seconds": _age(breaker.get("since"), now),
        "probe_seconds": _until(breaker, now),
        "connections": bears,
    }


def _letter(mail_id: str, record: dict[bytes, bytes]) -> DeadLetter | None:
    """None where this is no record of a dead letter."""
    if record.get(b"state") not in _DEAD:
        return None
    return DeadLetter(
        id=mail_id,
        reason=_text(record, b"reason"),
        detail=_text(record, b"detail"),
        source=_text(record, b"source") or "delay",
        attempts=int(record.get(b"tries", 0)),
        raw=record.get(b"payload", b""),
        accepted=int(record.get(b"at", 0)),
        ended=int(record.get(b"ended", 0)),
        recipients=_text(record, b"rcpt"),
        origin=_text(record, b"origin"),
        framed=not record.get(b"source"),
    )


def _age(at: str | None, now: float) -> float | None:
    """Seconds between a time of Redis's clock and now. Who lives is soon heard of by a clock that was set back, too."""
    return round(abs(now - float(at)) / 1000, 1) if at and now else None


def _alive(age: float | None) -> bool:
    return age is None or age <= SILENT_AFTER_SECONDS


def _until(relay: dict[str, str], now: float) -> float | None:
    """Seconds until the breaker lets a probe through; None where it is closed or that is not known."""
    if "open_until" not in relay or not now:
        return None
    wait = min(float(relay["open_until"]) - now, float(relay.get("interval", 0)))
    return max(0.0, round(wait / 1000, 1))


def _sequence(mail_id: str, record: dict[bytes, bytes]) -> int:
    """The order in which mails were accepted: in the record of new code's, in the id of the others."""
    return int(record[b"sequence"]) if b"sequence" in record else int(mail_id[:12], 16)


def _text(record: dict[bytes, bytes], field: bytes) -> str:
    return record.get(field, b"").decode("utf-8", "replace")
