"""What the relay's verdict on a transaction means for the mail: its attempt, made here and nowhere else but where the
relay simply took the mail, or had no say (`batch`)."""

from __future__ import annotations

import random
import time
from dataclasses import replace

from ..outcome import Deferred, Failed
from ..smtp.journal import Outgoing
from ..smtp.verdict import Verdict
from ..spool import Record, Taken
from .attempt import Attempt
from .back_off import Policy
from .decide import decide
from .split import SplitMails


class Judge:
    """For one batch."""

    def __init__(self, taken: Taken, relay: str, policy: Policy, split: SplitMails) -> None:
        self._records = {record.id: record for record in taken.records}
        self._relay = relay
        self._policy = policy
        self._expiring = {record.id: record.expires / 1000 for record in taken.records if record.expires}
        self._split = split
        self._redis_now = taken.now / 1000 - time.monotonic()
        """What is to be added to the monotonic clock for Redis's."""

    def has_expired(self, mail_id: str) -> bool:
        """Its caller wanted it to be sent by now, or not at all."""
        expires = self._expiring.get(mail_id)
        return expires is not None and self._redis_now + time.monotonic() > expires

    def __call__(self, mail: Outgoing, verdict: Verdict, given_at: float) -> Attempt:
        """`given_at` is when the session was given the mail, on the monotonic clock. The outcome is `Further` where
        another transaction of this mail is to follow."""
        now = time.monotonic()
        record = self._records[mail.id]
        age = self._redis_now + now - record.since / 1000
        chance = random.random()  # noqa: S311 - spreads load
        policy = _within_its_life(record, self._policy) if record.expires else self._policy
        outcome = decide(verdict, mail.envelope.recipients, record.tries + 1, age, policy, chance)
        step = self._split.so_far(mail, outcome)
        decided_by = step if isinstance(step, Deferred | Failed) else verdict.final
        return Attempt(mail.id, self._relay, step, decided_by.code if decided_by else 0, verdict.phase, now - given_at)


def _within_its_life(record: Record, policy: Policy) -> Policy:
    """What would be tried again after it has expired is a dead letter now."""
    return replace(policy, max_age=min(policy.max_age, (record.expires - record.since) / 1000))
