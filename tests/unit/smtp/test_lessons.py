"""What is believed of a relay, and for how long."""

from __future__ import annotations

import pytest

from mailworker.smtp import lessons
from mailworker.smtp.lessons import LESSON_HOLDS, SUSPICION_HOLDS, Lessons
from mailworker.smtp.relay import Relay

RELAY = Relay("relay.test", 25, mails=100)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(lessons.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(("ended_after", "mails"), [(None, 100), (0, 100), (7, 7), (200, 100)])
def test_a_relay_that_ends_sessions_early_gets_fewer_mails_on_the_next(
    clock: list[float], ended_after: int | None, mails: int
) -> None:
    known = Lessons(RELAY)
    known.learn(ended_after, set(), set())
    assert known.relay().mails == mails
    clock[0] += LESSON_HOLDS + 1
    assert known.relay() is RELAY


@pytest.mark.parametrize(
    ("mistrusted", "suspected", "holds"),
    [
        ({"CHUNKING"}, set(), LESSON_HOLDS),
        (set(), {"CHUNKING"}, SUSPICION_HOLDS),
        ({"CHUNKING"}, {"CHUNKING"}, LESSON_HOLDS),
        ({"CHUNKING"}, {"CHUNKING", "SIZE"}, SUSPICION_HOLDS),
    ],
)
def test_what_a_relay_said_is_believed_for_longer_than_what_it_only_looked_like(
    clock: list[float], mistrusted: set[str], suspected: set[str], holds: float
) -> None:
    known = Lessons(RELAY)
    known.learn(None, mistrusted, suspected)
    clock[0] += holds - 1
    assert (known.relay().chunking, known.relay().pipelining) == (False, True)
    clock[0] += 2
    assert known.relay().chunking


def test_the_same_lesson_learnt_again_holds_no_longer(clock: list[float]) -> None:
    known = Lessons(RELAY)
    known.learn(None, {"PIPELINING"}, set())
    clock[0] += LESSON_HOLDS - 1
    known.learn(None, {"PIPELINING"}, set())
    clock[0] += 2
    assert known.relay().pipelining


def test_the_fewest_recipients_that_a_relay_took_are_its_limit(clock: list[float]) -> None:
    known = Lessons(RELAY)
    assert known.recipients() == 0
    known.takes_recipients(50)
    known.takes_recipients(20)
    known.takes_recipients(30)
    assert known.recipients() == 20
    clock[0] += LESSON_HOLDS + 1
    assert known.recipients() == 0
    known.takes_recipients(30)
    assert known.recipients() == 30
