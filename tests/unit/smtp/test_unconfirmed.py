"""Verdicts that wait until the relay has shown that it is in step."""

from __future__ import annotations

from mailworker.envelope import Envelope
from mailworker.smtp.journal import Outgoing
from mailworker.smtp.replies import Reply
from mailworker.smtp.unconfirmed import MOST, Unconfirmed
from mailworker.smtp.verdict import Verdict


class Journal:
    def __init__(self) -> None:
        self.told: list[str] = []
        self.given_back: list[str] = []

    def next(self, count: int) -> list[Outgoing]:
        return []

    def commit(self, mails: list[Outgoing]) -> list[Outgoing]:
        return mails

    def done(self, mail: Outgoing, verdict: Verdict) -> None:
        self.told.append(mail.id)

    def left(self, mail: Outgoing) -> Outgoing:
        raise AssertionError

    def again(self, mail: Outgoing) -> None:
        self.given_back.append(mail.id)

    def withdraw(self, mail: Outgoing) -> None:
        raise AssertionError


def mail(name: str) -> Outgoing:
    return Outgoing(name, Envelope("a@b.c", ("d@e.f",), b"\r\n"))


def verdict(phase: str) -> Verdict:
    return Verdict((), Reply(550, "no"), phase)


def test_what_is_confirmed_is_told_in_its_order_and_once() -> None:
    journal = Journal()
    waiting = Unconfirmed(journal)
    waiting.add(mail("a"), verdict("message"))
    waiting.add(mail("b"), verdict("RCPT"))
    assert (len(waiting), journal.told) == (2, [])
    waiting.confirm()
    waiting.confirm()
    assert (len(waiting), journal.told) == (0, ["a", "b"])


def test_what_is_doubted_comes_again_where_it_did_not_leave_and_is_not_told() -> None:
    journal = Journal()
    waiting = Unconfirmed(journal)
    for name, phase in (("a", "MAIL"), ("b", "message"), ("c", "RCPT")):
        waiting.add(mail(name), verdict(phase))
    waiting.doubt()
    waiting.confirm()
    assert (journal.told, journal.given_back) == ([], ["c", "a"])  # in the end a goes before c


def test_no_more_wait_than_a_few() -> None:
    journal = Journal()
    waiting = Unconfirmed(journal)
    for number in range(MOST + 2):
        waiting.add(mail(str(number)), verdict("RCPT"))
    assert (len(waiting), journal.told) == (MOST, ["0", "1"])
