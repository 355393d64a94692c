"""Delivers mails of the spool: take, compose, send, settle. Knows neither Celery nor the keys of Redis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..mail.author import Author
from ..mail.email import Limits
from ..outcome import Failed
from ..smtp.warm import WarmConnection
from ..spool import Spool, Taken
from .attempt import Attempt, Observer, returned
from .back_off import Policy
from .batch import Batch
from .batch_limits import BatchLimits
from .breaker import Breaker
from .compose import Compose
from .connection_limit import Places
from .files import Files
from .late import look_at
from .sending import Sending
from .settle import Settling
from .slots import Slot


@dataclass(frozen=True, slots=True)
class Delivery:
    """Made once a process."""

    spool: Spool
    author: Author
    limits: Limits
    policy: Policy
    batch_limits: BatchLimits
    files: Files
    observers: Sequence[Observer] = ()

    def deliver(self, slot: Slot, ids: Sequence[str], ring_bridge: Callable[[str], None]) -> dict[str, Attempt]:
        """What became of each mail that was still to be sent. Rings the bridge when the queue runs low.

        Raises `SpoolError` when Redis stays away; what was not settled then is due again when its lease ends.
        """
        taken = self.spool.take(slot.owner, ids)
        if taken.relay:
            return self._send(slot, taken, ring_bridge)
        if taken.ring:
            ring_bridge(taken.ring)
        return returned(ids, relay="")

    def _send(self, slot: Slot, taken: Taken, ring_bridge: Callable[[str], None]) -> dict[str, Attempt]:
        line = slot.line(taken.relay)
        breaker = Breaker(self.spool, line.warm.relay, line.seldom)
        places = Places(self.spool, slot.owner, line.warm, line.limit)
        batch = self._batch(slot.owner, taken, line.warm, breaker)
        sending = Sending(batch, line.warm, places, breaker)
        try:
            if taken.ring:
                ring_bridge(taken.ring)
            if len(taken.records) > 1:
                with slot.late.over(look_at(batch, line.warm.pace, places)):
                    sending.run()
            else:
                sending.run()
        except BaseException:
            # A time limit, or a bug of ours: the mail in hand has had its attempt, or it would come again at once.
            places.make_room(batch.end(blame=True))
            raise
        places.make_room(batch.end(blame=False))
        return batch.attempts

    def refuse(self, slot: Slot, mail_id: str, reason: str, detail: str) -> None:
        """A mail that is in the spool becomes a dead letter before anybody tries to send it. Raises `SpoolError`."""
        taken = self.spool.take(slot.owner, [mail_id])
        if taken.ring:
            self.spool.release(taken.ring, died=False)  # the lock is somebody else's to take
        if taken.records:
            settling = Settling(self.spool, slot.owner, taken.relay, self.observers)
            settling.add(Attempt(mail_id, taken.relay, Failed(reason, detail)))
            settling.write(end=True)

    def _batch(self, owner: str, taken: Taken, warm: WarmConnection, breaker: Breaker) -> Batch:
        self.files.let_go()
        compose = Compose(self.spool, self.author, self.limits, self.files)
        settling = Settling(self.spool, owner, taken.relay, self.observers)
        return Batch(taken, compose, self.policy, settling, breaker, warm, self.batch_limits)
