"""The journal of one batch: what is to do, what is under way, and outcomes not yet written. Knows no key of Redis."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ..errors import SmtpError, SpoolError, Unsendable, where
from ..mail import entry, mime
from ..mail.address import Mailbox
from ..mail.email import Limits
from ..outcome import Deferred, Failed, Further, Outcome, Returned, Sent, Step
from ..smtp.journal import Outgoing
from ..smtp.pace import SLOW
from ..smtp.refusals import Refusal, crowded, refusal, throttled
from ..smtp.replies import Reply
from ..smtp.verdict import Verdict
from ..smtp.warm import WarmConnection
from ..spool import Record, Spool, Taken
from .diary import Diary
from .parts import Part, combine, lesson
from .remedies import remedy
from .retry import Policy, decide

logger = logging.getLogger(__name__)

FETCH: Final = 256 * 1024
"""Octets of large payloads that are read with one call, where the first one alone has not more."""

_SENT = Sent()
STOP_SECONDS: Final = 30.0
"""For which a stop waits for a Redis that takes no outcomes: less than service managers wait before they kill."""

_BROKE = Reply(451, "the session broke before the message was sent")


@dataclass(frozen=True, slots=True)
class Office:
    """What a delivery needs from above: made once a process."""

    spool: Spool
    sender: Mailbox
    limits: Limits
    policy: Policy
    seconds: float
    """No mail of a batch is begun after this time; the rest goes back to the queue."""
    stopping: Callable[[], bool] = lambda: False
    hurried: Callable[[], bool] = lambda: False
    """A cold stop whose time is over: nothing is waited for any more."""


class Batch:
    """The journal of one batch: what is to do, what is under way, and outcomes not yet written."""

    def __init__(self, office: Office, owner: str, taken: Taken, warm: WarmConnection | None = None) -> None:
        self.office = office
        self.warm = warm
        self.owner = owner
        self.todo: deque[Record | Outgoing] = deque(taken.records)
        self.records = {record.id: record for record in taken.records}
        self.outcomes: dict[str, Outcome] = {}
        self.delivered = 0
        self.crowd: SmtpError | None = None
        """The relay has too many connections: this session ends."""
        self.slower: SmtpError | None = None
        """The relay has had enough for a while: nothing more is begun."""
        self.bears = 0
        """Connections that the relay bears, as was known at the batch's end; 0 where no limit is known."""
        self.waiting = False
        """For a place at the relay: then nothing is late."""
        self._unwritten: list[tuple[str, Step]] = []
        self._diary = Diary(office.spool.part_of)
        self._handed_out: dict[str, Outgoing] = {}
        self._committed: set[str] = set()
        self._fetched: dict[str, bytes] = {}
        self._relay_was_down = taken.relay_was_down
        self._redis_away = False
        self._refused = False
        self._parts: dict[str, Part] = {}
        self._lock = threading.RLock()
        self._taken_at = taken.now / 1000
        self._begun = self._moved = time.monotonic()

    def redis_is_away(self) -> None:
        """Nothing more is begun."""
        self._redis_away = True

    def more(self) -> bool:
        return bool(self.todo) and not self._out_of_time()

    def _out_of_time(self) -> bool:
        late = time.monotonic() - self._begun > self.office.seconds
        return (
            late
            or self._redis_away
            or self._refused
            or self.office.stopping()
            or (self.crowd or self.slower) is not None
        )

    # What the session asks: see smtp/journal.py.

    def next(self, count: int) -> list[Outgoing]:
        mails: list[Outgoing] = []
        with self._lock:
            while len(mails) < count and self.more():
                mail = self._ready(self.todo.popleft())
                if mail is not None:
                    self._handed_out[mail.id] = mail
                    mails.append(mail)
        return mails

    def _ready(self, item: Record | Outgoing) -> Outgoing | None:
        """None where it cannot be built: then it has its outcome, or Redis is away."""
        if isinstance(item, Outgoing):
            return self._split(item)
        try:
            return self._split(self._build(item))
        except SpoolError:
            self._redis_away = True
            self.todo.appendleft(item)
        except Unsendable as error:
            self._decide(item.id, Failed(error.reason, error.detail))
        except Exception as error:  # noqa: BLE001 - a bug of ours must not stop the mails behind this one
            logger.error("mail %s cannot be built: %s", item.id, where(error))
            self._decide(item.id, Failed("internal_error", f"{type(error).__name__} while it was built"))
        return None

    def _split(self, mail: Outgoing) -> Outgoing:
        """With no more recipients than the relay is known to take at once; the others wait."""
        most = self.warm.lessons.recipients() if self.warm else 0
        told = mail.envelope.recipients
        if not most or len(told) <= most:
            return mail
        part = self._parts.get(mail.id, Part())
        self._parts[mail.id] = replace(part, rest=told[most:] + part.rest)
        return Outgoing(mail.id, mail.envelope.only(told[:most]))

    def commit(self, mails: list[Outgoing]) -> list[Outgoing]:
        with self._lock:
            return self._commit(mails)

    def _commit(self, mails: list[Outgoing]) -> list[Outgoing]:
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
        with self._lock:
            self._done(mail, verdict)

    def _done(self, mail: Outgoing, verdict: Verdict) -> None:
        final, taken = verdict.final, verdict.taken
        if not taken and final is not None and final.code != 421 and crowded(verdict.phase, final.code, final.text):
            self.crowd = SmtpError(verdict.phase, final.code, final.text)
            self.again(mail)
            return
        now = time.monotonic()
        if self.warm is not None:
            self.warm.pace.mail_took(now - self._moved)
        self._moved = now
        if not taken and self._learned(mail, verdict):
            return
        said = None if taken else refusal(verdict)
        if taken and mail.id not in self._parts:
            self._forget(mail.id)
            self._decide(mail.id, _SENT)
        else:
            self._judge(mail, verdict)
        if said is not None and isinstance(self.outcomes.get(mail.id), Failed) and self._is_the_sites(mail, said):
            return
        if final is None or final.code == 421:
            return
        self.delivered += 1
        if self._relay_was_down:
            self._relay_is_back()

    def _learned(self, mail: Outgoing, verdict: Verdict) -> bool:
        """The relay takes fewer recipients at once. True where the mail comes again, in smaller parts."""
        found = lesson(verdict, mail.envelope.recipients)
        if found is None or self.warm is None:
            return False
        self.warm.lessons.takes_recipients(found.took)
        self.delivered += 1
        if found.verdict is None:
            self.again(mail)
            return True
        part = self._parts.get(mail.id, Part())
        self._parts[mail.id] = replace(part, rest=found.rest + part.rest)
        self._judge(Outgoing(mail.id, mail.envelope.only(found.kept)), found.verdict)
        return True

    def _is_the_sites(self, mail: Outgoing, said: Refusal) -> bool:
        """True where this refusal, and those before it in the same words, are the configuration: then the breaker is
        open and these mails are no dead letters any more."""
        place = self.warm.relay.place if self.warm else ""
        try:
            self._step()  # first it is a dead letter: whoever finds out makes it none
            found = self.office.spool.refused(mail.id, said.said, said.enough, said.text, place)
        except SpoolError:
            self._redis_away = True
            return False
        if not found.configuration:
            return False
        self._refused = True
        self.outcomes[mail.id] = Returned()
        if found.opened:
            logger.critical(
                "relay %s refuses each mail: %s; mail waits, and %d that it refused wait again; mend %s, restart or "
                "`mailworker retry-now`; next probe in %.0f s",
                place, said.text, found.back, remedy(said.text), found.wait,
            )  # fmt: skip
        return True

    def again(self, mail: Outgoing) -> None:
        with self._lock:
            part = self._parts.get(mail.id)
            if part is not None and part.rest:  # whole again: what a transaction takes may have changed
                mail = Outgoing(mail.id, mail.envelope.only(mail.envelope.recipients + part.rest))
                self._parts[mail.id] = replace(part, rest=())
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
        if isinstance(outcome, Deferred) and verdict.final is not None and throttled(verdict):
            self.slower = SmtpError(verdict.phase, verdict.final.code, verdict.final.text)
        self._forget(mail.id)
        told, part = mail.envelope.recipients, self._parts.get(mail.id)
        if part is not None:
            step, self._parts[mail.id] = combine(outcome, told, part)
            if isinstance(step, Further):
                self._go_on(mail, step)
                return
            outcome = step
        self._decide(mail.id, outcome)

    def _go_on(self, mail: Outgoing, outcome: Further) -> None:
        """Who has the mail is written down before the next of its transactions can begin."""
        self._unwritten.append((mail.id, outcome))
        part = self._parts[mail.id]
        self._parts[mail.id] = replace(part, rest=())
        self.todo.appendleft(Outgoing(mail.id, mail.envelope.only(part.rest)))
        try:
            self._step()
        except SpoolError:
            self._redis_away = True

    # What deliver asks.

    def lose(self, phase: str, blame: bool) -> None:
        """The connection is gone: what was committed is in doubt. What was not was certainly not sent: it comes
        again, or with `blame` waits for its next attempt."""
        with self._lock:
            for mail in reversed(list(self._handed_out.values())):
                if mail.id in self._committed:
                    self._judge(mail, Verdict((), None, phase))
                elif blame:
                    self._judge(mail, Verdict((), _BROKE, "MAIL"))
                else:
                    self.again(mail)

    def give_back(self, delay: float) -> None:
        """All that is left goes to the queue; no attempt is counted."""
        with self._lock:
            while self.todo:
                self._decide(self.todo.popleft().id, Returned(delay))

    def hand_over(self, now: float) -> None:
        """Called from another thread, about once a second. Where the relay is late with one mail, those that are not
        begun go back to the queue at once: others may have time for them. Where the connection itself is late, the
        first one stays: or a relay that greets late, and bears few connections, would never be given any."""
        opening = not self._handed_out
        late_after = self.warm.pace.late_after(opening) if self.warm else SLOW
        if self.waiting or self._relay_was_down or now - self._moved < late_after:
            return
        if not self._lock.acquire(blocking=False):
            return
        try:
            if len(self.todo) > opening:
                kept = [self.todo.popleft()] if opening else []
                logger.info("the relay is late with a mail; %d that wait behind it go elsewhere", len(self.todo))
                self.give_back(0)
                self.todo.extend(kept)
                self._step()
        except SpoolError:
            self._redis_away = True
        finally:
            self._lock.release()

    def end(self, blame: bool) -> None:
        """However the batch ended: every mail in hand gets an outcome, and all outcomes are written; or, where the
        worker stops and Redis stays away, are given up: then those mails are in doubt."""
        with self._lock:
            self.lose("interrupted", blame)
            self.give_back(0)
            self._write_all()

    def _write_all(self) -> None:
        pause, tell = 0.1, 0.0
        stopped: float | None = None
        while True:
            try:
                bears = self._step(end=True)
            except SpoolError as error:
                if time.monotonic() >= tell:
                    logger.warning("%s; %d outcomes wait for it", error, len(self._unwritten))
                    tell = time.monotonic() + 60
                if stopped is None and self.office.stopping():
                    stopped = time.monotonic()
                if self.office.hurried() or (stopped is not None and time.monotonic() - stopped > STOP_SECONDS):
                    logger.error("the worker stops, and Redis took no outcomes of %d mails", len(self._unwritten))
                    self._unwritten.clear()
                    self._diary.end()
                    return
                time.sleep(pause)
                pause = min(pause * 2, 5)
            else:
                self.bears = int(bears[0]) if bears else 0
                self._diary.end()
                return

    def _build(self, record: Record) -> Outgoing:
        if record.size > self.office.limits.mail:
            raise Unsendable("too_large", f"{record.size} octets, more than the limit of {self.office.limits.mail}")
        email = entry.from_entry(self._payload(record), self.office.limits)
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

    def _decide(self, mail_id: str, outcome: Outcome) -> None:
        self.outcomes[mail_id] = outcome
        self._unwritten.append((mail_id, outcome))

    def _forget(self, mail_id: str) -> None:
        self._handed_out.pop(mail_id, None)
        self._committed.discard(mail_id)

    def _step(self, commit: Sequence[str] = (), end: bool = False) -> list[str]:
        allowed = self.office.spool.settle(self.owner, self._unwritten, commit, end)
        self._diary.note(self._unwritten)
        self._unwritten.clear()
        return allowed
