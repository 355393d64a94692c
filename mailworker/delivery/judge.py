"""What the relay's verdict on a transaction means for the mail: its attempt, made here and nowhere else but where the
relay simply took the mail, or had no say (`batch`)."""

from __future__ import annotations

import random
import time

from ..outcome import Deferred, Failed
from ..smtp.journal import Outgoing
from ..smtp.verdict import Verdict
from ..spool import Taken
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
        self._split = split
        self._redis_now = taken.now / 1000 - time.monotonic()
        """What is to be added to the monotonic clock for Redis's."""

    def __call__(self, mail: Outgoing, verdict: Verdict, given_at: float) -> Attempt:
        """`given_at` is when the session was given the mail, on the monotonic clock. The outcome is `Further` where
        another transaction of this mail is to follow."""
        now = time.monotonic()
        record = self._records[mail.id]
        age = self._redis_now + now - record.since / 1000
        chance = random.random()  # noqa: S311 - spreads load
        outcome = decide(verdict, mail.envelope.recipients, record.tries + 1, age, self._policy, chance)
        step = self._split.so_far(mail, outcome)
        decided_by = step if isinstance(step, Deferred | Failed) else verdict.final
        return Attempt(mail.id, self._relay, step, decided_by.code if decided_by else 0, verdict.phase, now - given_at)
