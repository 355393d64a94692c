"""The scripts as methods: Python values in, Python values out, one root of errors."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

import redis

from ..errors import SpoolError
from ..outcome import OutcomeSoFar, Sent
from . import redis_errors as refusal
from . import scripts
from .acceptance import Acceptance
from .constants import Constants
from .keys import Key, Keys
from .listen import listen
from .records import (
    NOTHING,
    Abandoned,
    Accepted,
    Claim,
    Look,
    New,
    Place,
    Record,
    Refused,
    Settled,
    Taken,
    token_of,
)  # fmt: skip
from .runner import Runner
from .settlement import DETAIL, as_json

CLAIM_OCTETS: Final = 16 * 1024 * 1024

HASTEN: Final = 1000
"""Mails that one script makes due."""

FULL: Final = (200, 1024 * 1024)
"""Mails and octets of a claim in a Redis whose memory is full: each record costs more than its entry freed."""


class Spool:
    """Raises `SpoolError` from every method when Redis is away, full or read-only, and `WrongFormat` where another
    version wrote the spool; nothing was decided then. `abandoned` is told of each mail that was found in the hands of
    an owner that is gone."""

    def __init__(
        self, client: redis.Redis, queues: Sequence[str], prefix: str, constants: Constants,
        abandoned: Callable[[Abandoned], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self.client = client
        self.queues = list(queues)
        self.prefix = prefix
        self.batch = constants.batch
        self.keys = Keys(prefix)
        self._abandoned = abandoned
        self.runner = Runner(client, self.queues, self.keys, constants)
        self._run = self.runner.run
        self._acceptance = Acceptance(self.runner, self.keys)

    def migrate(self) -> None:
        """Makes the spool one of this version's format, if it is not. Raises `WrongFormat` while workers of an older
        version are at work in theirs, and for a newer one."""
        self.runner.migrate()

    # From the list and from new code.

    def claim(self, owner: str, token: str, most: int) -> Claim:
        """Takes up to `most` entries into the spool, and what is due. Not repeated when the answer is lost.

        In a Redis that is full it takes fewer: only sending them frees memory.
        """

        def claim(mails: int, octets: int, when_full: bool) -> Any:
            return self._run(scripts.Claim(owner, token, mails, octets, secrets.token_hex(10), when_full), repeat=False)

        try:
            together, alone, size, locked, lone, abandoned = claim(most, CLAIM_OCTETS, when_full=False)
        except SpoolError as error:
            if not refusal.is_full(error):
                raise
            together, alone, size, locked, lone, abandoned = claim(min(most, FULL[0]), FULL[1], when_full=True)
        self._tell(abandoned)
        return Claim(_texts(together), _texts(alone), size, bool(locked), bool(lone))

    def accept(
        self, mail_id: str, payload: bytes, delay: float = 0, keyed: bool = False, *,
        blobs: Mapping[str, bytes] = NOTHING, expires: int = 0, digest: bytes = b"",
    ) -> Accepted:  # fmt: skip
        """Accepts a mail under its id; when this returns it is safe. The arguments are those of `New`.

        A second mail with the id of one that waits, or with a chosen (`keyed`) id that was accepted or sent within the
        window, is not accepted: that is logged. Where its `digest` says that it is another mail, this raises
        `IdempotencyError`. Where a dead letter of an earlier day has the id, the mail is accepted under another one.
        """
        return self._acceptance.one(New(mail_id, payload, delay, keyed, blobs, expires, digest))

    def accept_many(self, mails: Sequence[New]) -> list[Accepted]:
        """The same with one script: all of them, or none where it raises. They should be one of `steps`.

        The caller is to ring for one of them at most; that wakes who rings for the others.
        """
        return self._acceptance.many(mails)

    # Files that are kept once.

    def blobs(self, digests: Sequence[str]) -> dict[str, bytes]:
        """Their octets, with one round trip. Without those that are gone."""
        found = self.runner.read_many([("GET", self.keys(Key.BLOB, digest)) for digest in digests])
        return {digest: octets for digest, octets in zip(digests, found, strict=True) if octets is not None}

    def blob_uses(self, digests: Sequence[str]) -> dict[str, int]:
        """How many records need each of them."""
        found = self.runner.read("HMGET", self.keys(Key.BLOBS), *digests) if digests else []
        return {digest: int(uses or 0) for digest, uses in zip(digests, found, strict=True)}

    # The bridge's lock.

    def look(self, token: str) -> Look:
        ring, wait_ms, listen = self._run(scripts.Look(token))
        return Look(bool(ring), wait_ms, bool(listen))

    def unlock(self, owner: str) -> bool:
        """Gives the lock back, unless there is more to do: then True."""
        return bool(self._run(scripts.Unlock(owner)))

    # A pool child's work.

    def take(self, owner: str, ids: Sequence[str]) -> Taken:
        token = token_of(owner)
        records, relay, down, ring, now, abandoned = self._run(scripts.Take(owner, token, ids))
        self._tell(abandoned)
        return Taken([_record(item) for item in records], relay.decode(), bool(down), token if ring else None, now)

    def payloads(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The large payloads, which `take` leaves out, with one round trip. Without those of mails that are gone."""
        found = self.runner.read_many([("LINDEX", self.keys(Key.PAYLOAD, mail_id), 0) for mail_id in ids])
        return {mail_id: payload for mail_id, payload in zip(ids, found, strict=True) if payload}

    def settle(
        self, relay: str, owner: str, outcomes: Sequence[tuple[str, OutcomeSoFar]], commit: Sequence[str] = (),
        end: bool = False,
    ) -> Settled:  # fmt: skip
        """Writes outcomes, and marks the mails in `commit` as about to be sent. `end` is that of a batch."""
        sent = [mail_id for mail_id, outcome in outcomes if isinstance(outcome, Sent)]
        others = [as_json(mail_id, outcome) for mail_id, outcome in outcomes if not isinstance(outcome, Sent)]
        may_go, bears = self._run(scripts.Settle(relay, owner, sent, commit, others, end_of_batch=end))
        return Settled(_texts(may_go), bears)

    def part_of(self, mail_id: str) -> str:
        """The id of the dead letter that was split off this mail last. For the log: never raises."""
        try:
            part = self.client.hget(self.keys(Key.MAIL, mail_id), "part")
        except redis.RedisError:
            part = None
        return part.decode() if isinstance(part, bytes) else f"{mail_id}~"

    def wake(self, ids: Sequence[str]) -> int:
        """The doorbell for these mails is lost: those that wait for it are due now. Returns how many."""
        return int(self._run(scripts.Wake(ids)))

    # The pulse.

    def beat(self, worker: str, pool_size: int, owners: Sequence[str]) -> dict[str, int]:
        """Says that this worker and these owners are alive; returns every owner's count of beats."""
        flat = self._run(scripts.Beat(worker, pool_size, owners))
        return {name.decode(): int(beats) for name, beats in zip(flat[::2], flat[1::2], strict=True)}

    def release(self, owner: str, died: bool) -> int:
        """Gives back at once what this owner has in hand; returns how many mails. `died` counts an attempt."""
        released, abandoned = self._run(scripts.Release(owner, died))
        self._tell(abandoned)
        return int(released)

    def in_hand(self, worker: str) -> int:
        """How many mails are in the hands of this worker's children."""
        flat = self.runner.read("HGETALL", self.keys(Key.OWNERS))
        mine = [name.decode() for name in flat[::2] if name.decode().startswith(worker + "/")]
        return sum(map(len, self.runner.read_many([("SMEMBERS", self.keys(Key.LEASE, name)) for name in mine])))

    def listen(self, queue: str, seconds: float, outside: Callable[[], AbstractContextManager[None]]) -> None:
        """Returns when the list has an entry, or after these seconds; see `listen`. Raises redis-py's errors."""
        listen(self.client, queue, seconds, outside)

    # A person's decisions.

    def retry(self, ids: Sequence[str]) -> int:
        """Dead letters go to the queue again, under the same id and with their history. Returns how many."""
        return int(self._run(scripts.Retry(ids)))

    def drop(self, ids: Sequence[str]) -> int:
        """Dead letters are gone for good. Returns how many."""
        return int(self._run(scripts.Drop(ids)))

    def give_back(self, mails: Sequence[tuple[str, str, bytes]]) -> int:
        """Each (id, list, payload) leaves the spool for the list's tail, the last one outermost: newest first.

        Only what waits or is dead leaves; returns how many. Not repeated when the answer is lost.
        """
        ids, sources, payloads = zip(*mails, strict=True) if mails else ((), (), ())
        return int(self._run(scripts.GiveBack(ids, sources, payloads), repeat=False))

    def hasten(self, ids: Sequence[str] = ()) -> tuple[int, bool]:
        """What waits for its next attempt is due now, and an open breaker is probed; with `ids` those mails alone, also
        where their caller asked for a later time. Returns how many, and whether a breaker was open."""
        if ids:
            hastened, _, probed = self._run(scripts.Hasten(probe=True, ids=ids))
            return int(hastened), bool(probed)
        total, skip, probed = 0, 0, False
        while True:
            hastened, left, open_ = self._run(scripts.Hasten(probe=not (total or skip), skip=skip, most=HASTEN))
            total, skip, probed = total + hastened, skip + left, probed or bool(open_)
            if hastened + left < HASTEN:
                return total, probed

    # A relay's breaker.

    def relay_failed(
        self, relay: str, text: str, configuration: bool, place: str = "", slower: bool = False
    ) -> tuple[bool, float, bool]:
        """(is the breaker open, seconds to the next probe, did this call open it or was it the probe). With `slower` it
        takes so much in a time and no more, and is tried again soon."""
        arguments = scripts.RelayFailed(relay, text[:DETAIL], configuration, place, slower)
        is_open, wait, changed = self._run(arguments)
        return bool(is_open), wait / 1000, bool(changed)

    def relay_works(self, relay: str) -> bool:
        """True where that closed the breaker."""
        return bool(self._run(scripts.RelayWorks(relay)))

    def refused(self, relay: str, mail_id: str, said: str, enough: int, text: str, place: str) -> Refused:
        """The relay refused this mail, a dead letter by now, in words that may be meant for the site. `said` is what is
        compared; with `enough` mails in a row it is the configuration, and they are no dead letters any more."""
        arguments = scripts.Refused(relay, mail_id, said[:DETAIL], enough, text[:DETAIL], place)
        configuration, wait, opened, back = self._run(arguments)
        return Refused(bool(configuration), wait / 1000, bool(opened), int(back))

    # A relay's places.

    def may_connect(self, relay: str, owner: str) -> Place:
        return _place(self._run(scripts.MayConnect(relay, owner)))

    def connected(self, relay: str, owner: str) -> Place:
        return _place(self._run(scripts.Connected(relay, owner)))

    def disconnected(self, relay: str, owner: str) -> None:
        self._run(scripts.Disconnected(relay, owner))

    def relay_full(self, relay: str, owner: str, wordless: bool) -> Place:
        """The relay refused a connection; `wordless` where it did not say why. `free` is true where others are
        connected and work, so that this is no outage."""
        return _place(self._run(scripts.RelayFull(relay, owner, wordless)))

    def _tell(self, lines: Iterable[bytes]) -> None:
        """Of `doubt <id>` or `<reason> <id>`."""
        for line in lines:
            word, _, mail_id = line.decode().partition(" ")
            self._abandoned(Abandoned(mail_id, None if word == "doubt" else word))


def _texts(items: list[bytes]) -> list[str]:
    return [item.decode() for item in items]


def _place(answer: Sequence[int]) -> Place:
    free, bears = answer
    return Place(bool(free), bears)


def _record(item: list[Any]) -> Record:
    mail_id, payload, size, at, tries, recipients, since, origin, expires = item
    remaining = tuple(json.loads(recipients)) if recipients else None
    until = int(expires)
    return Record(
        mail_id.decode(), payload, size, int(at), int(tries), remaining, int(since), origin.decode(),
        framed=until >= 0, expires=max(0, until),
    )  # fmt: skip
