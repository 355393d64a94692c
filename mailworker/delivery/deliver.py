"""Delivers mails of the spool: take, build, send, settle. Knows neither Celery nor the keys of Redis."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import SmtpError, SpoolError
from ..outcome import Failed, Outcome, Returned
from ..smtp import session
from ..smtp.connection import Connection
from ..smtp.refusals import crowded, masked, perhaps_crowded, too_fast
from ..smtp.replies import Reply
from ..spool import Place
from .batch import Batch, Office
from .diary import Diary
from .remedies import remedy
from .slots import Slot

__all__ = ["Delivery", "Office"]

logger = logging.getLogger(__name__)

FOR_A_PLACE: Final = 5.0
"""Seconds that a batch waits for one of the connections that the relay bears; then others may have its mails."""

LOOKS: Final = (0.05, 0.25)
"""Seconds between two looks for such a place: at first, and where none is found within a second."""

TELLS: Final = 60.0
"""Seconds between two lines of the log about a relay that takes so much in a time."""

LATER: Final = 1.0
"""Seconds for which mails wait that found no place."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Made once a process: delivers batches of mails of the spool, each over the warm connection of a slot."""

    office: Office

    def deliver(self, slot: Slot, ids: Sequence[str], ring_bridge: Callable[[str], None]) -> dict[str, Outcome]:
        """The outcome of each mail that was still to be sent. Rings the bridge when the queue runs low.

        Raises `SpoolError` when Redis stays away; what was not settled then is found by the reconciler.
        """
        return _deliver(self.office, slot, ids, ring_bridge)

    def refuse(self, slot: Slot, mail_id: str, reason: str, detail: str) -> None:
        """A mail that is in the spool becomes a dead letter before anybody tries to send it. Raises `SpoolError`."""
        _refuse(self.office, slot, mail_id, reason, detail)


def _deliver(office: Office, slot: Slot, ids: Sequence[str], ring_bridge: Callable[[str], None]) -> dict[str, Outcome]:
    taken = office.spool.take(slot.owner, ids)
    batch = Batch(office, slot.owner, taken, slot.warm)
    try:
        if taken.ring:
            ring_bridge(taken.ring)
        if len(taken.records) > 1:
            with slot.watch.over(batch.hand_over):
                _send_all(office, slot, batch)
        else:
            _send_all(office, slot, batch)
    except BaseException:
        # A time limit, or a bug of ours: the mail in hand has had its attempt, or it would come again at once.
        batch.end(blame=True)
        _make_room(office, slot, batch)
        raise
    batch.end(blame=False)
    _make_room(office, slot, batch)
    if taken.closed:
        return dict.fromkeys(ids, Returned()) | batch.outcomes
    return batch.outcomes


def _refuse(office: Office, slot: Slot, mail_id: str, reason: str, detail: str) -> None:
    taken = office.spool.take(slot.owner, [mail_id])
    if taken.ring:
        office.spool.release(taken.ring, died=False)  # the lock is somebody else's to take
    if taken.records:
        outcome = (mail_id, Failed(reason, detail))
        office.spool.settle(slot.owner, [outcome], end=True)
        Diary(office.spool.part_of).note([outcome])


def _send_all(office: Office, slot: Slot, batch: Batch) -> None:
    while batch.more() and _send(office, slot, batch):
        pass
    if batch.slower is not None:
        slot.warm.drop()  # what it has enough of may be this session's mails
        _relay_failed(office, slot, batch, batch.slower)


def _send(office: Office, slot: Slot, batch: Batch) -> bool:
    """One connection's share of the batch. False where there is no use in going on now."""
    failure: SmtpError | None = None
    connection: Connection | None = None
    try:
        connection = _connect(office, slot, batch)
    except SmtpError as error:
        failure = error
    # Outside the handler: an error of Redis must not carry what the relay said into a traceback.
    if failure is not None:
        return _relay_failed(office, slot, batch, failure)
    if connection is None:
        return False
    before = batch.delivered
    fresh = connection.mails == 0
    try:
        session.send(connection, batch)
    except SmtpError as error:
        failure = error
    finally:
        if connection.broken:
            slot.warm.drop()
    if failure is None:
        failure = batch.crowd
    return failure is None or _session_broke(office, slot, batch, failure, fresh, batch.delivered - before)


def _connect(office: Office, slot: Slot, batch: Batch) -> Connection | None:
    """A connection, when the relay has a place for it; None where it had none, and the mails went back. Raises
    `SmtpError`."""
    warm = slot.warm
    kept = warm.kept()
    if kept is not None:
        return kept
    begun = time.monotonic()
    try:
        while batch.more():
            if not warm.bears or _ask(office, slot).free:
                try:
                    connection = warm.connect()
                except SmtpError as error:
                    if not _is_full(office, slot, error):
                        raise
                else:
                    warm.bears = office.spool.connected(slot.owner).bears
                    return connection
            batch.waiting = True
            waited = time.monotonic() - begun
            if waited > FOR_A_PLACE:
                break
            time.sleep(LOOKS[waited > 1])
    except SpoolError:
        warm.drop()
        batch.redis_is_away()
    finally:
        batch.waiting = False
    batch.give_back(LATER)
    return None


def _ask(office: Office, slot: Slot) -> Place:
    place = office.spool.may_connect(slot.owner)
    slot.warm.bears = place.bears
    return place


def _is_full(office: Office, slot: Slot, error: SmtpError) -> bool:
    """The relay refused one connection more, while others of ours work: that is no outage."""
    wordless = not crowded(error.phase, error.code, error.text)
    if error.configuration or (wordless and not perhaps_crowded(error)):
        return False
    place = office.spool.relay_full(slot.owner, wordless)
    slot.warm.bears = place.bears
    return place.free


def _make_room(office: Office, slot: Slot, batch: Batch) -> None:
    """Where the relay bears fewer connections than there are children, an idle one would keep others' mail waiting."""
    if batch.bears or slot.warm.bears:
        slot.warm.bears = batch.bears
        slot.warm.drop()
        try:
            office.spool.disconnected(slot.owner)
        except SpoolError:
            logger.info("Redis does not answer; it takes this connection for open until the next one")


def _relay_failed(office: Office, slot: Slot, batch: Batch, error: SmtpError) -> bool:
    """There is no working session: that is the relay's fault, and no attempt of the mails that wait."""
    place = slot.warm.relay.place
    slower = error.phase in ("MAIL", "RCPT", "DATA", "message") and too_fast(Reply(error.code, error.text))
    is_open, wait, changed = office.spool.relay_failed(_told(error), error.configuration, place, slower)
    if slower:
        slot.warm.tell_slower(TELLS, f"relay {place} takes no more for now: {_public(error)}; mail waits")
        changed = False
    if changed and error.configuration:
        mend = f"mend {remedy(error.phase)}, restart or `mailworker retry-now`"
        logger.critical("relay %s: %s; mail waits; %s; next probe in %.0f s", place, _public(error), mend, wait)
    elif changed:
        logger.error("relay %s: %s; mail waits, next probe in %.0f s", place, _public(error), wait)
    batch.give_back(0 if is_open else 1)
    return False


def _session_broke(office: Office, slot: Slot, batch: Batch, error: SmtpError, fresh: bool, delivered: int) -> bool:
    """The connection was lost between greeting and good-bye. True where the rest may go over a new one."""
    if crowded(error.phase, error.code, error.text):
        batch.crowd = None
        slot.warm.drop()
        batch.lose(error.phase, blame=False)
        # True: the rest waits for a place.
        return _is_full(office, slot, error) or _relay_failed(office, slot, batch, error)
    if error.configuration:
        batch.lose(error.phase, blame=False)
        return _relay_failed(office, slot, batch, error)
    if delivered:
        batch.lose(error.phase, blame=error.phase != "MAIL")
        return True
    batch.lose(error.phase, blame=fresh or error.phase != "MAIL")
    if not fresh and error.phase == "MAIL":
        return True  # a warm connection that had died: costs nobody anything
    return _relay_failed(office, slot, batch, error)


def _told(error: SmtpError) -> str:
    """For the operator: with the relay's words, addresses masked."""
    return masked(str(error))


def _public(error: SmtpError) -> str:
    """For the log: without the relay's words."""
    return f"{error.phase}: {error.code}" if error.code else str(error)
