"""The pause after a refusal of the broker's Redis."""

from __future__ import annotations

from mailworker.worker.consumer import LONGEST, Pause


def test_the_pause_doubles_up_to_its_longest() -> None:
    pause = Pause()
    assert [pause.after(now) for now in range(7)] == [0.5, 1, 2, 4, 8, LONGEST, LONGEST]


def test_a_minute_without_a_refusal_begins_anew() -> None:
    pause = Pause()
    assert [pause.after(0), pause.after(1), pause.after(62)] == [0.5, 1, 0.5]
