"""Delivers mails of the spool: take, build, send, settle. Knows neither Celery nor the keys of Redis."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from . import message, mime
from .address import Mailbox
from .desk import Desk
from .diary import Diary, where
from .errors import SmtpError, SpoolError, Unsendable
from .message import Limits
from .retry import Deferred, Failed, Held, Outcome, Policy, Returned, Verdict, decide
from .smtp import session
from .smtp.replies import Reply
from .smtp.session import Outgoing
from .spool import Record, Spool, Taken
from .verdict import remedy

logger = logging.getLogger(__name__)

FETCH: Final = 256 * 1024
"""Octets of large payloads that are read with one call, where the first one alone has not more."""

_BROKE = Reply(451, "the session broke before the message was sent")


@dataclass(frozen=True, slots=True)
class Office:
    """What a delivery needs from above: made once a process."""

    spool: Spool
    sender: Mailbox
    limits: Limits
    policy: Policy
    hold_in_doubt: bool
    seconds: float
    """No mail of a batch is begun after this time; the rest goes back to the queue."""
    stopping: Callable[[], bool] = lambda: False


def deliver(office: Office, desk: Desk, ids: Sequence[str], ring_bridge: Callable[[str], None]) -> dict[str, Outcome]:
    """The outcome of each mail that was still to be sent. Rings the bridge when the queue runs low.

    Raises `SpoolError` when Redis stays away; what was not settled then is found by the reconciler.
    """
    taken = office.spool.take(desk.owner, ids)
    batch = _Batch(office, desk.owner, taken)
    try:
        if taken.ring:
            ring_bridge(taken.ring)
        while batch.more() and _send(office, desk, batch):
            pass
    except BaseException:
        # A time limit, or a bug of ours: the mail in hand has had its attempt, or it would come again at once.
        batch.end(blame=True)
        raise
    batch.end(blame=False)
    if taken.closed:
        return dict.fromkeys(ids, Returned()) | batch.outcomes
    return batch.outcomes


def refuse(office: Office, desk: Desk, mail_id: str, reason: str, detail: str) -> None:
    """A mail that is in the spool becomes a dead letter before anybody tries to send it. Raises `SpoolError`."""
    taken = office.spool.take(desk.owner, [mail_id])
    if taken.ring:
        office.spool.release(taken.ring, died=False)  # the ring is somebody else's to take
    if taken.records:
        outcome = (mail_id, Failed(reason, detail))
        office.spool.step(desk.owner, [outcome], end=True)
        Diary(office.spool.part_of).note([outcome])


def _send(office: Office, desk: Desk, batch: _Batch) -> bool:
    """One connection's share of the batch. False where there is no use in going on now."""
    failure: SmtpError | None = None
    try:
        connection = desk.line.get()
    except SmtpError as error:
        failure = error
    # Outside the handler: an error of Redis must not carry what the relay said into a traceback.
    if failure is not None:
        return _relay_failed(office, desk, batch, failure)
    before = batch.delivered
    fresh = connection.mails == 0
    try:
        session.send(connection, batch)
    except SmtpError as error:
        connection.broken = True
        failure = error
    except BaseException:  # a time limit, or a bug: the replies still to come belong to nobody
        connection.broken = True
        raise
    finally:
        connection.used_at = time.monotonic()
        if connection.broken:
            desk.line.drop()
    return failure is None or _session_broke(office, desk, batch, failure, fresh, batch.delivered - before)


def _relay_failed(office: Office, desk: Desk, batch: _Batch, error: SmtpError) -> bool:
    """There is no working session: that is the relay's fault, and no attempt of the mails that wait."""
    place = desk.line.relay.place
    is_open, wait, changed = office.spool.relay_failed(_told(error), error.configuration, place)
    if changed and error.configuration:
        mend = f"mend {remedy(error.phase)}, restart or `mailworker retry-now`"
        logger.critical("relay %s: %s; mail waits; %s; next probe in %.0f s", place, _public(error), mend, wait)
    elif changed:
        logger.error("relay %s: %s; mail waits, next probe in %.0f s", place, _public(error), wait)
    batch.give_back(0 if is_open else 1)
    return False


def _session_broke(office: Office, desk: Desk, batch: _Batch, error: SmtpError, fresh: bool, delivered: int) -> bool:
    """The connection was lost between greeting and good-bye. True where the rest may go over a new one."""
    if error.configuration:
        batch.lose(error.phase, blame=False)
        return _relay_failed(office, desk, batch, error)
    if delivered:
        batch.lose(error.phase, blame=error.phase != "MAIL")
        return True
    batch.lose(error.phase, blame=fresh or error.phase != "MAIL")
    if not fresh and error.phase == "MAIL":
        return True  # a warm connection that had died: costs nobody anything
    return _relay_failed(office, desk, batch, error)


_BEFORE_MAIL = ("connect", "greeting", "EHLO", "HELO", "STARTTLS", "TLS", "AUTH")


def _told(error: SmtpError) -> str:
    """For the operator: with the relay's words, unless they may quote an address."""
    return str(error) if error.phase in _BEFORE_MAIL else _public(error)


def _public(error: SmtpError) -> str:
    """For the log: without the relay's words."""
    return f"{error.phase}: {error.code}" if error.code else str(error)


class _Batch:
    """The journal of one batch: what is to do, what is under way, and outcomes not yet written."""

    def __init__(self, office: Office, owner: str, taken: Taken) -> None:
        self.office = office
        self.owner = owner
        self.todo: deque[Record | Outgoing] = deque(taken.records)
        self.records = {record.id: record for record in taken.records}
        self.outcomes: dict[str, Outcome] = {}
        self.delivered = 0
        self._unwritten: list[tuple[str, Outcome]] = []
        self._diary = Diary(office.spool.part_of)
        self._handed_out: dict[str, Outgoing] = {}
        self._committed: set[str] = set()
        self._fetched: dict[str, bytes] = {}
        self._relay_was_down = taken.relay_was_down
        self._redis_away = False
        self._taken_at = taken.now / 1000
        self._begun = time.monotonic()

    def more(self) -> bool:
        return bool(self.todo) and not self._out_of_time()

    def _out_of_time(self) -> bool:
        late = time.monotonic() - self._begun > self.office.seconds
        return late or self._redis_away or self.office.stopping()

    # What the session asks: see session.Journal.

    def next(self, count: int) -> list[Outgoing]:
        mails: list[Outgoing] = []
        while len(mails) < count and self.more():
            item = self.todo.popleft()
            if isinstance(item, Record):
                try:
                    item = self._build(item)
                except SpoolError:
                    self._redis_away = True
                    self.todo.appendleft(item)
                    break
                except Unsendable as error:
                    self._decide(item.id, Failed(error.reason, error.detail))
                    continue
                except Exception as error:  # a bug of ours must not stop the mails behind this one
                    logger.error("mail %s cannot be built: %s", item.id, where(error))
                    self._decide(item.id, Failed("internal_error", f"{type(error).__name__} while it was built"))
                    continue
            self._handed_out[item.id] = item
            mails.append(item)
        return mails

    def commit(self, mails: list[Outgoing]) -> list[Outgoing]:
        try:
            allowed = set(self._step([mail.id for mail in mails]))
        except SpoolError:
            # The session goes on to read what is under way; nothing new is begun.
            self._redis_away = True
            for mail in reversed(mails):
                self.again(mail)
            return []
        self._committed |= allowed
        for mail in mails:
            if mail.id not in allowed:  # somebody took it over while this process was not looking
                self._forget(mail.id)
        return [mail for mail in mails if mail.id in allowed]

    def done(self, mail: Outgoing, verdict: Verdict) -> None:
        self._judge(mail, verdict)
        if verdict.final is None or verdict.final.code == 421:
            return
        self.delivered += 1
        if self._relay_was_down:
            self._relay_is_back()

    def again(self, mail: Outgoing) -> None:
        self._forget(mail.id)
        self.todo.appendleft(mail)

    def withdraw(self, mail: Outgoing) -> None:
        self._committed.discard(mail.id)

    def _relay_is_back(self) -> None:
        try:
            if self.office.spool.relay_works():
                logger.warning("relay: works again")
            self._relay_was_down = False
        except SpoolError:  # what the session goes on to read still counts
            self._redis_away = True

    def _judge(self, mail: Outgoing, verdict: Verdict) -> None:
        record = self.records[mail.id]
        age = self._taken_at + time.monotonic() - self._begun - record.since / 1000
        chance = random.random()  # noqa: S311 - spreads load
        outcome = decide(verdict, mail.envelope.recipients, record.tries + 1, age, self.office.policy, chance)
        self._forget(mail.id)
        if isinstance(outcome, Deferred | Failed) and outcome.recipients == mail.envelope.recipients:
            outcome = replace(outcome, recipients=None)  # nobody has it yet
        self._decide(mail.id, self._doubt(outcome))

    # What deliver asks.

    def lose(self, phase: str, blame: bool) -> None:
        """The connection is gone: what was committed is in doubt. What was not was certainly not sent: it comes
        again, or with `blame` waits for its next attempt."""
        for mail in reversed(list(self._handed_out.values())):
            if mail.id in self._committed:
                self._judge(mail, Verdict((), None, phase))
            elif blame:
                self._judge(mail, Verdict((), _BROKE, "MAIL"))
            else:
                self.again(mail)

    def give_back(self, delay: float) -> None:
        """All that is left goes to the queue; no attempt is counted."""
        while self.todo:
            self._decide(self.todo.popleft().id, Returned(delay))

    def end(self, blame: bool) -> None:
        """However the batch ended: every mail in hand gets an outcome, and all outcomes are written."""
        self.lose("interrupted", blame)
        self.give_back(0)
        pause, tell = 0.1, 0.0
        while True:
            try:
                self._step(end=True)
            except SpoolError as error:
                if time.monotonic() >= tell:
                    logger.warning("%s; %d outcomes wait for it", error, len(self._unwritten))
                    tell = time.monotonic() + 60
                time.sleep(pause)
                pause = min(pause * 2, 5)
            else:
                self._diary.end()
                return

    def _build(self, record: Record) -> Outgoing:
        if record.size > self.office.limits.mail:
            raise Unsendable("too_large", f"{record.size} octets, more than the limit of {self.office.limits.mail}")
        email = message.from_entry(self._payload(record), self.office.limits)
        domain = self.office.sender.address.rpartition("@")[2]
        envelope = mime.build(email, self.office.sender, f"{record.origin}@{domain}", record.at)
        if record.recipients is not None:
            envelope = envelope.only(record.recipients)
        return Outgoing(record.id, envelope)

    def _payload(self, record: Record) -> bytes:
        if record.payload or not record.size:
            return record.payload
        if record.id not in self._fetched:
            self._fetched = self.office.spool.payloads([record.id, *self._behind(record)])
        payload = self._fetched.pop(record.id, b"")
        if not payload:  # where somebody else has the mail by now, this outcome is not written
            raise Unsendable("internal_error", "its payload is gone from Redis")
        return payload

    def _behind(self, record: Record) -> Iterator[str]:
        """The next ones whose payloads are to be read with this one's."""
        size = record.size
        for item in self.todo:
            if isinstance(item, Record) and not item.payload:
                size += item.size
                if size > FETCH:
                    return
                yield item.id

    def _doubt(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Deferred | Failed) and outcome.in_doubt and self.office.hold_in_doubt:
            return Held("in_doubt", outcome.detail)
        return outcome

    def _decide(self, mail_id: str, outcome: Outcome) -> None:
        self.outcomes[mail_id] = outcome
        self._unwritten.append((mail_id, outcome))

    def _forget(self, mail_id: str) -> None:
        self._handed_out.pop(mail_id, None)
        self._committed.discard(mail_id)

    def _step(self, commit: Sequence[str] = (), end: bool = False) -> list[str]:
        allowed = self.office.spool.step(self.owner, self._unwritten, commit, end)
        self._diary.note(self._unwritten)
        self._unwritten.clear()
        return allowed
