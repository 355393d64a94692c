"""When a relay is late, and when it is only as slow as always."""

from __future__ import annotations

from mailworker.smtp.pace import Pace


def test_a_relay_that_is_slow_with_each_mail_is_not_late_with_one() -> None:
    pace = Pace()
    assert pace.late_after() == 3
    pace.opening = 2.0  # a relay that greets late
    assert (pace.late_after(), pace.late_after(opening=True)) == (3, 8)
    for seconds in (3, 3, 3, 3, 120):
        pace.mail_took(seconds)
    assert pace.late_after() == 12
    for _ in range(5):
        pace.mail_took(60)
    assert pace.late_after() == 30
