"""Mails that wait behind a late one go elsewhere, and no others do."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from mailworker.delivery import late
from mailworker.delivery.batch import Batch
from mailworker.delivery.connection_limit import Places
from mailworker.delivery.late import LateWatch, look_at
from mailworker.smtp.pace import SLOW, Pace


@dataclass
class AtWork:
    """A batch as a look sees it."""

    under_way: dict[str, Any] = field(default_factory=lambda: {"m": None})
    is_probe: bool = False
    moved: float = 0.0
    kept: list[int] = field(default_factory=list)

    def hand_over(self, keep: int) -> None:
        self.kept.append(keep)


@dataclass
class InPlace:
    waiting: bool = False


@pytest.mark.parametrize(
    ("batch", "waiting", "now", "kept"),
    [
        (AtWork(), False, SLOW - 0.1, []),
        (AtWork(), False, SLOW, [0]),
        (AtWork(moved=1), False, SLOW, []),
        (AtWork(under_way={}), False, SLOW, [1]),  # the connection is late: the first one stays
        (AtWork(is_probe=True), False, 99, []),
        (AtWork(), True, 99, []),  # for a place at the relay
    ],
)
def test_only_behind_a_relay_that_is_late(batch: AtWork, waiting: bool, now: float, kept: list[int]) -> None:
    look_at(cast(Batch, batch), Pace(), cast(Places, InPlace(waiting)))(now)
    assert batch.kept == kept


def test_a_relay_that_is_slow_with_each_mail_is_late_later() -> None:
    pace, batch = Pace(), AtWork()
    pace.mail_took(2.0)
    look_at(cast(Batch, batch), pace, cast(Places, InPlace()))(7.9)
    assert batch.kept == []
    look_at(cast(Batch, batch), pace, cast(Places, InPlace()))(8.0)
    assert batch.kept == [0]


def test_the_watch_looks_until_the_batch_ends_and_outlives_a_bug(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(late, "LOOKS", 0.001)
    looked, watch = threading.Semaphore(0), LateWatch()

    def look(_: float) -> None:
        looked.release()
        raise ValueError

    with watch.over(look):
        assert looked.acquire(timeout=5)
        assert looked.acquire(timeout=5)
    assert "the watch over late mails failed (ValueError)" in caplog.text
