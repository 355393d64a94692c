"""The scripts as methods: Python values in, Python values out, one root of errors."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import redis

from ..errors import SpoolError
from ..outcome import Deferred, Failed, Further, Held, Returned, Sent, Step
from . import redis_errors as refusal
from .abandoned import given_up
from .connect import UNSENT, Caller

logger = logging.getLogger(__name__)

RING_PATIENCE_MS: Final = 45_000
"""A doorbell that is not answered in this time is rung again."""

ANSWER_PATIENCE_MS: Final = 15_000
"""The same, where its producer has yet to ring: longer than a lost answer takes to be missed, and asked for again."""

LEASE_MS: Final = 1_800_000
"""When to look again at a mail in hand. It is taken over earlier if its owner's pulse ends; see `watcher`."""

ANSWER_SECONDS: Final = 9.0
"""What Redis may be late with the answer of a command that waits."""

CLAIM_OCTETS: Final = 16 * 1024 * 1024
CALLED_OFF: Final = 1000
"""Numbers of lost calls that one script takes."""

HASTEN: Final = 1000
"""Mails that one script makes due."""

ASK_AGAIN_SECONDS: Final = 60.0
"""After so long it is tried whether a list that was forbidden still is."""

FULL: Final = (200, 1024 * 1024)
"""Mails and octets of a claim in a Redis whose memory is full: each record costs more than its entry freed."""

KEEP_SENT_SECONDS: Final = 86_400
_DETAIL: Final = 1000
PROBES_MS: Final = (15_000, 300_000)
"""The first and the longest interval in which a relay that does not work is probed."""

PAUSES_MS: Final = (1_000, 60_000)
"""The same for one that takes so much in a time and no more."""

TRY_ONE_MORE_MS: Final = (120_000, 1_200_000)
"""The first and the longest wait until one connection more is tried than the relay bears."""

_SCRIPTS: Final = (
    "accept",
    "beat",
    "calloff",
    "claim",
    "drop",
    "giveback",
    "hasten",
    "look",
    "place",
    "refused",
    "relay",
    "release",
    "retry",
    "settle",
    "take",
    "unlock",
    "wake",
)
_UNREACHABLE = (redis.ConnectionError, redis.TimeoutError, redis.exceptions.BusyLoadingError)


@dataclass(frozen=True, slots=True)
class Accepted:
    """`id` is what the mail is known by. `ring` is true where the caller has to ring for it, `new` where it is not
    another mail that has this id."""

    id: str
    ring: bool
    new: bool = True


@dataclass(frozen=True, slots=True)
class Claim:
    """What the bridge has to ring. `locked` is false when another bridge has the lock.

    `lone` is true where the one mail came alone to an idle system: the bridge delivers it, and the lock is given back.
    """

    together: list[str]
    alone: list[str]
    pool_size: int
    locked: bool
    lone: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to do. `ring` is true where the caller has the bridge's lock now and must ring for it. Else
    `wait_ms` tells when to look again, below zero while a bridge is at work. `listen` is true where the lists are
    empty, so that waiting for an entry makes sense."""

    ring: bool
    wait_ms: int
    listen: bool


@dataclass(frozen=True, slots=True)
class Record:
    """A mail in hand. `size` is in octets; `payload` is empty where `size` is over the limit, or so large that it is
    read when it is needed: see `Spool.payloads`. `tries` are the attempts that ended.

    `recipients` are those still to be sent to, None for all. `at` is when it was accepted and `since` from when its
    age counts (a dead letter that is tried again starts anew), both in ms of Redis's clock.
    """

    id: str
    payload: bytes
    size: int
    at: int
    tries: int
    recipients: tuple[str, ...] | None
    since: int
    origin: str
    """The id of the mail it came from: a dead letter for some recipients keeps the mail's Message-ID."""


@dataclass(frozen=True, slots=True)
class Taken:
    records: list[Record]
    ring: str | None
    """The token to ring the bridge with, where this child has to."""
    relay_was_down: bool
    now: int
    """Redis's clock in ms."""
    closed: bool
    """The relay's breaker is open: what was not taken waits in the queue."""


@dataclass(frozen=True, slots=True)
class Place:
    """`bears` is how many connections the relay bears, 0 where no limit is known."""

    free: bool
    bears: int


@dataclass(frozen=True, slots=True)
class Refused:
    """`configuration` where the relay refuses the site, and not this mail. `back` mails went to the queue."""

    configuration: bool
    wait: float
    opened: bool
    back: int


class Spool:
    """Raises `SpoolError` from every method when Redis is away, full or read-only; nothing was decided then."""

    def __init__(
        self, client: redis.Redis, queues: Sequence[str], prefix: str = "mailworker:", batch: int = 100,
        in_doubt: str = "resend", largest: int = 25 * 1024 * 1024,
    ) -> None:  # fmt: skip
        self.client = client
        self._call = Caller(client)
        self._lost: dict[bytes, None] = {}
        """The numbers of calls whose answers were lost, to be called off before the next call."""
        self.queues = list(queues)
        self._open = self.queues
        self._asked = 0.0
        self.prefix = prefix
        self.batch = batch
        self.in_doubt = in_doubt
        self.largest = largest
        folder = files(__package__).joinpath("lua")
        prelude = folder.joinpath("prelude.lua").read_text("utf-8")
        texts = {name: prelude + folder.joinpath(f"{name}.lua").read_text("utf-8") for name in _SCRIPTS}
        texts = {name: text.replace("@PREFIX@", prefix) for name, text in texts.items()}
        self._scripts = {
            name: (text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()) for name, text in texts.items()
        }

    # From the list and from new code.

    def claim(self, owner: str, token: str, most: int) -> Claim:
        """Takes up to `most` entries into the spool, and what is due. Not repeated when the answer is lost.

        In a Redis that is full it takes fewer: only sending them frees memory.
        """

        def claim(mails: int, octets: int, when_full: str) -> Any:
            rest = (RING_PATIENCE_MS, secrets.token_hex(10), self.batch, self.in_doubt, when_full)
            return self._run_on_lists("claim", owner, token, mails, octets, *rest, repeat=False)

        try:
            together, alone, size, locked, lone, told = claim(most, CLAIM_OCTETS, "0")
        except SpoolError as error:
            if not refusal.is_full(error):
                raise
            together, alone, size, locked, lone, told = claim(min(most, FULL[0]), FULL[1], "1")
        given_up(_texts(told))
        return Claim(_texts(together), _texts(alone), size, bool(locked), bool(lone))

    def accept(self, mail_id: str, payload: bytes, delay: float = 0, keyed: bool = False) -> Accepted:
        """Accepts a mail under its id; when this returns it is safe.

        A second mail with the id of one that waits, or with a chosen (`keyed`) id that was accepted or sent within a
        day, is not accepted: that is told as a warning. Where a dead letter of an earlier day has the id, the mail is
        accepted under another one.
        """
        wait = max(0, round(delay * 1000))
        arguments = (mail_id, payload, wait, ANSWER_PATIENCE_MS, "1" if keyed else "0", self.batch, os.urandom(9))
        new, ring, first = self._run("accept", (), *arguments)
        if not new:
            logger.warning("mail %r is not accepted again: the first one %s", mail_id[:200], first.decode())
        return Accepted(new.decode() or mail_id, bool(ring), bool(new))

    # The bridge's lock.

    def look(self, token: str) -> Look:
        ring, wait_ms, listen = self._run_on_lists("look", token, self.batch)
        return Look(bool(ring), wait_ms, bool(listen))

    def unlock(self, owner: str) -> bool:
        """Gives the lock back, unless there is more to do: then True."""
        return bool(self._run_on_lists("unlock", owner, self.batch))

    # A pool child's work.

    def take(self, owner: str, ids: Sequence[str]) -> Taken:
        token = token_of(owner)
        arguments = (owner, LEASE_MS, self.largest, self.in_doubt, self.batch, token, *ids)
        records, ring, down, now, closed, told = self._run_on_lists("take", *arguments)
        given_up(_texts(told))
        return Taken([_record(item) for item in records], token if ring else None, bool(down), now, bool(closed))

    def payloads(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The large payloads, which `take` leaves out, with one round trip. Without those of mails that are gone."""
        commands = [("LINDEX", f"{self.prefix}payload:{mail_id}", 0) for mail_id in ids]
        found = self._with_patience(lambda: self._call.many(commands), repeat=True)
        return {mail_id: payload for mail_id, payload in zip(ids, found, strict=True) if payload}

    def settle(
        self, owner: str, outcomes: Sequence[tuple[str, Step]], commit: Sequence[str] = (), end: bool = False
    ) -> list[str]:
        """Writes outcomes, and marks the mails in `commit` as about to be sent. Returns those that may go; at the `end`
        of a batch, where that is limited, how many connections the relay bears."""
        sent = [mail_id for mail_id, outcome in outcomes if isinstance(outcome, Sent)]
        others = [_wire(mail_id, outcome) for mail_id, outcome in outcomes if not isinstance(outcome, Sent)]
        head = (owner, self.in_doubt, KEEP_SENT_SECONDS, "1" if end else "0")
        return _texts(self._run("settle", (), *head, len(sent), *sent, len(commit), *commit, *others))

    def part_of(self, mail_id: str) -> str:
        """The id of the dead letter that was split off this mail last. For the log: never raises."""
        try:
            part = self.client.hget(f"{self.prefix}mail:{mail_id}", "part")
        except redis.RedisError:
            part = None
        return part.decode() if isinstance(part, bytes) else f"{mail_id}~"

    def wake(self, ids: Sequence[str]) -> int:
        """The doorbell for these mails is lost: those that wait for it are due now. Returns how many."""
        return int(self._run("wake", (), *ids))

    # The pulse.

    def beat(self, worker: str, pool_size: int, owners: Sequence[str]) -> dict[str, int]:
        """Says that this worker and these owners are alive; returns every owner's count of beats."""
        flat = self._run_on_lists("beat", worker, pool_size, *owners)
        return {name.decode(): int(beats) for name, beats in zip(flat[::2], flat[1::2], strict=True)}

    def release(self, owner: str, died: bool) -> int:
        """Gives back at once what this owner has in hand; returns how many mails. `died` counts an attempt."""
        released, told = self._run("release", (), owner, "1" if died else "0", self.in_doubt)
        given_up(_texts(told))
        return int(released)

    def in_hand(self, worker: str) -> int:
        """How many mails are in the hands of this worker's children."""
        flat = self._with_patience(lambda: self._call("HGETALL", f"{self.prefix}owners"), repeat=True)
        mine = [name.decode() for name in flat[::2] if name.decode().startswith(worker + "/")]
        if not mine:
            return 0
        commands = [("SMEMBERS", f"{self.prefix}lease:{name}") for name in mine]
        return sum(map(len, self._with_patience(lambda: self._call.many(commands), repeat=True)))

    def listen(self, queue: str, seconds: float, outside: Callable[[], AbstractContextManager[None]]) -> None:
        """Returns when the list has an entry, or after these seconds; takes none. The waiting itself, which is but a
        read of this call's own socket, is done within `outside()`.

        Raises redis-py's errors.
        """
        pool = self.client.connection_pool
        connection: Any = pool.get_connection()
        try:
            # Moves the tail onto itself. redis-py types whole seconds; Redis 6 takes fractions.
            connection.send_command("BLMOVE", queue, queue, "RIGHT", "RIGHT", seconds)
            with outside():
                answered = connection.can_read(timeout=seconds + ANSWER_SECONDS)
            if not answered:
                raise redis.TimeoutError("BLMOVE was not answered")
            connection.read_response()
        except redis.ResponseError:
            raise
        except BaseException:
            connection.disconnect()
            raise
        finally:
            pool.release(connection)

    # A person's decisions.

    def retry(self, ids: Sequence[str]) -> int:
        """Dead letters go to the queue again, under the same id and with their history. Returns how many."""
        return int(self._run("retry", (), *ids))

    def drop(self, ids: Sequence[str]) -> int:
        """Dead letters are gone for good. Returns how many."""
        return int(self._run("drop", (), *ids))

    def give_back(self, mails: Sequence[tuple[str, str, bytes]]) -> int:
        """Each (id, list, payload) leaves the spool for the list's tail, the last one outermost: newest first.

        Only what waits or is dead leaves; returns how many. Not repeated when the answer is lost.
        """
        return int(self._run("giveback", (), *[part for mail in mails for part in mail], repeat=False))

    def hasten(self, ids: Sequence[str] = ()) -> tuple[int, bool]:
        """What waits for its next attempt is due now, and an open breaker is probed; with `ids` those mails alone, also
        where their caller asked for a later time. Returns how many, and whether the breaker was open."""
        if ids:
            hastened, _, probed = self._run("hasten", (), "", "", "1", *ids)
            return int(hastened), bool(probed)
        total, skip, probed = 0, 0, False
        while True:
            hastened, left, open_ = self._run("hasten", (), skip, HASTEN, "0" if total or skip else "1")
            total, skip, probed = total + hastened, skip + left, probed or bool(open_)
            if hastened + left < HASTEN:
                return total, probed

    # The relay's breaker.

    def relay_failed(
        self, text: str, configuration: bool, place: str = "", slower: bool = False
    ) -> tuple[bool, float, bool]:
        """(is the breaker open, seconds to the next probe, did this call open it or was it the probe). With `slower` it
        takes so much in a time and no more, and is tried again soon."""
        times = PAUSES_MS if slower else PROBES_MS
        arguments = ("down", text[:_DETAIL], "1" if configuration else "0", 3, *times, place, "1" if slower else "0")
        is_open, wait, changed = self._run("relay", (), *arguments)
        return bool(is_open), wait / 1000, bool(changed)

    def relay_works(self) -> bool:
        """True where that closed the breaker."""
        return bool(self._run("relay", (), "up")[2])

    def refused(self, mail_id: str, said: str, enough: int, text: str, place: str) -> Refused:
        """The relay refused this mail, a dead letter by now, in words that may be meant for the site. `said` is what is
        compared; with `enough` mails in a row it is the configuration, and they are no dead letters any more."""
        answer = self._run("refused", (), mail_id, said[:_DETAIL], enough, text[:_DETAIL], place, *PROBES_MS)
        return Refused(bool(answer[0]), answer[1] / 1000, bool(answer[2]), int(answer[3]))

    # The relay's places.

    def may_connect(self, owner: str) -> Place:
        return self._place("ask", owner)

    def connected(self, owner: str) -> Place:
        return self._place("up", owner)

    def disconnected(self, owner: str) -> None:
        self._place("down", owner)

    def relay_full(self, owner: str, wordless: bool) -> Place:
        """The relay refused a connection; `wordless` where it did not say why. `free` is true where others are
        connected and work, so that this is no outage."""
        return self._place("full", owner, wordless)

    def _place(self, what: str, owner: str, wordless: bool = False) -> Place:
        free, bears = self._run("place", (), what, owner, *TRY_ONE_MORE_MS, "1" if wordless else "0")
        return Place(bool(free), int(bears))

    def _run_on_lists(self, name: str, *arguments: Any, repeat: bool = True) -> Any:
        """With the legacy lists as keys, without those that this user of Redis may not touch: they stop no other. Redis
        refuses a script for one such key before it runs."""
        if self._open is not self.queues and time.monotonic() - self._asked > ASK_AGAIN_SECONDS:
            self._open = self.queues
        try:
            return self._run(name, self._open, *arguments, repeat=repeat)
        except SpoolError as error:
            if refusal.code(error) != "NOPERM":
                raise
            allowed = [queue for queue in self._open if self._may(queue)]
            if allowed == self._open:
                raise
            self._open, self._asked = allowed, time.monotonic()
            return self._run(name, allowed, *arguments, repeat=repeat)

    def _may(self, queue: str) -> bool:
        try:
            self._call("LLEN", queue)
        except redis.exceptions.NoPermissionError:
            return False
        except redis.RedisError:
            return True
        return True

    def _run(self, name: str, keys: Sequence[str], *arguments: Any, repeat: bool = True) -> Any:
        """Runs a script; where that is harmless, once more if the connection was lost.

        What was lost may still arrive, minutes later: before anything else is run, it is called off.
        """

        def run() -> Any:
            if self._lost:
                lost = list(self._lost)
                for begin in range(0, len(lost), CALLED_OFF):
                    part = lost[begin : begin + CALLED_OFF]
                    self._evaluate("calloff", (), *part)
                    for number in part:
                        self._lost.pop(number, None)
            return self._evaluate(name, keys, *arguments, kept=repeat)

        return self._with_patience(run, repeat)

    def _evaluate(self, name: str, keys: Sequence[str], *arguments: Any, kept: bool = True) -> Any:
        text, digest = self._scripts[name]
        call: Callable[..., Any] = self._call if kept else self.client.execute_command
        number = os.urandom(9)
        try:
            try:
                return call("EVALSHA", digest, len(keys), *keys, *arguments, number)
            except redis.exceptions.NoScriptError:
                return call("EVAL", text, len(keys), *keys, *arguments, number)
        except redis.ResponseError:
            raise
        except BaseException as error:  # a time limit, too
            if name != "calloff" and UNSENT not in getattr(error, "__notes__", ()):
                self._lost[number] = None
            raise

    def _with_patience(self, run: Callable[[], Any], repeat: bool) -> Any:
        for last in (not repeat, True):
            try:
                return run()
            except _UNREACHABLE as error:
                if last:
                    raise translated(error) from error
                time.sleep(0.05)
            except redis.RedisError as error:
                if refusal.code(error) == "READONLY":
                    # A master that became a replica keeps its connections: find the new one.
                    self.client.connection_pool.disconnect()
                raise translated(error) from error
        raise AssertionError("unreachable")


def token_of(owner: str) -> str:
    """A new token to ring the bridge with. It is free again when its owner is released."""
    return f"{owner} {secrets.token_hex(8)}"


def translated(error: redis.RedisError) -> SpoolError:
    return SpoolError(f"Redis: {refusal.words(error)}")


def _texts(items: list[bytes]) -> list[str]:
    return [item.decode() for item in items]


def _record(item: list[Any]) -> Record:
    mail_id, payload, size, at, tries, recipients, since, origin = item
    remaining = tuple(json.loads(recipients)) if recipients else None
    return Record(mail_id.decode(), payload, size, int(at), int(tries), remaining, int(since), origin.decode())


def _wire(mail_id: str, outcome: Step) -> str:
    """The outcome as settle.lua reads it."""
    fields: dict[str, Any] = {"id": mail_id}
    match outcome:
        case Failed():
            fields |= {"kind": "failed", "in_doubt": outcome.in_doubt, **_failure(outcome)}
        case Held():
            fields |= {"kind": "held", "reason": outcome.reason, "detail": outcome.detail[:_DETAIL], "code": 0}
            fields["in_doubt"] = outcome.reason == "in_doubt"
        case Deferred():
            fields |= {"kind": "deferred", "delay": round(outcome.delay * 1000), "detail": outcome.detail[:_DETAIL]}
            fields |= {"code": outcome.code, "in_doubt": outcome.in_doubt}
            if outcome.recipients is not None:
                fields["rcpt"] = json.dumps(outcome.recipients)
            if outcome.refused is not None:
                fields["refused"] = _failure(outcome.refused)
        case Returned():
            fields |= {"kind": "returned", "delay": round(outcome.delay * 1000)}
        case Further():
            fields |= {"kind": "further", "rcpt": json.dumps(outcome.recipients)}
            if outcome.refused is not None:
                fields["refused"] = _failure(outcome.refused)
    return json.dumps(fields)


def _failure(failed: Failed) -> dict[str, Any]:
    fields: dict[str, Any] = {"reason": failed.reason, "detail": failed.detail[:_DETAIL], "code": failed.code}
    if failed.recipients is not None:
        fields["rcpt"] = json.dumps(failed.recipients)
    return fields
