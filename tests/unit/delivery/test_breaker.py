"""What the spool is told of a relay that fails, and what the log says of it: no address, and no word of the relay."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from mailworker.delivery import breaker
from mailworker.delivery.breaker import Breaker, Seldom
from mailworker.errors import SmtpError
from mailworker.smtp.refusals import Refusal
from mailworker.smtp.relay import Relay
from mailworker.spool import Refused, Spool

RELAY = Relay("mx.example", 25, name="bulk")


class Told:
    """A spool that answers as it is made to, and keeps what it was told."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.told: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        def tell(*arguments: Any) -> Any:
            self.told.append((name, *arguments))
            return self.answer

        return tell


def breaking(spool: Told) -> Breaker:
    return Breaker(cast(Spool, spool), RELAY, Seldom())


REFUSED = SmtpError("AUTH", 535, "5.7.8 no <a@example.com>", configuration=True)
TOO_FAST = SmtpError("MAIL", 450, "4.7.1 Error: too much mail from 192.0.2.1")


@pytest.mark.parametrize(
    ("error", "changed", "level", "line"),
    [
        (
            SmtpError("connect", 0, "refused"), True, logging.ERROR,
            "relay mx.example:25: connect: refused; mail waits, next probe in 15 s",
        ),
        (SmtpError("connect", 0, "refused"), False, None, ""),
        (
            REFUSED, True, logging.CRITICAL,
            "relay mx.example:25: AUTH: 535; mail waits; mend the user and password in MAILWORKER_SMTP_URL, restart or "
            "`mailworker retry-now`; next probe in 15 s",
        ),
        (REFUSED, False, None, ""),
        (TOO_FAST, True, logging.WARNING, "relay mx.example:25 takes no more for now: MAIL: 450; mail waits"),
    ],
)  # fmt: skip
def test_the_log_tells_of_a_breaker_that_opens(
    error: SmtpError, changed: bool, level: int | None, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Told((True, 15.0, changed))
    assert breaking(spool).failed(error)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == ([(level, line)] if level else [])
    [(_, relay, shown, configuration, place, slower)] = spool.told
    assert (relay, configuration, place) == ("bulk", error.configuration, "mx.example:25")
    assert slower is (error is TOO_FAST)
    assert "example.com" not in shown


def test_what_comes_again_and_again_is_told_now_and_then(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(breaker.time, "monotonic", lambda: now)
    seldom = Seldom()
    for _ in range(3):
        Breaker(cast(Spool, Told((True, 1.0, False))), RELAY, seldom).failed(TOO_FAST)
    assert len(caplog.records) == 1
    now += breaker.TELLS + 1
    seldom.warning("again")
    assert len(caplog.records) == 2


@pytest.mark.parametrize(("closed", "lines"), [(True, ["relay: works again"]), (False, [])])
def test_a_relay_that_answers_closes_it(closed: bool, lines: list[str], caplog: pytest.LogCaptureFixture) -> None:
    spool = Told(closed)
    breaking(spool).works()
    assert spool.told == [("relay_works", "bulk")]
    assert [record.getMessage() for record in caplog.records] == lines


@pytest.mark.parametrize(
    ("found", "opens", "told"),
    [
        (Refused(False, 0, False, 0), False, False),  # so far it may be these mails
        (Refused(True, 15, True, 3), True, True),
        (Refused(True, 15, False, 0), True, False),  # it is open already
    ],
)
def test_a_refusal_of_each_mail_opens_it(
    found: Refused, opens: bool, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    refusal = Refusal("553 not owned", 3, "MAIL: 553 not owned")
    spool = Told(found)
    assert breaking(spool).is_opened_by("m", refusal) is opens
    assert spool.told == [("refused", "bulk", "m", "553 not owned", 3, "MAIL: 553 not owned", "mx.example:25")]
    assert [record.levelno for record in caplog.records] == ([logging.CRITICAL] if told else [])
    assert ("3 that it refused wait again; mend MAILWORKER_FROM" in caplog.text) is told
