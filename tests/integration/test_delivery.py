"""A batch should reach the relay as the relay can bear it, and what speaks of all mails should befall none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mailworker.delivery import late, sending
from mailworker.delivery.back_off import Policy
from mailworker.delivery.batch_limits import BatchLimits
from mailworker.delivery.deliver import Delivery
from mailworker.delivery.files import Files
from mailworker.delivery.log_lines import AttemptLog
from mailworker.delivery.slots import Slot
from mailworker.mail.address import Mailbox
from mailworker.mail.author import Author
from mailworker.mail.email import Email, Limits
from mailworker.mail.entry import to_php
from mailworker.mail.frame import to_record
from mailworker.outcome import Failed, Outcome, Returned, Sent
from mailworker.smtp import pace
from mailworker.smtp.relay import Deadlines
from mailworker.spool import Spool, connect
from tests.conftest import RedisServer
from tests.spools import queries_of, spool_of

from .smtp_client import relay_of, until
from .smtp_server import Session, SmtpServer, answer, at, close, each, hang, where, without

QUEUE = "queue:email"
WAYS = pytest.mark.parametrize("hidden", [(), ("CHUNKING",), ("PIPELINING",)], ids=["bdat", "pipelined", "steps"])


class Site:
    """Children as threads, each with a slot, on one spool."""

    def __init__(self, server: RedisServer, relay: SmtpServer, children: int = 1, **values: Any) -> None:
        self.server = server
        self.spool = self._spool()
        self.queries = queries_of(self.spool.client, [QUEUE])
        self.children = children
        self.slots = [Slot(f"w/{number}", {"default": relay_of(relay, **values)}) for number in range(children)]
        self.spool.beat("w", children, [])
        self.outcomes: dict[str, Outcome] = {}

    def _spool(self) -> Spool:
        return spool_of(connect(self.server.url), [QUEUE], batch=200)

    def push(self, *mails: tuple[str, ...]) -> None:
        """Each a subject and its recipients."""
        for subject, *recipients in mails:
            to = tuple(Mailbox(address) for address in recipients or ["a@example.com"])
            self.spool.client.lpush(QUEUE, to_php(Email(to, subject.encode(), b"text")))

    def claim(self, number: int = 1000) -> list[str]:
        self.spool.client.delete("mailworker:bridge_lock")
        claimed = self.spool.claim("w/bridge", "", number)
        self.spool.unlock("w/bridge")
        return claimed.together + claimed.alone

    def delivery(self) -> Delivery:
        spool = self._spool()
        log = AttemptLog(spool.part_of)
        return Delivery(
            spool,
            Author(Mailbox("site@example.com")),
            Limits(),
            Policy(),
            BatchLimits(60),
            Files(spool, Limits().mail),
            [log],
        )

    def deliver(self, ids: list[str], child: int = 0) -> dict[str, Outcome]:
        attempts = self.delivery().deliver(self.slots[child], ids, lambda _: None)
        found = {mail_id: attempt.outcome for mail_id, attempt in attempts.items()}
        self.outcomes |= found
        return found

    def run(self, seconds: float, batch: int = 100) -> None:
        """All children work until the spool is empty."""
        deadline = time.monotonic() + seconds
        claiming = threading.Lock()

        def child(number: int) -> None:
            while time.monotonic() < deadline and not self.empty():
                with claiming:
                    ids = self.claim(batch)
                if ids:
                    self.deliver(ids, number)
                else:
                    time.sleep(0.02)

        threads = [threading.Thread(target=child, args=(number,)) for number in range(self.children)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self.spool.beat("w", self.children, [])
            time.sleep(0.2)
        for thread in threads:
            thread.join()

    def empty(self) -> bool:
        report = self.queries.status()
        states = report["states"]
        waits = sum(states[state] for state in ("queued", "leased", "committing", "deferred"))
        return not waits and not any(report["lists"].values())

    def close(self) -> None:
        for one in self.slots:
            one.line("default").warm.drop()


@contextmanager
def site(server: RedisServer, relay: SmtpServer, children: int = 1, **values: Any) -> Iterator[Site]:
    made = Site(server, relay, children, **values)
    try:
        yield made
    finally:
        made.close()


def subjects(relay: SmtpServer) -> list[str]:
    return sorted(line.decode() for mail in relay.mails for line in mail.data.split(b"\r\n") if line[:8] == b"Subject:")


# A relay that limits connections.


def limited(most: Callable[[], int], refusal: Callable[[Session, str], bytes | None]) -> dict[str, Any]:
    """Refuses at the greeting whoever comes while so many others are connected."""

    def greet(session: Session, argument: str) -> bytes | None:
        alive = [one for one in session.server.sessions if one.thread.is_alive() and one.greeted]  # type: ignore[attr-defined]
        if len(alive) < most():
            session.greeted = True  # type: ignore[attr-defined]
            return None
        return refusal(session, argument)

    return {"greeting": greet}


@pytest.fixture(autouse=True)
def _greeted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "greeted", False, raising=False)


REFUSALS = [answer(421, "4.7.0 Error: too many connections from 127.0.0.1"), answer(421), close]


@pytest.mark.parametrize("refusal", REFUSALS, ids=["worded", "421", "close"])
@pytest.mark.parametrize("most", [1, 2])
def test_a_relay_that_bears_fewer_connections_than_children_gets_all_mail_soon(
    redis_server: RedisServer, refusal: Any, most: int
) -> None:
    with SmtpServer(limited(lambda: most, refusal)) as relay, site(redis_server, relay, 5) as ours:
        ours.push(*[(f"m{number}",) for number in range(300)])
        begun = time.monotonic()
        ours.run(20, batch=50)
        took = time.monotonic() - begun
        status = ours.queries.status()
        assert len(relay.mails) == 300
        assert len(set(subjects(relay))) == 300
        assert not status["relays"]["default"]["open"]
        assert status["states"]["failed"] == status["totals"]["deferred"] == 0
        assert relay.connections < 100
        assert took < 10


def test_a_limit_is_a_limit_also_after_the_breaker_was_open(redis_server: RedisServer) -> None:
    with SmtpServer(limited(lambda: 2, REFUSALS[0])) as relay, site(redis_server, relay, 3) as ours:
        ours.push(*[(f"m{number}",) for number in range(4)])
        ids = ours.claim()
        ours.deliver(ids[:2], child=0)
        ours.deliver(ids[2:], child=1)
        ours.spool.relay_failed("default", "AUTH: 535", configuration=True)
        ours.spool.hasten()
        ours.push(("probe",), ("further",))
        ours.deliver(ours.claim(), child=0)  # over its warm connection
        ours.deliver(ours.claim(), child=2)
        found = ours.queries.status()["relays"]["default"]
        assert (found["connections"], found["failures"]) == (2, 0)


def test_a_relay_that_refuses_everybody_is_out_of_order_as_before(redis_server: RedisServer) -> None:
    with SmtpServer({"greeting": REFUSALS[0]}) as relay, site(redis_server, relay) as ours:
        ours.push(*[(f"m{number}",) for number in range(3)])
        for _ in range(3):
            ours.claim()
            ids = [name.decode() for name in ours.spool.client.zrange("mailworker:due", 0, -1)]
            assert {type(one) for one in ours.deliver(ids).values()} == {Returned}
        assert ours.queries.status()["relays"]["default"]["open"]


@pytest.mark.parametrize(
    "refusal", [answer(450, "4.7.1 Error: too many connections"), answer(421, "4.7.0 too many")], ids=["450", "421"]
)
def test_too_many_connections_said_to_mail_costs_no_attempt(redis_server: RedisServer, refusal: Any) -> None:
    with SmtpServer({"MAIL": at(2, refusal)}) as relay, site(redis_server, relay, 2) as ours:
        ours.push(("first",), ("second",), ("third",))
        ids = ours.claim()
        ours.deliver(ids[:1], child=0)
        ours.deliver(ids[1:], child=1)
        assert len(relay.mails) == 3
        assert ours.queries.status()["totals"]["deferred"] == 0


def test_one_connection_more_is_tried_after_a_while(redis_server: RedisServer) -> None:
    most = 1
    with SmtpServer(limited(lambda: most, REFUSALS[0])) as relay, site(redis_server, relay, 3) as ours:
        ours.spool.client.hset("mailworker:owners", mapping={f"w/{number}": 1 for number in range(3)})
        ours.spool.connected("default", "w/0")
        assert ours.spool.relay_full("default", "w/1", wordless=False).bears == 1
        assert not ours.spool.may_connect("default", "w/1").free
        ours.spool.client.hset("mailworker:limit:default", "try_at", 0)
        assert ours.spool.may_connect("default", "w/1").free
        assert not ours.spool.may_connect("default", "w/2").free  # one at a time
        assert ours.spool.connected("default", "w/1").bears == 2
        ours.spool.client.hset("mailworker:limit:default", "try_at", 0)
        assert ours.spool.may_connect("default", "w/2").free
        assert ours.spool.connected("default", "w/2").bears == 0  # as many as children: no limit any more


def test_the_place_of_a_dead_owner_is_free(redis_server: RedisServer) -> None:
    spool = spool_of(connect(redis_server.url), [QUEUE])
    spool.beat("w", 5, [])
    spool.client.hset("mailworker:owners", mapping={f"w/{number}": 1 for number in range(3)})
    spool.connected("default", "w/0")
    assert spool.relay_full("default", "w/1", wordless=False).bears == 1
    assert not spool.may_connect("default", "w/1").free
    spool.release("w/0", died=True)
    assert spool.may_connect("default", "w/1").free


def test_a_bug_in_a_batch_keeps_nobody_s_place(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: Any) -> None:
        raise RuntimeError

    with SmtpServer() as relay, site(redis_server, relay, 3) as ours:
        ours.spool.client.hset("mailworker:limit:default", mapping={"connections": 1, "interval": 1, "try_at": 0})
        ours.push(("m",))
        monkeypatch.setattr(sending.session, "send", bug)
        with pytest.raises(RuntimeError):
            ours.deliver(ours.claim())
        assert ours.spool.client.zcard("mailworker:places:default") == 0


def test_failures_between_which_mail_went_through_open_no_breaker(redis_server: RedisServer) -> None:
    spool = spool_of(connect(redis_server.url), [QUEUE])
    for number in range(9):
        assert not spool.relay_failed("default", "connect: refused", configuration=False)[0]
        spool.client.hincrby("mailworker:counts", "sent:default", number % 2)
    for _ in range(3):
        is_open, _, _ = spool.relay_failed("default", "connect: refused", configuration=False)
    assert is_open


# A relay that takes so much in a time.


@WAYS
@pytest.mark.parametrize(
    ("step", "refusal"),
    [
        ("MAIL", answer(450, "4.7.1 Error: too much mail from 192.0.2.1")),
        ("message", answer(454, "Throttling failure: Maximum sending rate exceeded.")),
    ],
    ids=["postfix", "ses"],
)
def test_a_relay_that_has_had_enough_for_a_while_is_given_it_and_the_rest_is_not_tried(
    redis_server: RedisServer, hidden: tuple[str, ...], step: str, refusal: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """As SES does (nodemailer/nodemailer, issue 436). Else each of many mails comes to wait for an hour."""
    with (
        SmtpServer({step: refusal}, extensions=without(*hidden)) as relay,
        site(redis_server, relay) as ours,
    ):
        ours.push(*[(f"m{number}",) for number in range(40)])
        ours.deliver(ours.claim())
        status = ours.queries.status()
        assert status["relays"]["default"]["open"]
        assert status["relays"]["default"]["slower"]
        assert status["relays"]["default"]["probe_seconds"] < 2
        assert status["states"]["failed"] == 0
        assert status["states"]["queued"] >= 25  # some verdicts are held until the relay is in step
        assert [record.levelname for record in caplog.records if "takes no more for now" in record.message] == [
            "WARNING"
        ]
        relay.script = {}
        until(lambda: (ids := ours.claim()) and ours.deliver(ids))  # the probe, after a second
        assert not ours.queries.status()["relays"]["default"]["open"]
        ours.deliver(ours.claim())
        assert len(relay.mails) >= 25


# Refusals that are the site's.


@WAYS
@pytest.mark.parametrize(
    ("step", "refusal"),
    [
        ("MAIL", answer(553, "5.7.1 <site@example.com>: Sender address rejected: not owned by user x")),
        ("MAIL", answer(501, "mail from address must be same as authorization user")),
        ("RCPT", answer(554, "5.7.1 <a@example.com>: Relay access denied")),
        ("message", answer(550, "5.7.60 SMTP; Client does not have permissions to send as this sender")),
    ],
    ids=["owned", "same", "relay", "sendas"],
)
def test_what_the_relay_refuses_of_everybody_becomes_nobodys_dead_letter(
    redis_server: RedisServer, hidden: tuple[str, ...], step: str, refusal: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        SmtpServer({step: refusal}, extensions=without(*hidden)) as relay,
        site(redis_server, relay, 2) as ours,
    ):
        ours.push(*[(f"m{number}",) for number in range(40)])
        ids = ours.claim()
        ours.deliver(ids[:2], child=0)
        ours.deliver(ids[2:], child=1)
        status = ours.queries.status()
        assert status["states"]["failed"] == status["totals"]["failed"] == 0
        assert status["states"]["queued"] == 40
        assert status["relays"]["default"]["open"]
        assert status["relays"]["default"]["needs_operator"]
        [told] = [record for record in caplog.records if record.levelname == "CRITICAL"]
        assert "MAILWORKER_" in told.getMessage()
        assert "@" not in told.getMessage()
        # The probe finds the same, and later that it is mended.
        ours.spool.hasten()
        [probe] = ours.claim()
        ours.deliver([probe])
        assert ours.queries.status()["states"]["failed"] == 0
        relay.script = {}
        ours.spool.hasten()
        ours.deliver(ours.claim())
        assert not ours.queries.status()["relays"]["default"]["open"]
        ours.run(10)
        assert len(relay.mails) == 40


@WAYS
@pytest.mark.parametrize("code", [503, 550, 554])
def test_a_login_that_is_wanted_in_words_alone_is_the_configuration_at_once(
    redis_server: RedisServer, hidden: tuple[str, ...], code: int
) -> None:
    script = {"MAIL": answer(code, "5.5.1 Error: need AUTH first")}
    with SmtpServer(script, extensions=without(*hidden)) as relay, site(redis_server, relay) as ours:
        ours.push(("a",), ("b",))
        ours.deliver(ours.claim())
        status = ours.queries.status()
        assert status["relays"]["default"]["needs_operator"]
        assert status["relays"]["default"]["last_error"].startswith("MAIL: ")
        assert (status["states"]["queued"], status["totals"]["deferred"]) == (2, 0)


@pytest.mark.parametrize(
    ("step", "refusal"),
    [
        ("RCPT", answer(550, "5.1.1 <a@example.com>: user unknown")),
        ("RCPT", answer(550, "5.4.1 Recipient address rejected: Access denied")),
        ("message", answer(554, "5.7.1 rejected as spam")),
    ],
)
def test_a_list_of_bad_recipients_or_one_bad_text_is_not_the_configuration(
    redis_server: RedisServer, step: str, refusal: Any
) -> None:
    with SmtpServer({step: refusal}) as relay, site(redis_server, relay) as ours:
        ours.push(*[(f"m{number}",) for number in range(20)])
        ours.deliver(ours.claim())
        status = ours.queries.status()
        assert status["states"]["failed"] == 20
        assert not status["relays"]["default"]["open"]


@pytest.mark.parametrize(
    ("refusal", "probes"),
    [(answer(554, "no thanks"), 2), (answer(550, "5.7.60 no permissions to send as this sender"), 12)],
    ids=["likely", "plain"],
)
def test_a_few_mails_that_are_refused_each_for_itself_do_not_keep_the_others_waiting(
    redis_server: RedisServer, refusal: Any, probes: int
) -> None:
    """They look like the configuration, and come first when it is probed, and first again when it works."""
    with SmtpServer({"message": where("bad", refusal)}) as relay, site(redis_server, relay) as ours:
        bad = [(f"bad{number}", f"bad{number}@example.com") for number in range(5)]
        ours.push(*bad)
        ours.deliver(ours.claim())
        assert ours.queries.status()["relays"]["default"]["needs_operator"]
        assert ours.queries.status()["states"]["failed"] == 0
        ours.push(*[(f"m{number}",) for number in range(8)])
        for _ in range(probes):  # of two one is of those that wait behind them
            ours.spool.hasten()
            while ids := ours.claim(1):  # until the breaker opens again
                ours.deliver(ids)
        assert len(relay.mails) == 8
        assert ours.queries.status()["states"]["failed"] == len(bad)
        assert not ours.queries.status()["relays"]["default"]["open"]


def test_a_sender_that_the_relay_does_not_allow_holds_up_nobody_else(redis_server: RedisServer) -> None:
    """Of the site's own one word would be enough: "not owned by user" to MAIL is plain."""
    refuse = answer(553, "5.7.1 <other@example.com>: Sender address rejected: not owned by user shop")
    with SmtpServer({"MAIL": where("<other@", refuse)}) as relay, site(redis_server, relay) as here:
        for number in range(4):
            email = Email(
                (Mailbox("a@example.com"),), f"o{number}".encode(), b"text", sender=Mailbox("other@example.com")
            )
            here.spool.accept(f"o{number}", to_record(email))
        here.push(*[(f"s{number}",) for number in range(4)])
        here.deliver([f"o{number}" for number in range(4)] + here.claim())
        assert subjects(relay) == [f"Subject: s{number}" for number in range(4)]
        refused = [outcome for outcome in here.outcomes.values() if isinstance(outcome, Failed)]
        assert [outcome.reason for outcome in refused] == ["sender_refused"] * 4
        assert not here.spool.client.exists("mailworker:relay:default")


def test_refusals_between_which_mail_is_taken_are_the_mails(redis_server: RedisServer) -> None:
    refusal = where("bad", answer(554, "5.7.1 <bad@example.com>: Relay access denied"))
    with SmtpServer({"RCPT": refusal}, extensions=without("CHUNKING")) as relay, site(redis_server, relay) as ours:
        for number in range(8):
            ours.push((f"m{number}", "bad@example.com" if number % 2 else "a@example.com"))
            ours.deliver(ours.claim())
        assert ours.queries.status()["states"]["failed"] == 4
        assert not ours.queries.status()["relays"]["default"]["open"]


# Many recipients.


def takes(most: int, reply: bytes) -> Any:
    return lambda session, argument: reply if len(session.recipients) >= most else None


@WAYS
def test_a_relay_that_has_had_enough_errors_for_too_many_recipients_leaves_nothing_in_doubt(
    redis_server: RedisServer, hidden: tuple[str, ...]
) -> None:
    """Postfix: each above smtpd_recipient_limit is an error, and smtpd_hard_error_limit is 20: 421, and it closes."""
    refused: dict[Session, int] = {}

    def errors(session: Session, argument: str) -> Any:
        if len(session.recipients) < 10:
            return None
        refused[session] = refused.get(session, 0) + 1
        if refused[session] < 20:
            return b"452 4.5.3 Error: too many recipients\r\n"
        return answer(421, "4.7.0 Error: too many errors")(session, argument)

    with SmtpServer({"RCPT": errors}, extensions=without(*hidden)) as relay, site(redis_server, relay) as ours:
        ours.push(("m", *[f"a{number}@example.com" for number in range(60)]))
        ours.run(10)
        assert sorted(to for mail in relay.mails for to in mail.recipients) == sorted(
            f"a{n}@example.com" for n in range(60)
        )
        assert ours.queries.status()["totals"]["in_doubt"] == 0


@WAYS
@pytest.mark.parametrize(
    "reply",
    [b"452 4.5.3 Error: too many recipients\r\n", b"452 no more\r\n", b"552 no more\r\n",
     b"550 too many recipients\r\n", b"421 4.5.3 too many recipients\r\n"],
    ids=["452", "bare", "552", "550", "421"],
)  # fmt: skip
def test_a_mail_to_more_than_the_relay_takes_goes_out_in_parts_at_once(
    redis_server: RedisServer, hidden: tuple[str, ...], reply: bytes
) -> None:
    if reply.startswith(b"421") and not hidden:
        pytest.skip("closing on content that has left already resets the connection, and the reply is lost")
    with (
        SmtpServer({"RCPT": takes(10, reply)}, extensions=without(*hidden)) as relay,
        site(redis_server, relay) as ours,
    ):
        everyone = [f"r{number}@example.com" for number in range(95)]
        ours.push(("many", *everyone), ("next", *everyone[:25]))
        ids = ours.claim()
        outcomes = ours.deliver(ids[:1])
        assert outcomes == {ids[0]: Sent()}
        assert sorted(address for mail in relay.mails for address in mail.recipients) == sorted(everyone)
        assert len(relay.mails) == 10
        assert len({line for mail in relay.mails for line in mail.data.split(b"\r\n") if b"Message-ID" in line}) == 1
        # The next one does not run into it.
        before = len(relay.commands())
        assert ours.deliver(ids[1:]) == {ids[1]: Sent()}
        assert sum(line.startswith("RCPT") for line in relay.commands()[before:]) == 25
        assert ours.empty()


def test_among_many_who_is_put_off_waits_and_who_is_refused_is_a_dead_letter(
    redis_server: RedisServer,
) -> None:
    script = each(
        where("never", answer(550, "5.1.1 user unknown")),
        where("later", answer(450, "4.2.0 greylisted")),
        takes(10, b"452 4.5.3 too many recipients\r\n"),
    )
    with SmtpServer({"RCPT": script}) as relay, site(redis_server, relay) as ours:
        good = [f"r{number}@example.com" for number in range(30)]
        ours.push(("many", "never1@example.com", *good[:15], "later1@example.com", *good[15:], "later2@example.com"))
        [mail_id] = ours.claim()
        ours.deliver([mail_id])
        assert sorted(address for mail in relay.mails for address in mail.recipients) == sorted(good)
        record = ours.spool.client.hgetall(f"mailworker:mail:{mail_id}")
        assert record[b"state"] == b"deferred"
        assert record[b"rcpt"] == b'["later1@example.com", "later2@example.com"]'
        [letter] = ours.queries.dead_letters()
        assert letter.recipients == '["never1@example.com"]'


def test_a_452_to_the_first_recipient_is_a_deferral(redis_server: RedisServer) -> None:
    with (
        SmtpServer({"RCPT": answer(452, "4.3.1 insufficient system storage")}) as relay,
        site(redis_server, relay) as ours,
    ):
        ours.push(("one", "a@example.com", "b@example.com"))
        ours.deliver(ours.claim())
        assert ours.queries.status()["states"]["deferred"] == 1


def test_a_connection_that_breaks_between_the_parts_doubles_nobody(redis_server: RedisServer) -> None:
    script = {"RCPT": takes(10, b"452 4.5.3 too many recipients\r\n"), "MAIL": at(3, close)}
    with SmtpServer(script, extensions=without("CHUNKING")) as relay, site(redis_server, relay) as ours:
        everyone = [f"r{number}@example.com" for number in range(40)]
        ours.push(("many", *everyone))
        [mail_id] = ours.claim()
        while not isinstance(ours.deliver([mail_id]).get(mail_id), Sent):
            ours.spool.hasten()
            assert ours.claim() == [mail_id]
        assert sorted(address for mail in relay.mails for address in mail.recipients) == sorted(everyone)


# One slow mail.


@WAYS
@pytest.mark.parametrize("step", ["connect", "greeting", "EHLO", "MAIL", "RCPT", "message"])
def test_what_waits_behind_a_mail_that_the_relay_does_not_answer_goes_elsewhere(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, hidden: tuple[str, ...], step: str
) -> None:
    monkeypatch.setattr(pace, "SLOW", 0.3)
    if step in ("connect", "greeting", "EHLO") and hidden:
        pytest.skip("is the same for all ways")
    deadlines = Deadlines(connect=4, reply=4, final=4)
    with (
        SmtpServer({step: at(1, hang)}, extensions=without(*hidden)) as relay,
        site(redis_server, relay, 2, deadlines=deadlines) as ours,
    ):
        ours.push(*[(f"m{number}",) for number in range(30)])
        ids = ours.claim()
        slow = threading.Thread(target=ours.deliver, args=(ids, 0))
        slow.start()
        until(lambda: ours.queries.status()["states"]["queued"] == 0)
        until(lambda: ours.queries.status()["states"]["queued"] >= 20, 6)
        assert slow.is_alive()
        ours.deliver(ours.claim(), child=1)
        assert len(relay.mails) >= 20
        assert slow.is_alive()
        relay.over.set()
        slow.join(20)
        assert len(set(subjects(relay))) == len(relay.mails)


def test_a_relay_that_greets_late_and_bears_few_connections_gets_all_mail(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each batch has a connection of its own there, and was handed over before that was open: for ever."""
    monkeypatch.setattr(pace, "SLOW", 0.3)
    monkeypatch.setattr(late, "LOOKS", 0.05)

    def pause(session: Session, argument: str) -> None:
        session.server.over.wait(0.6)

    with SmtpServer({"greeting": pause}) as relay, site(redis_server, relay, 3) as ours:
        limit = {"connections": 2, "interval": 120_000, "try_at": int(time.time() * 1000) + 120_000}
        ours.spool.client.hset("mailworker:limit:default", mapping=limit)
        ours.push(*[(f"m{number}",) for number in range(40)])
        ours.run(10)
        assert len(set(subjects(relay))) == len(relay.mails) == 40
