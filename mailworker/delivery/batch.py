"""The journal of one batch: what is to do, what is handed out to the session, what is committed, and what became of
each mail. Knows neither the relay's protocol nor the keys of Redis."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Final

from ..errors import NotYet, SmtpError, SpoolError, Unsendable
from ..outcome import Deferred, Failed, Further, OutcomeSoFar, Returned, Sent
from ..smtp.journal import Outgoing
from ..smtp.refusals import Refusal, crowded, refusal, throttled
from ..smtp.replies import Reply
from ..smtp.verdict import Verdict
from ..smtp.warm import WarmConnection
from ..spool import Record, Taken
from .attempt import Attempt
from .back_off import Policy
from .batch_limits import BatchLimits
from .breaker import Breaker
from .compose import Compose
from .judge import Judge
from .settle import Settling
from .split import SplitMails, too_many

logger = logging.getLogger(__name__)

_SENT: Final = Sent()
_BROKE: Final = Reply(451, "the session broke before the message was sent")


class Batch:
    """A `Journal` for the session. Another thread may look at it, and have it hand over what is not begun."""

    def __init__(
        self, taken: Taken, compose: Compose, policy: Policy, settling: Settling, breaker: Breaker,
        warm: WarmConnection, limits: BatchLimits,
    ) -> None:  # fmt: skip
        self.attempts: dict[str, Attempt] = {}
        """What became of each mail."""
        self.answered = 0
        """Mails to which the relay said something about them, and not about the session."""
        self.crowd: SmtpError | None = None
        """The relay has too many connections: this session ends."""
        self.slower: SmtpError | None = None
        """The relay has had enough for a while: nothing more is begun."""
        self.is_probe = taken.relay_was_down
        """The relay's breaker is open, and this batch finds out whether it works again."""
        self.under_way: dict[str, tuple[Outgoing, float]] = {}
        """Handed out to the session, and when."""
        self._todo: deque[Record | Outgoing] = deque(taken.records)
        self._committed: set[str] = set()
        self._split = SplitMails()
        self._judged = Judge(taken, warm.relay.name, policy, self._split)
        self._compose = compose
        self._settling = settling
        self._breaker = breaker
        self._warm = warm
        self._relay = warm.relay.name
        self._limits = limits
        self._redis_away = False
        self._refused = False
        self._lock = threading.RLock()
        self._begun = time.monotonic()
        self.moved = self._begun
        """When the relay gave its last verdict."""

    def redis_is_away(self) -> None:
        """Nothing more is begun."""
        self._redis_away = True

    def more(self) -> bool:
        """There are mails that may be begun."""
        return bool(self._todo) and not self._is_over()

    def _is_over(self) -> bool:
        return (
            time.monotonic() - self._begun > self._limits.seconds
            or self._redis_away
            or self._refused
            or self._limits.stopping()
            or (self.crowd or self.slower) is not None
        )

    # What the session asks: see `smtp.journal`.

    def next(self, count: int) -> list[Outgoing]:
        mails: list[Outgoing] = []
        with self._lock:
            now, most = time.monotonic(), self._warm.lessons.recipients()
            while len(mails) < count and self._todo and not self._is_over():
                mail = self._ready(self._todo.popleft(), most)
                if mail is not None:
                    self.under_way[mail.id] = mail, now
                    mails.append(mail)
        return mails

    def _ready(self, item: Record | Outgoing, most: int) -> Outgoing | None:
        """With `most` recipients, where that is not 0. None where it cannot be composed: then it has its outcome, or
        Redis is away."""
        try:
            if self._judged.has_expired(item.id):
                raise Unsendable("expired", "it was to be sent earlier, or not at all")
            mail = item if isinstance(item, Outgoing) else self._compose(item, self._todo)
            return self._split.narrow(mail, most) if most else mail
        except SpoolError:
            self._redis_away = True
            self._todo.appendleft(item)
        except Unsendable as error:
            self._conclude(Attempt(item.id, self._relay, Failed(error.reason, error.detail)))
        except NotYet as error:
            self._conclude(Attempt(item.id, self._relay, Returned(error.seconds, waits=True)))
        return None

    def commit(self, mails: list[Outgoing]) -> list[Outgoing]:
        with self._lock:
            try:
                allowed = set(self._settling.write([mail.id for mail in mails]).may_go)
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
            if not verdict.taken:
                self._not_taken(mail, verdict)
                return
            self._keep_pace()
            if mail.id in self._split.remainders:
                self._judge(mail, verdict)
            else:
                code = verdict.final.code if verdict.final else 0
                seconds = self.moved - self._forget(mail.id)
                self._conclude(Attempt(mail.id, self._relay, _SENT, code, verdict.phase, seconds))
            self.answered += 1
            if self.is_probe:
                self._relay_works()

    def left(self, mail: Outgoing) -> Outgoing:
        with self._lock:
            if mail.id in self._split.remainders:  # it goes on, to others
                return mail
            self.under_way[mail.id] = mail.without_content(), self.under_way[mail.id][1]
            return self.under_way[mail.id][0]

    def again(self, mail: Outgoing) -> None:
        with self._lock:
            self._forget(mail.id)
            self._todo.appendleft(self._split.join(mail))

    def withdraw(self, mail: Outgoing) -> None:
        self._committed.discard(mail.id)

    # What the relay's verdict means.

    def _not_taken(self, mail: Outgoing, verdict: Verdict) -> None:
        """The order is what the outcome rests on. First what makes it no verdict on this mail:

        1. The relay has too many connections: the mail comes again, and not even the pace is learnt of it.
        2. It has too many of the mail's recipients: it goes on in smaller parts.

        Then the mail is judged, whatever else is meant: what the relay has against the site is told by a mail that is a
        dead letter by then. Where that is found, the mail is none after all, and nothing shows that the relay works.
        """
        final = verdict.final
        of_the_mail = final is not None and final.code != 421
        if final is not None and of_the_mail and crowded(verdict.phase, final.code, final.text):
            self.crowd = SmtpError(verdict.phase, final.code, final.text)
            self.again(mail)
            return
        self._keep_pace()
        if self._has_too_many_recipients(mail, verdict):
            return
        said = refusal(verdict, mail.own_sender)
        step = self._judge(mail, verdict)
        if said is not None and isinstance(step, Failed) and self._is_the_sites(mail, said):
            return
        if of_the_mail:
            self.answered += 1
            self._relay_works()

    def _keep_pace(self) -> None:
        now = time.monotonic()
        self._warm.pace.mail_took(now - self.moved)
        self.moved = now

    def _has_too_many_recipients(self, mail: Outgoing, verdict: Verdict) -> bool:
        """Then it goes on in smaller parts."""
        found = too_many(verdict, mail.envelope.recipients)
        if found is None:
            return False
        self._warm.lessons.takes_recipients(found.took)
        self.answered += 1
        if found.verdict is None:
            self.again(mail)
        else:
            self._split.postpone(mail.id, found.rest)
            self._judge(mail.only(found.kept), found.verdict)
        return True

    def _judge(self, mail: Outgoing, verdict: Verdict) -> OutcomeSoFar:
        """The mail's outcome, or the next of its transactions."""
        attempt = self._judged(mail, verdict, self._forget(mail.id))
        if verdict.final is not None and isinstance(attempt.outcome, Deferred | Further) and throttled(verdict):
            self.slower = SmtpError(verdict.phase, verdict.final.code, verdict.final.text)
        if isinstance(attempt.outcome, Further):
            self._go_on(mail, attempt)
        else:
            self._conclude(attempt)
        return attempt.outcome

    def _go_on(self, mail: Outgoing, attempt: Attempt) -> None:
        """Who has the mail is written down before the next of its transactions can begin."""
        self._settling.add(attempt)
        self._todo.appendleft(self._split.next_transaction(mail))
        try:
            self._settling.write()
        except SpoolError:
            self._redis_away = True

    def _is_the_sites(self, mail: Outgoing, said: Refusal) -> bool:
        """The relay refuses the site, and not this mail: that is no outcome of it."""
        try:
            self._settling.write()  # first it is a dead letter: whoever finds out makes it none
            if not self._breaker.is_opened_by(mail.id, said):
                return False
        except SpoolError:
            self._redis_away = True
            return False
        self._refused = True
        self.attempts[mail.id] = Attempt(mail.id, self._relay, Returned())
        return True

    def _relay_works(self) -> None:
        """It answered: where this batch is the probe, that closes the breaker."""
        if not self.is_probe:
            return
        try:
            self._breaker.works()
            self.is_probe = False
        except SpoolError:  # what the session goes on to read still counts
            self._redis_away = True

    # What becomes of mails without a verdict.

    def lose(self, phase: str, blame: bool) -> None:
        """The connection is gone: what was committed is in doubt. What was not was certainly not sent: it comes
        again, or with `blame` waits for its next attempt."""
        with self._lock:
            for mail, _ in reversed(list(self.under_way.values())):
                if mail.id in self._committed:
                    self._judge(mail, Verdict((), None, phase))
                elif blame:
                    self._judge(mail, Verdict((), _BROKE, "MAIL"))
                else:
                    self.again(mail)

    def give_back(self, delay: float) -> None:
        """All that is left goes to the queue; no attempt is counted."""
        with self._lock:
            while self._todo:
                self._conclude(Attempt(self._todo.popleft().id, self._relay, Returned(delay)))

    def hand_over(self, keep: int) -> None:
        """What is not begun goes back to the queue at once, but for the first `keep`. Called from another thread: does
        nothing where this one is at work."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            if len(self._todo) > keep:
                kept = [self._todo.popleft() for _ in range(keep)]
                logger.info("the relay is late with a mail; %d that wait behind it go elsewhere", len(self._todo))
                self.give_back(0)
                self._todo.extend(kept)
                self._settling.write()
        except SpoolError:
            self._redis_away = True
        finally:
            self._lock.release()

    def end(self, blame: bool) -> int:
        """However the batch ended: every mail in hand gets an outcome, and all outcomes are written, as far as its
        limits let it wait for Redis. Returns how many connections the relay bears, 0 where no limit is known."""
        with self._lock:
            self.lose("interrupted", blame)
            self.give_back(0)
            return self._settling.write_all(self._limits)

    def _conclude(self, attempt: Attempt) -> None:
        self.attempts[attempt.id] = attempt
        self._settling.add(attempt)

    def _forget(self, mail_id: str) -> float:
        """It is in the session's hands no more. Returns since when it was."""
        self._committed.discard(mail_id)
        handed_out = self.under_way.pop(mail_id, None)
        return handed_out[1] if handed_out else time.monotonic()
